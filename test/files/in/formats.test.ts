import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ENCODINGS, encode, guid, read, temporaryFolder } from './reading.ts';

interface Sample {
  format: 'plain' | 'csv' | 'jsonl';
  separator?: string;
  rows: string[];
}

/** Each holds ids on its lines 2 and 4, a problem on line 5, and letters that take several bytes. */
const SAMPLES: Sample[] = [
  { format: 'plain', rows: ['# Geräte 漢字 😀', guid(1), '', `{${guid(2).toUpperCase()}}`, 'Ünfug 😀'] },
  ...[',', ';', '\t'].map((separator): Sample => {
    const rows = [
      ['Gerät', 'MACHINEACTIONID'],
      ['漢字', guid(1)],
      ['', ''],
      [`"a${separator}""b"" 😀"`, `"${guid(2)}"`],
      ['ü', 'Ünfug 😀'],
    ];
    return { format: 'csv', separator, rows: rows.map((row) => row.join(separator)) };
  }),
  {
    format: 'jsonl',
    rows: ['# Geräte', `{"host":"漢字","machineActionId":"${guid(1)}"}`, '', `"${guid(2)}"`, '"Ünfug 😀"'],
  },
];

const BREAKS = { LF: '\n', CRLF: '\r\n', CR: '\r' };

test('reads every format in every encoding with every line break', async (t) => {
  await using folder = await temporaryFolder();
  for (const encoding of ENCODINGS) {
    for (const mark of [false, true]) {
      for (const [breakName, lineBreak] of Object.entries(BREAKS)) {
        for (const { format, separator, rows } of SAMPLES) {
          const name = [
            encoding,
            mark ? 'mark' : 'no mark',
            breakName,
            format,
            JSON.stringify(separator),
          ].join(' ');
          await t.test(name, async () => {
            const path = join(folder.path, 'ids');
            await writeFile(path, encode(rows.join(lineBreak) + lineBreak, encoding, mark));
            const { lines, summary, error } = await read(path);
            assert.equal(error, undefined);
            assert.deepEqual(lines, [
              { line: 2, id: guid(1) },
              { line: 4, id: guid(2) },
              { line: 5, problem: 'not a GUID: it contains U+00DC', text: 'Ünfug 😀' },
            ]);
            const details = separator === undefined ? {} : { separator, column: 'MACHINEACTIONID' };
            assert.deepEqual(summary, { format, encoding, ...details, lines: 5 });
          });
        }
      }
    }
  }
});

test('the last line needs no line break', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'ids');
  for (const { rows } of SAMPLES) {
    await writeFile(path, rows.slice(0, 4).join('\r\n'));
    const { lines, summary } = await read(path);
    assert.deepEqual(
      lines.map((line) => line.id),
      [guid(1), guid(2)],
    );
    assert.equal(summary?.lines, 4);
  }
});

test('nothing but blank lines, comments or a header yields nothing', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'ids');
  const cases: [content: string, format: string, lines: number][] = [
    ['', 'empty', 0],
    ['\ufeff', 'empty', 0],
    ['\n\r\n \t\r# none\n\n', 'empty', 5],
    ['sep=;\n', 'empty', 1],
    ['id\n', 'csv', 1],
    ['\n"Id";host', 'csv', 2],
    ['id,host\n,\n , \n\n', 'csv', 4],
  ];
  for (const [content, format, count] of cases) {
    await writeFile(path, content);
    const { lines, summary } = await read(path);
    assert.deepEqual(lines, [], JSON.stringify(content));
    assert.deepEqual([summary?.format, summary?.lines], [format, count], JSON.stringify(content));
  }
});

test('tells the format from the first line that counts', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'ids');
  const cases: [firstLines: string, format: string][] = [
    [guid(0), 'plain'],
    [`"${guid(0)}"`, 'plain'],
    ['not-a-guid', 'plain'],
    ['"Id"', 'csv'],
    [' action id ', 'csv'],
    ['#TYPE Selected.PSCustomObject\r\n"machineActionId","host"', 'csv'],
    ['sep=;\r\nActionId;host', 'csv'],
    ['{"id":"x","note":"a,b;c"}', 'jsonl'],
    [`{"id":"x","ids":["${guid(1)}","${guid(2)}","${guid(3)}"]}`, 'jsonl'],
    ['{"broken', 'jsonl'],
  ];
  for (const [firstLines, format] of cases) {
    await writeFile(path, `\n# comment, with; separators\n${firstLines}\n`);
    const { summary, error } = await read(path);
    assert.deepEqual([summary?.format, error], [format, undefined], firstLines);
  }
});
