import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLimiter, type LimitMode, type Quota } from '../../src/simulator/limiter.ts';
import { NAIVE } from './naive-limiter.ts';

/** When a call arrives, and what is expected: null for allowed, or the ms to wait. */
type Row = readonly [nowMs: number, expected: number | null];

interface Table {
  name: string;
  mode: LimitMode;
  quotas: Quota[];
  offsetMs?: number;
  refusedCallsCount?: boolean;
  rows: Row[];
}

const TWO_IN_100: Quota[] = [{ max: 2, windowMs: 100 }];

const TABLES: Table[] = [
  {
    name: 'a sliding window is half-open: the call exactly one window later passes',
    mode: 'sliding',
    quotas: TWO_IN_100,
    rows: [
      [0, null],
      [40, null],
      [40, 60],
      [99.5, 0.5],
      [100, null],
      [139, 1],
      [140, null],
    ],
  },
  {
    name: 'refused calls that count push the next one back',
    mode: 'sliding',
    quotas: TWO_IN_100,
    refusedCallsCount: true,
    rows: [
      [0, null],
      [40, null],
      [50, 90],
      [139, 11],
      [240, null],
    ],
  },
  {
    name: 'of several quotas all must agree, and the longest wait is told',
    mode: 'sliding',
    quotas: [
      { max: 1, windowMs: 10 },
      { max: 2, windowMs: 100 },
    ],
    rows: [
      [0, null],
      [5, 5],
      [10, null],
      [15, 85],
      [20, 80],
      [100, null],
      [105, 5],
    ],
  },
  {
    name: 'fixed windows let twice as many pass around a boundary',
    mode: 'fixed',
    quotas: TWO_IN_100,
    rows: [
      [98, null],
      [99, null],
      [99, 1],
      [100, null],
      [100, null],
      [101, 99],
      [200, null],
    ],
  },
  {
    name: 'fixed windows begin at the offset',
    mode: 'fixed',
    quotas: TWO_IN_100,
    offsetMs: 30,
    rows: [
      [10, null],
      [20, null],
      [20, 10],
      [30, null],
      [129, null],
      [129.5, 0.5],
      [130, null],
    ],
  },
  {
    name: 'a bucket starts full and refills continuously',
    mode: 'token-bucket',
    quotas: TWO_IN_100,
    rows: [
      [0, null],
      [0, null],
      [0, 50],
      [49, 1],
      [50, null],
      [75, 25],
      [1_000, null],
      [1_000, null],
      [1_000, 50],
    ],
  },
  {
    name: 'a refused call that counts takes what the bucket holds, and no more',
    mode: 'token-bucket',
    quotas: TWO_IN_100,
    refusedCallsCount: true,
    rows: [
      [0, null],
      [0, null],
      [40, 50],
      [80, 50],
      [129, 50],
      [179, null],
    ],
  },
  { name: 'no quota is no limit', mode: 'sliding', quotas: [], rows: new Array<Row>(5_000).fill([0, null]) },
];

describe('limiter', () => {
  for (const { name, rows, mode, quotas, offsetMs = 0, refusedCallsCount = false } of TABLES) {
    it(`${mode}: ${name}`, () => {
      const limiter = createLimiter({ mode, quotas, offsetMs, refusedCallsCount });
      for (const [nowMs, expected] of rows) {
        const judgement = limiter.judge(nowMs);
        assert.deepEqual([nowMs, judgement.allowed ? null : judgement.waitMs], [nowMs, expected]);
      }
    });
  }

  it('names the quota with the longest wait', () => {
    const quotas = [
      { max: 1, windowMs: 10 },
      { max: 1, windowMs: 100 },
    ];
    const limiter = createLimiter({ mode: 'sliding', quotas, offsetMs: 0, refusedCallsCount: false });
    limiter.judge(0);
    assert.deepEqual(limiter.judge(1), { allowed: false, waitMs: 99, quota: quotas[1] });
  });
});

const quotaArbitrary = fc.record({
  max: fc.integer({ min: 1, max: 6 }),
  windowMs: fc.integer({ min: 1, max: 60 }),
});

describe('limiter against a naive counter', () => {
  for (const mode of ['sliding', 'fixed', 'token-bucket'] as const) {
    it(`${mode}: same verdict and same wait for random arrivals`, () => {
      const schedule = fc.record({
        quotas: fc.array(quotaArbitrary, { minLength: 1, maxLength: 3 }),
        gaps: fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 40 }),
        offsetMs: fc.integer({ min: 0, max: 80 }),
        refusedCallsCount: fc.boolean(),
      });
      fc.assert(
        fc.property(schedule, ({ gaps, ...options }) => {
          const limiter = createLimiter({ mode, ...options });
          const naive = NAIVE[mode](options);
          let nowMs = 0;
          for (const gap of gaps) {
            nowMs += gap;
            const judgement = limiter.judge(nowMs);
            assert.equal(judgement.allowed, naive.passes(nowMs));
            naive.count(nowMs, judgement.allowed);
            if (judgement.allowed) continue;
            // Whole ms: the first at which the naive counter would let a call pass.
            const waitMs = Math.ceil(judgement.waitMs - 1e-9);
            assert.ok(waitMs > 0);
            assert.equal(naive.passes(nowMs + waitMs), true);
            assert.equal(naive.passes(nowMs + waitMs - 1), false);
          }
        }),
        { numRuns: 300 },
      );
    });
  }
});
