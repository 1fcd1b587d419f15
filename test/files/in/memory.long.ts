import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { readIdBatches } from '../../../src/files/in/id-file.ts';
import { generated, KIND_NAMES, type Kind } from './generated.ts';
import type { Peak } from './peak.ts';
import { read } from './reading.ts';

const MIB = 1024 * 1024;
const SIZE = 200 * MIB;

test('a plain list of 200 MB takes some tens of MB', async (t) => {
  const { results, peakMib, growthMib } = await measurePeak('plain', SIZE);
  t.diagnostic(
    `${results} ids, peak RSS ${peakMib.toFixed(0)} MiB, ${growthMib.toFixed(0)} MiB above the start`,
  );
  assert.ok(growthMib < 150, `${growthMib} MiB`);
});

// By default V8 lets short-lived objects pile up to some 100 MiB before it looks. Kept short, what shows is what is held.
for (const kind of KIND_NAMES) {
  test(`what is held while reading 200 MB stays small: ${kind}`, async (t) => {
    const { results, growthMib } = await measurePeak(kind, SIZE, ['--max-semi-space-size=4']);
    t.diagnostic(`${results} results, ${growthMib.toFixed(0)} MiB above the start`);
    assert.ok(growthMib < 100, `${growthMib} MiB`);
  });
}

test('a slow reader holds the source back', async () => {
  let produced = 0;
  const count = (bytes: number): void => {
    produced += bytes;
  };
  const batches = readIdBatches(Readable.from(generated('plain', SIZE, count), { highWaterMark: 1 }));
  await batches.next();
  for (let n = 0; n < 100; n++) await turn();
  assert.ok(produced <= MIB, `${produced} bytes were produced for one batch`);
  await batches.return();
});

for (const kind of ['csv with wide records', 'csv with wide records and wrong ids'] as const) {
  test(`results that are kept do not keep the file: ${kind}`, async () => {
    const before = process.memoryUsage().heapUsed;
    const { lines } = await read(Readable.from(generated(kind, SIZE)));
    const grownMib = (process.memoryUsage().heapUsed - before) / MIB;
    assert.ok(lines.length > 100_000);
    // They themselves are some 15 MiB, the rest is what no collection has come for yet. The file would be 200.
    assert.ok(grownMib < 120, `${grownMib} MiB`);
  });
}

async function measurePeak(kind: Kind, size: number, flags: string[] = []): Promise<Peak> {
  const script = join(import.meta.dirname, 'peak.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, kind, String(size)]);
  return JSON.parse(stdout);
}
