import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { bytesToGuid, guidToBytes, parseGuid } from '../../src/base/guid.ts';

test('is fast enough for millions', (t) => {
  const ids = Array.from({ length: 1_000_000 }, () => randomUUID());
  const dressed = ids.map((id) => ` "{${id.toUpperCase()}}" `);
  const bytes = ids.map(guidToBytes);
  const rates = {
    parseGuid: rateOf(ids, parseGuid),
    'parseGuid in quotes and braces': rateOf(dressed, parseGuid),
    guidToBytes: rateOf(ids, guidToBytes),
    bytesToGuid: rateOf(bytes, (buffer) => bytesToGuid(buffer)),
  };
  for (const [name, rate] of Object.entries(rates)) {
    t.diagnostic(`${name}: ${(rate / 1e6).toFixed(1)} million a second`);
  }
});

/** Calls a second; each result is used, so that no call is optimised away. */
function rateOf<T>(inputs: readonly T[], call: (input: T) => string | Buffer | null): number {
  let used = 0;
  const start = performance.now();
  for (const input of inputs) used += call(input)?.length ?? 0;
  assert.ok(used > 0);
  return inputs.length / ((performance.now() - start) / 1000);
}
