import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode, guid, idsOf, problemsOf, readBytes, readText } from './reading.ts';

const UNDECODABLE = 'invalid characters (save the file as UTF-8)';

test('a JSON line is an object with an id, or a string; anything else is a problem of its own', async () => {
  const cases: [line: string, expected: string][] = [
    [`{"machineActionId":"${guid(1)}"}`, guid(1)],
    [`{"MACHINEACTIONID":" {${guid(1).toUpperCase()}} "}`, guid(1)],
    [`{"actionid":"${guid(1)}","id":"${guid(2)}","machineId":"${guid(3)}"}`, guid(2)],
    [`{"id":"x","nested":{"machineActionId":"${guid(2)}"},"machineActionId":"${guid(1)}"}`, guid(1)],
    [`  "${guid(1)}"  `, guid(1)],
    [`{"id":"${guid(1)}","ID":"${guid(1)}"}`, 'two id keys'],
    ['{"id":null}', 'the id is not a string'],
    [`{"machineActionId":null,"id":"${guid(1)}"}`, 'the id is not a string'],
    [`{"id":["${guid(1)}"]}`, 'the id is not a string'],
    ['{"id":""}', 'empty id'],
    ['{"id":"9f3c2a1b0d4e4f5a8b6c1d2e3f405162"}', 'not a GUID: the dashes are missing (8-4-4-4-12)'],
    [`{"id":"\\u0000${guid(1)}"}`, 'not a GUID: it contains U+0000'],
    [`{"__proto__":{"id":"${guid(1)}"}}`, 'no id key (machineActionId, id or ActionId)'],
    [`["${guid(1)}"]`, 'not a JSON object or string'],
    ['null', 'not a JSON object or string'],
    [`{"id":"${guid(1)}"`, 'not valid JSON'],
    [guid(1), 'not valid JSON'],
    [`{"id":"${guid(1)}","x":"${'x'.repeat(65_536)}"}`, 'line too long'],
  ];
  const reading = await readText(`{"id":"${guid(0)}"}\n\n${cases.map(([line]) => line).join('\n')}\n \n`);
  assert.deepEqual(reading.lines, [
    { line: 1, id: guid(0) },
    ...cases.map(([, expected], n) => {
      const { text } = reading.lines[n + 1] ?? {};
      return expected === guid(1) || expected === guid(2)
        ? { line: n + 3, id: expected }
        : { line: n + 3, problem: expected, text };
    }),
  ]);
});

test('look-alikes are named', async () => {
  const texts = [
    guid(1).replace('9', '\uff19'),
    guid(1).replace('a', '\u0430'),
    guid(1).replaceAll('-', '\u2013'),
    `${guid(1)}\u00ad`,
  ];
  const reading = await readText([guid(0), ...texts].join('\n'));
  assert.deepEqual(problemsOf(reading), [
    '2: not a GUID: it contains U+FF19',
    '3: not a GUID: it contains U+0430',
    '4: not a GUID: it contains U+2013',
    '5: not a GUID: it contains U+00AD',
  ]);
  assert.equal(reading.lines[4]?.text, `${guid(1)}\\u00ad`);
});

test('invalid bytes spoil their own line only', async () => {
  const bytes = Buffer.from(`${guid(1)}\n#\xe4 old code page\n${guid(2)} \xe4\n\xc3\n${guid(3)}\n`, 'latin1');
  const reading = await readBytes(bytes);
  assert.deepEqual(idsOf(reading), [1, 3].map(guid));
  assert.deepEqual(problemsOf(reading), [`3: ${UNDECODABLE}`, `4: ${UNDECODABLE}`]);
  assert.equal(reading.lines[1]?.text, `${guid(2)} \ufffd`);
});

test('a CSV in an old code page loses only the lines with such letters', async () => {
  const bytes = Buffer.from(`id;Ger\xe4t\n${guid(1)};a\n${guid(2)};"B\xfcro\n1"\n${guid(3)};b\n`, 'latin1');
  const reading = await readBytes(bytes);
  assert.deepEqual(idsOf(reading), [1, 3].map(guid));
  assert.deepEqual(problemsOf(reading), [`3: ${UNDECODABLE}`]);
});

test('in UTF-16 a lone surrogate or half a code unit spoils its own line only', async () => {
  for (const encoding of ['utf-16le', 'utf-16be'] as const) {
    const bytes = encode(`${guid(1)}\n# 😀\nx\ud83d\n${guid(2)}\n`, encoding, true);
    const reading = await readBytes(Buffer.concat([bytes, Buffer.from('a')]));
    assert.deepEqual(idsOf(reading), [1, 2].map(guid));
    assert.deepEqual(problemsOf(reading), [`3: ${UNDECODABLE}`, `5: ${UNDECODABLE}`]);
    assert.deepEqual(reading.summary, { format: 'plain', encoding, lines: 5 });
  }
});

test('a zero byte in UTF-8 text is a problem, not another encoding', async () => {
  const reading = await readText(`${guid(1)}\n${guid(2)}\0\n${guid(3)}\n`);
  assert.deepEqual(idsOf(reading), [1, 3].map(guid));
  assert.deepEqual(problemsOf(reading), ['2: not a GUID: it contains U+0000']);
});

test('a line may take 64 Ki, not more', async () => {
  for (const encoding of ['utf-8', 'utf-16le', 'utf-16be'] as const) {
    const line = (length: number): string => guid(1).padStart(length);
    const bytes = encode(
      `${line(65_536)}\r\n${line(65_537)}\r\n${line(300_000)}\n${guid(2)}\n#${line(70_000)}\n${line(70_000)}`,
      encoding,
      true,
    );
    const reading = await readBytes(bytes);
    assert.deepEqual(
      reading.lines.map((one) => [one.line, one.id ?? one.problem]),
      [
        [1, guid(1)],
        [2, 'line too long'],
        [3, 'line too long'],
        [4, guid(2)],
        [6, 'line too long'],
      ],
    );
  }
});

test('lines that are too long at the beginning do not decide the format', async () => {
  const reading = await readText(`${'y'.repeat(70_000)}\n${' '.repeat(70_000)}\nid,host\n${guid(1)},a\n`);
  assert.deepEqual(problemsOf(reading), ['1: line too long', '2: line too long']);
  assert.deepEqual(idsOf(reading), [guid(1)]);
  assert.equal(reading.summary?.format, 'csv');
});
