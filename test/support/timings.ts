import { TIMINGS, type Timings } from '../../src/config/timings.ts';

/** Where `standdown.ts` is told its timings, as JSON. The product knows nothing of it. */
export const TIMINGS_VARIABLE = 'STANDDOWN_TEST_TIMINGS';

/**
 * What workers of tests have unless a test says otherwise: short, so that nobody waits for what these stand for. Not so short that a
 * busy machine makes the difference: a worker that is held up for a second or two keeps its locks, and misses no grace.
 */
export const SHORT: Timings = {
  ...TIMINGS,
  pulseMs: 250,
  graceMs: 2_000,
  lookAgainMs: 100,
  lockMs: 3_000,
  redisFailedMs: 250,
  pausedMs: 2_000,
  lostSearchMs: 500,
  firstRetryMs: 100,
  lastRetryMs: 1_000,
  downMs: 2_000,
  firstProbeMs: 100,
  lastProbeMs: 1_000,
  checkAgainMs: 250,
  loginSlowerMs: 1_000,
  renewAgainMs: 1_000,
  inboxBlockMs: 1_000,
  inboxClaimMs: 1_000,
  inboxIdleMs: 3_000,
  noticeLookMs: 250,
  noticePostMs: 5_000,
  noticeClaimMs: 10_000,
  noticeQuietMs: 1_000,
  noticeAgainMs: [250, 500, 1_000],
  stopGraceMs: 2_000,
  tenantsLookMs: 100,
  firstTenantPauseMs: 100,
  lastTenantPauseMs: 1_000,
};

/** Some in place of those that a test has otherwise. */
export function withTimings(some: Partial<Timings> = {}): Timings {
  return { ...SHORT, ...some };
}
