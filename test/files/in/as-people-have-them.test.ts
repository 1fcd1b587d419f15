import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENCODINGS, encode, guid, idsOf, problemsOf, readBytes, readText } from './reading.ts';

const [A, B, C] = [guid(1), guid(2), guid(3)];
const ACTIONS = [A, B].map((id) => ({ id, type: 'Isolate', status: 'Pending', computerDnsName: 'gerät' }));

test('ids on one line, or in quotes and with separators, as scripts and spreadsheets leave them', async () => {
  const cases: string[] = [
    `${A},${B},${C}\n`,
    `${A}, ${B}; ${C}`,
    `${A} ${B}\t${C}\n`,
    `'${A}',\n'${B}',\n'${C}',\n`,
    `"${A}";\n"${B}";\n"${C}"\n`,
    `# these\n{${A}} {${B}}\n\n${C},\n`,
    `{${A}},\n{${B}},\n{${C}},\n`,
  ];
  for (const text of cases) {
    const reading = await readText(text);
    assert.equal(reading.error, undefined, text);
    assert.deepEqual([idsOf(reading), problemsOf(reading)], [[A, B, C], []], text);
    assert.equal(reading.summary?.format, 'plain');
  }
});

test('cells that are left out, or empty ones, at the end of a row', async () => {
  const rows = [`${A},host,`, `${B}`, `${C},host,,, ,`];
  const reading = await readText(`id,host,note\n${rows.join('\n')}\n`);
  assert.deepEqual([idsOf(reading), problemsOf(reading)], [[A, B, C], []]);
});

test('a filled cell too many, a row that ends before the id, and ids beside something else are problems', async () => {
  const csv = await readText(`host,id\nx,${A}\nx,${B},more\nx\n`);
  assert.deepEqual(idsOf(csv), [A]);
  assert.deepEqual(problemsOf(csv), [
    '3: 3 columns, but the header has 2',
    '4: 1 column, but the header has 2',
  ]);
  const plain = await readText(`${A}\n${B} host\n`);
  assert.deepEqual([idsOf(plain), problemsOf(plain)], [[A], ['2: contains something other than ids']]);
});

test('JSON in one piece: an array, an answer of the API, one action; in each encoding, however it is cut', async () => {
  const answer = { '@odata.context': 'https://api.example/$metadata#x', '@odata.count': 2, value: ACTIONS };
  const documents = [
    [A, B],
    ACTIONS,
    answer,
    { value: [A, { machineActionId: B }] },
    ...[[{ ...ACTIONS[0], commands: [{ index: 0 }] }, B]],
  ];
  for (const document of documents) {
    for (const indent of [undefined, 2]) {
      for (const encoding of ENCODINGS) {
        for (const mark of [false, true]) {
          const bytes = encode(`\r\n${JSON.stringify(document, null, indent)}\r\n`, encoding, mark);
          const reading = await readBytes(bytes);
          const what = `${JSON.stringify(document)} ${indent} ${encoding}`;
          assert.deepEqual([reading.error, idsOf(reading)], [undefined, [A, B]], what);
          assert.deepEqual([reading.summary?.format, reading.summary?.encoding], ['json', encoding], what);
          assert.deepEqual(await readBytes(bytes, [7]), reading, what);
        }
      }
    }
  }
  const one = await readText(JSON.stringify(ACTIONS[0], null, 2));
  assert.deepEqual(idsOf(one), [A]);
});

test('a large answer in one line is read, too; what is wrong in it is counted', async () => {
  const many = Array.from({ length: 5_000 }, (_, n) => ({ id: guid(n), note: 'x'.repeat(50) }));
  const reading = await readText(JSON.stringify({ value: [...many, { id: 'x' }, 7] }));
  assert.equal(idsOf(reading).length, 5_000);
  assert.deepEqual(problemsOf(reading), [
    '1: entry 5001: not a GUID',
    '1: entry 5002: not a JSON object or string',
  ]);
});

test('objects a line stay what they are', async () => {
  const lines = ACTIONS.map((action) => JSON.stringify(action)).join('\n');
  const reading = await readText(`${lines}\n`);
  assert.deepEqual([idsOf(reading), reading.summary?.format], [[A, B], 'jsonl']);
});
