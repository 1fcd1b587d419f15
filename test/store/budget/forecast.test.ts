import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Window } from '../../../src/config/limits.ts';
import { callsWithin, forecast } from '../../../src/store/budget/forecast.ts';

const REAL: Window[] = [
  { max: 100, lengthMs: 60_000 },
  { max: 1_500, lengthMs: 3_600_000 },
];
const BULK: Window[] = [
  { max: 100, lengthMs: 60_000 },
  { max: 1_470, lengthMs: 3_600_000 },
];

/** Call by call, without any short cut. */
function naive(now: number, stamps: readonly number[], windows: readonly Window[], calls: number): number {
  const times = [...stamps];
  let sent = now;
  for (let call = 0; call < calls; call++) {
    for (const { max, lengthMs } of windows) {
      const deciding = times[times.length - max];
      if (deciding !== undefined) sent = Math.max(sent, deciding + lengthMs);
    }
    times.push(sent);
  }
  return sent;
}

describe('forecast', () => {
  it('says 6 h 9 min for 10,000 under the documented limits', () => {
    const last = forecast({ now: 0, stamps: [], windows: REAL }, 10_000);
    // Six full hours, then the last 1,000 in ten bursts of 100: nine minutes.
    assert.equal(last, 6 * 3_600_000 + 9 * 60_000);
  });

  it('says 6 h 12 min with 30 an hour kept for urgent', () => {
    const last = forecast({ now: 0, stamps: [], windows: BULK }, 10_000);
    assert.ok(last > 6 * 3_600_000 + 10 * 60_000 && last <= 6 * 3_600_000 + 12 * 60_000, String(last));
  });

  it('waits for what was called before, and for a penalty', () => {
    const stamps = Array.from({ length: 100 }, (_, index) => index);
    assert.equal(forecast({ now: 100, stamps, windows: REAL }, 1), 60_000);
    assert.equal(forecast({ now: 100, stamps, windows: REAL, notBefore: 70_000 }, 1), 70_000);
  });

  it('is now for nothing', () => assert.equal(forecast({ now: 5, stamps: [], windows: REAL }, 0), 5));

  it('agrees with counting call by call', () => {
    const window = fc.record({
      max: fc.integer({ min: 1, max: 30 }),
      lengthMs: fc.integer({ min: 1, max: 5_000 }),
    });
    const windows = fc.uniqueArray(window, {
      minLength: 1,
      maxLength: 3,
      selector: ({ lengthMs }) => lengthMs,
    });
    const stamps = fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 60 });
    fc.assert(
      fc.property(windows, stamps, fc.integer({ min: 1, max: 2_000 }), (drawn, past, calls) => {
        const sorted = possible(drawn, past);
        assert.equal(
          forecast({ now: 5_000, stamps: sorted, windows: drawn }, calls),
          naive(5_000, sorted, drawn, calls),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('costs no more for a million calls than for ten thousand', () => {
    const million = forecast({ now: 0, stamps: [], windows: REAL }, 1_000_000);
    assert.equal(million, naive(0, [], REAL, 1_000_000));
  });
});

/** Only pasts that the windows allowed: a slot too close to one `max` places before it is moved out. */
function possible(windows: readonly Window[], past: readonly number[]): number[] {
  const times: number[] = [];
  for (const at of [...past].sort((a, b) => a - b)) {
    const allowed = windows.every(({ max, lengthMs }) => {
      const deciding = times[times.length - max];
      return deciding === undefined || at - deciding >= lengthMs;
    });
    if (allowed) times.push(at);
  }
  return times;
}

describe('calls within a time', () => {
  it('are as many as the windows let out by then', () => {
    assert.equal(callsWithin({ now: 0, stamps: [], windows: REAL }, 120_000, 1_000), 300);
    assert.equal(callsWithin({ now: 0, stamps: [], windows: REAL }, 59_999, 1_000), 100);
    assert.equal(callsWithin({ now: 0, stamps: [], windows: REAL }, 120_000, 50), 50);
    assert.equal(callsWithin({ now: 0, stamps: [], windows: REAL, notBefore: 500_000 }, 120_000, 50), 0);
  });
});
