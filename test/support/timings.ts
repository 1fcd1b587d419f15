import { TIMINGS, type Timings } from '../../src/timings.ts';

/** Where `standdown.ts` is told its timings, as JSON. The product knows nothing of it. */
export const TIMINGS_VARIABLE = 'STANDDOWN_TEST_TIMINGS';

/**
 * Short, for tests that wait for what these stand for. A worker whose event loop is held up for a second or two on a busy machine
 * still keeps its locks.
 */
export const SHORT: Partial<Timings> = {
  pulseMs: 200,
  graceMs: 600,
  lookAgainMs: 100,
  lockMs: 4_000,
  redisFailedMs: 200,
  pausedMs: 1_000,
  feedLeaseMs: 2_000,
  lostSearchMs: 500,
  firstRetryMs: 100,
  lastRetryMs: 1_000,
  firstProbeMs: 100,
  lastProbeMs: 1_000,
  checkAgainMs: 200,
  renewAgainMs: 500,
  precheckPatienceMs: 2_000,
  precheckSilenceMs: 2_000,
  verifyFailedMs: 500,
  inboxBlockMs: 500,
  inboxClaimMs: 500,
  inboxIdleMs: 4_000,
  noticeLookMs: 200,
  noticeQuietMs: 500,
  noticeGapMs: 5_000,
  noticeAgainMs: [200, 500, 1_000],
  tenantsLookMs: 100,
  firstTenantPauseMs: 100,
};

/** Production's but for some of them. */
export function withTimings(some: Partial<Timings> = {}): Timings {
  return { ...TIMINGS, ...some };
}
