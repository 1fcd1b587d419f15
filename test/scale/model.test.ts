import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTimeline } from './time.ts';
import { Ideal, Quota } from './windows.ts';

const WINDOWS = [
  { max: 2, lengthMs: 100 },
  { max: 3, lengthMs: 1_000 },
];

test('a server counts in every window, both ends included', () => {
  const quota = new Quota(WINDOWS);
  const rows: [at: number, freeFrom: number][] = [
    [0, Number.NEGATIVE_INFINITY],
    [50, Number.NEGATIVE_INFINITY],
    [200, 100.001],
    [1_001, 1_000.001],
  ];
  for (const [at, freeFrom] of rows) {
    assert.equal(quota.freeFrom(), freeFrom, `before ${at}`);
    quota.count(at);
  }
});

test('the ideal makes way for others and for outages', () => {
  const arrivals = (circumstance: ConstructorParameters<typeof Ideal>[2]) => {
    const ideal = new Ideal(WINDOWS, 0, circumstance);
    return Array.from({ length: 4 }, () => ideal.next());
  };
  assert.deepEqual(arrivals({ outages: [], others: [] }), [0, 0, 100.001, 1_000.001]);
  assert.deepEqual(arrivals({ outages: [{ from: 50, to: 300 }], others: [] }), [0, 0, 300, 1_000.001]);
  assert.deepEqual(arrivals({ outages: [], others: [80] }), [0, 0, 1_000.001, 1_000.001]);
});

test('time passes in order, waits for what an event waits for, and forgets what is called off', async () => {
  const timeline = createTimeline(1_000);
  const seen: string[] = [];
  const note = (what: string) => () => void seen.push(`${what} ${timeline.now()}`);
  timeline.after(20, note('last'));
  timeline.after(10, note('first of two'));
  timeline.after(10, note('second of two'));
  timeline.after(15, note('never'))();
  timeline.after(5, async () => {
    await new Promise(setImmediate);
    timeline.after(0, note('at once'));
    void Promise.resolve().then(note('what follows'));
  });
  await timeline.run();
  assert.deepEqual(seen, [
    'what follows 1005',
    'at once 1005',
    'first of two 1010',
    'second of two 1010',
    'last 1020',
  ]);
});
