import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { parseGuid } from '../../src/base/guid.ts';
import { openShell, type Shell } from '../cli/shell.ts';
import { idsOf, readBytes } from '../files/in/reading.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { jsonFile, noise, type Planted, plainFile } from './file-inputs.ts';
import { CHEAP_RUNS, COSTLY_RUNS, SEED } from './strange.ts';

/** How many files are given to the command itself: each costs a process. */
const COMMANDS = Math.min(60, Math.ceil(COSTLY_RUNS / 25));

const PARAMETERS = { numRuns: CHEAP_RUNS, seed: SEED };

async function checkPlanted({ bytes, lines }: Planted): Promise<number> {
  const reading = await readBytes(bytes, [997]);
  assert.equal(reading.error, undefined);
  const expected = [...lines].filter(([, id]) => id !== null);
  assert.deepEqual(
    reading.lines.filter(({ id }) => id !== undefined).map(({ line, id }) => [line, id]),
    expected,
    'no id is lost, none is made up, none is moved',
  );
  assert.deepEqual(
    reading.lines.filter(({ problem }) => problem !== undefined).map(({ line }) => line),
    [...lines].filter(([, id]) => id === null).map(([line]) => line),
    'and each other line is named',
  );
  return expected.length;
}

for (const [name, file] of [
  ['a plain list', plainFile],
  ['JSON lines', jsonFile],
] as const) {
  it(`every id planted in ${name} comes out on its line, and every line that holds none is named`, async (t) => {
    let ids = 0;
    await fc.assert(
      fc.asyncProperty(file, async (planted) => {
        ids += await checkPlanted(planted);
      }),
      PARAMETERS,
    );
    t.diagnostic(`${CHEAP_RUNS} files with ${ids} ids (seed ${SEED})`);
  });
}

it('whatever bytes a file holds, it gives ids that stand in it and problems that can be printed, or is refused in words', async (t) => {
  let [refused, ids] = [0, 0];
  await fc.assert(
    fc.asyncProperty(noise, async (bytes) => {
      const reading = await readBytes(bytes, [997]);
      if (reading.error !== undefined) {
        refused++;
        assert.match(reading.error, /^INPUT_INVALID input: \P{C}+$/u);
        return;
      }
      const seen = [bytes.toString('utf8'), bytes.toString('utf16le'), swapped(bytes)]
        .join('\n')
        .toLowerCase();
      for (const id of idsOf(reading)) {
        ids++;
        assert.equal(parseGuid(id), id);
        // In JSON a character may be written as its number.
        assert.ok(seen.includes(id) || /\\u/.test(seen), `${id} is made up`);
      }
      for (const { problem, text } of reading.lines) {
        if (problem !== undefined) assert.match(`${problem}${text}`, /^\P{C}+$/u);
      }
    }),
    PARAMETERS,
  );
  t.diagnostic(`${CHEAP_RUNS} files (seed ${SEED}): ${refused} refused, ${ids} ids in the others`);
});

function swapped(bytes: Buffer): string {
  const even = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)));
  return even.swap16().toString('utf16le');
}

describe('standdown submit, given such files', () => {
  let server: TestRedis;
  let shell: Shell;

  before(async () => {
    server = await openTestRedis();
    shell = await openShell(server);
  });
  after(async () => {
    await shell.close();
    await server.close();
  });

  /** Exit 0 or 2, in words and without a trace of the program. */
  async function submit(bytes: Buffer, name: string, ...more: string[]) {
    const file = await shell.write(name, bytes);
    const ran = await shell.run(['submit', file, '--campaign', name, '--comment', 'x', ...more]);
    assert.ok(ran.code === 0 || ran.code === 2, `${ran.code} ${ran.stderr}`);
    assert.doesNotMatch(ran.stderr, / {4}at |node:internal|a bug|\[object/);
    // A terminal must not be moved by what a file holds.
    assert.doesNotMatch(ran.stderr.replaceAll('\n', ''), /\p{Cc}/u);
    if (ran.code === 2)
      assert.match(ran.stderr, /line \d+: \P{C}+|nothing was submitted|(ids-\d+|excluded): \P{C}+/u);
    return ran;
  }

  it('submits what stands in them, names the rest by line, and never breaks', {
    timeout: 600_000,
  }, async (t) => {
    const planted = fc.sample(fc.oneof(plainFile, jsonFile), { numRuns: COMMANDS, seed: SEED });
    let ids = 0;
    for (const [index, { bytes, lines }] of planted.entries()) {
      const name = `ids-${index}`;
      const good = [...lines.values()].filter((id) => id !== null);
      const bad = [...lines].filter(([, id]) => id === null).map(([line]) => line);
      const strict = await submit(bytes, name, '--dry-run');
      assert.equal(strict.code, bad.length > 0 ? 2 : 0, strict.stderr);
      for (const line of bad) assert.match(strict.stderr, new RegExp(`line ${line}: `));
      const lenient = await submit(bytes, name, '--skip-invalid', '--yes');
      assert.equal(lenient.code, 0, lenient.stderr);
      assert.deepEqual(await shell.listed(name), [...new Set(good)]);
      ids += good.length;
    }
    t.diagnostic(`${planted.length} files with ${ids} ids, each twice (seed ${SEED})`);
  });

  it('refuses noise in words', { timeout: 600_000 }, async (t) => {
    const files = fc.sample(noise, { numRuns: COMMANDS, seed: SEED });
    let refused = 0;
    for (const [index, bytes] of files.entries()) {
      const isExcluded = index % 3 === 1;
      const how = index % 3 === 0 ? ['--skip-invalid'] : [];
      if (isExcluded) how.push('--exclude', await shell.write('excluded', bytes));
      const given = isExcluded ? Buffer.from(randomUUID()) : bytes;
      const { code } = await submit(given, `ids-${index}`, '--dry-run', ...how);
      if (code === 2) refused++;
    }
    assert.deepEqual(await shell.leftBehind(), []);
    t.diagnostic(`${files.length} files (seed ${SEED}): ${refused} refused`);
  });
});
