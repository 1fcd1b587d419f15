import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { isWellFormed, SEPARATORS, splitRecords } from '../../../src/files/in/csv-cells.ts';
import { guid, idsOf, problemsOf, readText } from './reading.ts';

const BROKEN = 'a quote that opens here is not closed correctly';

test('finds the id column whatever its case, quotes and spaces, the most telling name first', async () => {
  const cases: [header: string, column: string, ids: number[]][] = [
    ['a,id,b', 'id', [2]],
    ['a, Id ,b', 'Id', [2]],
    ['id,ActionId,MACHINEACTIONID', 'MACHINEACTIONID', [3]],
    ['ActionId,id,x', 'id', [2]],
    ['x,"Action Id",machineId', 'Action Id', [2]],
    ['\ufeff\ufeffid,b,c', 'id', [1]],
    [`'ID',b,c`, `'ID'`, [1]],
    ['"a\nb",id,"c;""d"""', 'id', [2]],
    ['a;b,id,c', 'id', [2]],
  ];
  for (const [header, column, ids] of cases) {
    const reading = await readText(`${header}\n${guid(1)},${guid(2)},${guid(3)}\n`);
    assert.equal(reading.error, undefined, header);
    assert.deepEqual(idsOf(reading), ids.map(guid), header);
    assert.equal(reading.summary?.column, column.replace(/^\ufeff/, '\\ufeff'));
  }
});

test('a broken record costs itself only', async () => {
  const rows = [
    'id,host',
    `${guid(1)},a`,
    guid(2),
    `${guid(3)},a,b`,
    `${guid(4)},19" rack`,
    `"${guid(5)}"x,a`,
    `${guid(6)},b`,
  ];
  const reading = await readText(rows.join('\n'));
  assert.deepEqual(idsOf(reading), [1, 2, 6].map(guid));
  assert.deepEqual(problemsOf(reading), [
    '4: 3 columns, but the header has 2',
    `5: ${BROKEN}`,
    '6: misplaced quotes',
  ]);
});

test('two stray quotes do not swallow what stands between them', async () => {
  const rows = [
    'id,rack',
    `${guid(1)},19" rack`,
    `${guid(2)},x`,
    `${guid(3)},21" rack`,
    `${guid(4)},"wide,\nwide"`,
  ];
  const reading = await readText(rows.join('\n'));
  assert.deepEqual(
    reading.lines.map((line) => line.line),
    [2, 3, 4, 5],
  );
  assert.deepEqual(idsOf(reading), [2, 4].map(guid));
});

test('an id missing from its cell is a problem, unless the whole record is blank', async () => {
  const reading = await readText(`id,host\n,a\n,\n"",""\n ,, \n${guid(1)},\n`);
  assert.deepEqual(idsOf(reading), [guid(1)]);
  assert.deepEqual(problemsOf(reading), ['2: empty id']);
  assert.equal(reading.lines[0]?.text, ',a');
});

test('a quote that is never closed swallows neither lines nor memory', async () => {
  const after = Array.from({ length: 5000 }, (_, n) => `${guid(n)},x`);
  const reading = await readText(`id,host\n${guid(1)},"open\n${after.join('\n')}\n`);
  assert.deepEqual(problemsOf(reading), [`2: ${BROKEN}`]);
  assert.deepEqual(
    idsOf(reading),
    after.map((_, n) => guid(n)),
  );
});

test('a record of several lines is judged in linear time', () => {
  // One that is not takes minutes, and the test with it.
  const nasty = ['"', ' ', '""', '","', '" "', ',', ' " ', '"\n"', 'x"', '"x'];
  for (const one of nasty) {
    for (const other of nasty) {
      isWellFormed(`"${(one + other).repeat(65_536 / (one.length + other.length))}`, ',');
    }
  }
});

test('a record may take 64 Ki, not more', async () => {
  const note = (length: number): string => `"${'x\n'.repeat(length / 2)}"`;
  const fixed = guid(1).length + 3;
  const fits = await readText(`id,note\n${guid(1)},${note(65_536 - fixed - 1)}\n${guid(2)},x\n`);
  assert.deepEqual([idsOf(fits), problemsOf(fits)], [[1, 2].map(guid), []]);
  const over = await readText(`id,note\n${guid(1)},${note(65_536)}\n${guid(2)},x\n`);
  assert.deepEqual(idsOf(over), [guid(2)]);
  assert.equal(problemsOf(over)[0], `2: ${BROKEN}`);
});

test('a line that is too long ends an open record, and reading goes on after it', async () => {
  const reading = await readText(
    `id,n\n${guid(1)},"a\n${guid(2)},b\nb"${' '.repeat(70_000)}\n${guid(3)},c\n`,
  );
  assert.deepEqual(problemsOf(reading), [`2: ${BROKEN}`, '4: line too long']);
  assert.deepEqual(idsOf(reading), [2, 3].map(guid));
});

/** A cell, and whether it is written in quotes though it need not be. */
const cell = fc.tuple(
  fc.string({ unit: fc.constantFrom('a', 'ü', '"', ',', ';', '\t', '\n', "'"), maxLength: 6 }),
  fc.boolean(),
);
const table = fc.record({
  separator: fc.constantFrom(...SEPARATORS),
  lineBreak: fc.constantFrom('\n', '\r\n', '\r'),
  rows: fc.array(fc.tuple(cell, cell, cell, fc.boolean()), { maxLength: 30 }),
});

test('any table, however quoted, gives its ids and the lines they start on', async () => {
  await fc.assert(
    fc.asyncProperty(table, async ({ separator, lineBreak, rows }) => {
      let text = ['before', 'machineActionId', 'after', 'last'].join(separator);
      const expected = rows.map(([before, after, last, quoted], n) => {
        const line = 1 + text.split('\n').length;
        const cells = [before, [guid(n), quoted] as const, after, last];
        text += `\n${cells.map(([value, always]) => written(value, separator, always)).join(separator)}`;
        return { line, id: guid(n) };
      });
      const reading = await readText(text.replaceAll('\n', lineBreak));
      assert.deepEqual(reading.lines, expected);
    }),
    { numRuns: 500 },
  );
});

function written(value: string, separator: string, always: boolean): string {
  const needed = /["\n]/.test(value) || value.includes(separator);
  return needed || always ? `"${value.replaceAll('"', '""')}"` : value;
}

test('splitting many records at once gives what csv-parse makes of each well-formed one alone', () => {
  const unit = fc.constantFrom('a', '"', '""', ',', ';', ' ', '\n', '\0', 'ü', '\u00a0');
  const content = fc.string({ unit, maxLength: 6 });
  const bare = content.map((text) => text.replace(/["\n,]/g, ''));
  const quoted = content.map((text) => ` "${text.replaceAll('"', '""')}" `.slice(text.length % 2));
  const wellFormed = fc
    .array(fc.oneof(bare, quoted), { minLength: 1, maxLength: 4 })
    .map((cells) => cells.join(','));
  const record = fc.oneof(wellFormed, content).filter((text) => text.includes('"'));
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
      const alone = (text: string): string[] | undefined =>
        isWellFormed(text, ',')
          ? parse(text, { delimiter: ',', record_delimiter: '\n', trim: true, relax_column_count: true })[0]
          : undefined;
      assert.deepEqual(splitRecords(records, ','), records.map(alone));
    }),
    { numRuns: 3000 },
  );
});

test('what is written by the rules is well-formed', () => {
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1 }), fc.constantFrom(...SEPARATORS), (cells, separator) => {
      const record = cells.map(([value, always]) => written(value, separator, always)).join(separator);
      assert.ok(isWellFormed(record, separator));
    }),
  );
});
