import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HEAD_BYTES } from '../../../src/files/in/encoding.ts';
import { anyCharacter, CHEAP_RUNS, SEED } from '../../fuzz/strange.ts';
import { ENCODINGS, encode, guid, readBytes } from './reading.ts';

const sizes = fc.oneof(
  fc.constant([1]),
  fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 20 }),
  fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 20 }),
);

/** What lists are made of, and what spoils them. */
const token = fc.oneof(
  { weight: 6, arbitrary: fc.nat(99).map(guid) },
  { weight: 6, arbitrary: fc.constantFrom('\n', '\r\n', '\r', '\n\r') },
  { weight: 4, arbitrary: fc.constantFrom(',', ';', '\t', '"', '""', '","', "'", '{', '}', '[', ' ', '#') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'id',
      'machineActionId',
      '{"id":"',
      '"}',
      'ä',
      '漢',
      '😀',
      '\0',
      '\ufeff',
      '\ud83d',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: anyCharacter }) },
);
const start = fc.constantFrom(
  '',
  'id,host\n',
  '"ActionId";"b"\r\n',
  'id\tx\r',
  `{"id":"${guid(0)}"}\n`,
  `${guid(0)}\r\n`,
);
/** The head is read in one piece: what comes behind a long comment is not. */
const padding = fc.constantFrom('', `# ${'x'.repeat(HEAD_BYTES)}\n`);
const list = fc
  .tuple(padding, start, fc.array(token, { maxLength: 60 }), fc.constantFrom(...ENCODINGS), fc.boolean())
  .map(([pad, first, tokens, encoding, mark]) => encode(pad + first + tokens.join(''), encoding, mark));
/** Text with bytes broken here and there, and plain noise. */
const noise = fc.oneof(
  fc.tuple(list, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 10 })).map(([bytes, changes]) => {
    const broken = Buffer.from(bytes);
    for (const [at, byte] of changes) if (broken.length > 0) broken[at % broken.length] = byte;
    return broken;
  }),
  fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(fc.constantFrom(0, 10, 13, 34, 44, 0xc3, 0xff, 0xfe), { maxLength: 600 })
    .map((bytes) => Buffer.from(bytes)),
);

test('the result does not depend on how the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(list, sizes, async (bytes, cuts) => {
      assert.deepEqual(await readBytes(bytes, cuts), await readBytes(bytes));
    }),
    { numRuns: CHEAP_RUNS, seed: SEED },
  );
});

test('no bytes crash it: there are ids, problems, or a refusal, and none depends on the cuts', async () => {
  await fc.assert(
    fc.asyncProperty(noise, sizes, async (bytes, cuts) => {
      const reading = await readBytes(bytes, cuts);
      assert.deepEqual(reading, await readBytes(bytes));
      if (reading.error !== undefined) assert.match(reading.error, /^INPUT_INVALID input: [^\n]+$/);
      for (const line of reading.lines) {
        if (line.problem === undefined) assert.match(line.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        else
          assert.ok(
            line.problem !== '' && line.text.length <= 120 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(line.text),
          );
      }
      const numbers = reading.lines.map((line) => line.line);
      assert.ok(numbers.every((number, n) => number > (numbers[n - 1] ?? 0)));
      assert.ok((numbers.at(-1) ?? 0) <= (reading.summary?.lines ?? 0));
    }),
    { numRuns: CHEAP_RUNS, seed: SEED },
  );
});

test('long lines and records come out the same, whatever the cuts', async () => {
  const text = [
    'id,note',
    `${guid(1)},"${'ä\r\n'.repeat(30_000)}"`,
    `${guid(2)},${'😀'.repeat(16_000)}`,
    `${guid(3)},"${'x'.repeat(70_000)}"`,
    `${guid(4)},"${'漢\n'.repeat(12_000)}"`,
  ].join('\r\n');
  for (const encoding of ENCODINGS) {
    const bytes = encode(text, encoding);
    const whole = await readBytes(bytes);
    assert.ok(whole.lines.length > 3);
    for (const cuts of [[997], [65_535], [65_536], [65_537], [4096, 7]]) {
      assert.deepEqual(await readBytes(bytes, cuts), whole, `${encoding} ${cuts}`);
    }
  }
});
