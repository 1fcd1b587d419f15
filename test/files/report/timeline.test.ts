import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createTimes } from '../../../src/files/report/timeline.ts';

const WINDOWS = [
  { max: 3, lengthMs: 100 },
  { max: 10, lengthMs: 1_000 },
];

function timelineOf(times: readonly number[]) {
  const gathered = createTimes();
  for (const time of times) gathered.add(time);
  return gathered.timeline(WINDOWS);
}

/** The slow way: calls in (t - length, t]. */
function countAt(times: readonly number[], t: number, lengthMs: number): number {
  return times.filter((time) => time > t - lengthMs && time <= t).length;
}

describe('the timeline of calls', () => {
  it('is none without calls', () => assert.equal(timelineOf([]), null));

  it('counts a call that is a whole window old no more', () => {
    const timeline = timelineOf([1_000, 1_099, 1_100]);
    assert.deepEqual([timeline?.counts[0]?.peak, timeline?.counts[0]?.peakAt], [2, 1_099]);
    assert.deepEqual([timeline?.first, timeline?.last, timeline?.calls], [1_000, 1_100, 3]);
  });

  it('holds more calls than it has room for at first', () => {
    const times = Array.from({ length: 5_000 }, (_, index) => index);
    assert.equal(timelineOf(times)?.counts[1]?.peak, 1_000);
  });

  it('peaks where the slow way of counting does, in whatever order the calls come', () => {
    const times = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 200 });
    const check = (given: number[]) => {
      for (const { window, peak, peakAt, parts } of timelineOf(given)?.counts ?? []) {
        const counts = given.map((time) => countAt(given, time, window.lengthMs));
        assert.equal(peak, Math.max(...counts));
        assert.equal(countAt(given, peakAt, window.lengthMs), peak);
        assert.equal(Math.max(...parts), peak, 'the drawing shows it');
      }
    };
    fc.assert(fc.property(times, check), { numRuns: 200 });
  });
});
