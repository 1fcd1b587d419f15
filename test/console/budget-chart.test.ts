import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chartBudget } from '../../src/console/budget-chart.ts';
import { createBudgetHistory } from '../../src/console/budget-history.ts';

const HOUR = 3_600_000;
const LIMITS = {
  windows: [
    { max: 100, lengthMs: 60_000 },
    { max: 1_500, lengthMs: HOUR },
  ],
  reserves: [{ max: 30, lengthMs: HOUR }],
};
const NOW = 1_800_000_000_000;

function draw(stamps: number[], left: number, knownSince = NOW - HOUR, isKnown = true) {
  const windows = LIMITS.windows.map((window) => ({
    ...window,
    max: window.max - (window.max === 1_500 ? 30 : 0),
  }));
  return chartBudget(
    LIMITS,
    { stamps, knownSince, refusals: [] },
    { input: { now: NOW, stamps, windows }, left, isKnown },
  );
}

/** The one of these values that is nearest in time. */
function valueAt(times: number[], values: (number | null)[], ms: number): number | null {
  const index = times.findIndex((time) => time * 1_000 >= ms);
  return values[index] ?? null;
}

describe('the drawing of the budget', () => {
  it('counts what stands in each window now as the budget does', () => {
    const stamps = Array.from({ length: 90 }, (_, index) => NOW - 120_000 + index * 1_000);
    const { times, windows } = draw(stamps, 0);
    const [minute, hour] = windows;
    assert.ok(minute && hour);
    const inMinute = stamps.filter((stamp) => stamp >= NOW - 60_000).length;
    assert.equal(valueAt(times, minute.used, NOW), inMinute);
    assert.equal(valueAt(times, hour.used, NOW), 90);
    assert.deepEqual([hour.max, hour.bulkMax, minute.bulkMax], [1_500, 1_470, 100]);
    assert.equal(valueAt(times, hour.forecast, NOW + HOUR - 1), 0, 'nothing is left to call');
  });

  it('draws no forecast where nobody can make one', () => {
    const { windows } = draw([NOW - 30_000], 5_000, NOW - HOUR, false);
    for (const { forecast } of windows) assert.ok(forecast.every((value) => value === null));
    assert.ok(
      windows[0]?.used.some((value) => value === 1),
      'the past is drawn all the same',
    );
  });

  it('never lets the forecast pass what bulk may use', () => {
    const stamps = Array.from({ length: 100 }, (_, index) => NOW - 1_000 + index);
    const { times, windows } = draw(stamps, 20_000);
    for (const { forecast, bulkMax } of windows) {
      assert.ok(Math.max(...forecast.map((value) => value ?? 0)) <= bulkMax);
    }
    const [, hour] = windows;
    assert.equal(valueAt(times, hour?.forecast ?? [], NOW + HOUR - 30_000), 1_470);
  });

  it('says where it does not know of older calls', () => {
    const { times, windows } = draw([NOW - 1_000], 0);
    const [minute, hour] = windows;
    assert.ok(minute && hour);
    assert.equal(valueAt(times, hour.used, NOW - HOUR / 2), null);
    assert.equal(valueAt(times, hour.least, NOW - HOUR / 2), 0);
    assert.equal(valueAt(times, minute.used, NOW - HOUR / 2), 0);
    assert.equal(valueAt(times, minute.least, NOW - HOUR), 0);
    assert.equal(
      valueAt(
        draw([], 0, NOW - 2 * HOUR).times,
        draw([], 0, NOW - 2 * HOUR).windows[1]?.used ?? [],
        NOW - HOUR / 2,
      ),
      0,
    );
  });

  it('learns the longer it looks, and begins anew after a gap', () => {
    const history = createBudgetHistory(LIMITS);
    const budget = (now: number, stamps: number[]) =>
      ({ now, stamps, windows: [], holds: [], workers: [], latencyMs: 0, pace: null }) as const;
    const note = (now: number, stamps: number[], refusal = null as { at: number; until: number } | null) =>
      history.note({ ...budget(now, stamps), windows: [], holds: [], urgentHolds: [], stamps }, refusal);
    note(NOW, [NOW - HOUR, NOW - 5], { at: NOW - 5, until: NOW + 10 });
    note(NOW + HOUR / 2, [NOW - 5, NOW + 5], { at: NOW - 5, until: NOW + 10 });
    assert.deepEqual(history.past().stamps, [NOW - HOUR, NOW - 5, NOW + 5]);
    assert.equal(history.past().knownSince, NOW - HOUR);
    assert.deepEqual(history.past().refusals, [{ at: NOW - 5, until: NOW + 10 }]);
    note(NOW + 5 * HOUR, [NOW + 5 * HOUR]);
    assert.deepEqual(history.past(), { stamps: [NOW + 5 * HOUR], knownSince: NOW + 4 * HOUR, refusals: [] });
  });
});
