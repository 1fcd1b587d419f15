import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { largestInWindow } from '../../../src/simulator/summary.ts';
import { quotas } from '../../support/stack.ts';
import { idealMs, LIMITS } from './set-up.ts';

describe('the ideal that everybody is measured against', () => {
  for (const [count, expectedMs] of [
    [1, 0],
    [100, 0],
    [101, 1_000],
    [450, 4_000],
    [1_500, 14_000],
    // The hour decides: those of the first burst have to leave it.
    [1_501, 60_000],
    [1_600, 60_000],
    [1_601, 61_000],
  ] as const) {
    it(`is ${expectedMs} ms for ${count} calls at 1:60`, () => {
      assert.equal(idealMs(count, quotas(LIMITS[60])), expectedMs);
    });
  }

  it('is the least that any window allows: one ms less, and one holds too many', () => {
    const [short] = quotas(LIMITS[10]);
    assert.ok(short);
    const burst = Array.from({ length: short.max }, () => 0);
    const last = idealMs(101, quotas(LIMITS[10]));
    assert.equal(largestInWindow([...burst, last], short.windowMs), 100);
    assert.equal(largestInWindow([...burst, last - 1], short.windowMs), 101);
  });
});
