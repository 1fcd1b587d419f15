import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Call, createCalls } from '../../src/simulator/calls.ts';
import { largestInWindow, peakOf, summarize } from '../../src/simulator/summary.ts';
import { createTestClock } from './support.ts';

/** Counted cancels at these times, and what is changed about some. */
function callsAt(times: number[], change: (call: Call) => void = () => {}): Call[] {
  const clock = createTestClock();
  const calls = createCalls({ clock });
  for (const atMs of times) {
    clock.advance(atMs - calls.elapsedMs());
    const call = calls.open({ operation: 'cancel', id: null, path: '/', method: 'POST' });
    call.counted = true;
    change(call);
  }
  return calls.list();
}

describe('peak', () => {
  const rows: [arrivals: number[], windowMs: number, expected: number][] = [
    [[], 10, 0],
    [[5], 10, 1],
    // Half-open: one window later is another window.
    [[0, 10], 10, 1],
    [[0, 9.999], 10, 2],
    [[0, 0, 0], 1, 3],
    [[0, 6, 9, 12, 15, 40], 10, 4],
    [[0, 30, 31, 32], 2, 2],
  ];
  for (const [arrivals, windowMs, expected] of rows) {
    it(`of ${JSON.stringify(arrivals)} in ${windowMs} ms is ${expected}`, () => {
      assert.equal(largestInWindow(arrivals, windowMs), expected);
    });
  }

  it('equals what counting from every arrival gives', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 80 }), (steps, windowMs) => {
        let at = 0;
        const arrivals = steps.map((step) => (at += step));
        const inWindowFrom = (start: number) =>
          arrivals.filter((arrival) => arrival >= start && arrival < start + windowMs).length;
        assert.equal(largestInWindow(arrivals, windowMs), Math.max(0, ...arrivals.map(inWindowFrom)));
      }),
    );
  });

  it('leaves out what used no quota and other operations', () => {
    const calls = callsAt([0, 1, 2, 3], (call) => {
      if (call.n === 2) call.counted = false;
      if (call.n === 3) call.operation = 'get';
    });
    assert.equal(peakOf(calls, 'cancel', 100), 2);
    assert.equal(peakOf(calls, 'get', 100), 1);
    assert.equal(peakOf(calls, 'list', 100), 0);
  });
});

describe('summary', () => {
  it('counts by operation, verdict, status and window', () => {
    const calls = callsAt([10, 20, 300, 310], (call) => {
      call.verdict = call.n === 4 ? 'refused' : 'served';
      call.counted = call.n !== 4;
      call.status = [200, 404, null, 429][call.n - 1] ?? null;
      call.applied = call.n === 1;
    });
    const quotas = { cancel: [{ max: 7, windowMs: 100 }], get: [], list: [] };
    const actions = { Pending: 2 };
    const summary = summarize({ calls, elapsedMs: 400, actions, quotas, windowMs: 1_000 });
    assert.deepEqual(summary.operations.cancel, {
      calls: 4,
      counted: 3,
      applied: 1,
      verdicts: { served: 3, refused: 1 },
      statuses: { 200: 1, 404: 1, none: 1, 429: 1 },
      peaks: [
        { windowMs: 100, max: 7, counted: 2, arrivals: 2 },
        { windowMs: 1_000, max: null, counted: 3, arrivals: 4 },
      ],
    });
    assert.equal(summary.operations.get.calls, 0);
    assert.deepEqual(
      [summary.calls, summary.firstArrivalMs, summary.lastArrivalMs, summary.elapsedMs, summary.actions],
      [4, 10, 310, 400, actions],
    );
  });

  it('of nothing is nothing', () => {
    const quotas = { cancel: [], get: [], list: [] };
    const summary = summarize({ calls: [], elapsedMs: 1, actions: {}, quotas });
    assert.deepEqual([summary.calls, summary.firstArrivalMs, summary.lastArrivalMs], [0, null, null]);
  });
});
