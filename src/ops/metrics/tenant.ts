import { formatDuration } from '../../base/duration.ts';
import { OUTCOMES } from '../../base/outcome.ts';
import { OPERATIONS } from '../../store/keys.ts';
import type { HoldReason } from '../../worker/notices.ts';
import type { Observer } from '../../worker/observer.ts';
import type { Families } from './families.ts';
import { OPEN_STATES, type Standing } from './standing.ts';
import { STATUSES, statusOf } from './status.ts';

export const HOLDS: readonly HoldReason[] = [
  'window',
  'grace',
  'penalty',
  'upstream',
  'unauthorized',
  'sign-in',
];

/** Counts for one tenant. What is likely to be compared with before begins at 0, for a rate needs two values. */
export function observeTenant(families: Families, tenant: string): Observer {
  let known: string | null = null;
  for (const outcome of OUTCOMES) families.requests.inc({ tenant, outcome }, 0);
  for (const operation of OPERATIONS) families.refusals.inc({ tenant, operation }, 0);
  for (const counter of [families.renewals, families.failures, families.reopenings])
    counter.inc({ tenant }, 0);
  return {
    called: (operation, answer, tookMs) => {
      const status = statusOf(answer);
      families.calls.inc({ tenant, operation, status });
      if (status !== 'unsent') families.duration.observe({ tenant, operation }, tookMs / 1_000);
      // No call is made unless the budget has a slot for it.
      if (status === '429') families.refusals.inc({ tenant, operation });
    },
    ended: (outcome, count) => families.requests.inc({ tenant, outcome }, count),
    signedIn: (ok) => (ok ? families.renewals : families.failures).inc({ tenant }),
    looked: (epoch) => {
      if (known !== null && known !== epoch) families.reopenings.inc({ tenant });
      known = epoch;
    },
  };
}

/** Takes a tenant's counts away. All that it can have is known, so nothing is searched for. */
export function forgetTenant(families: Families, tenant: string): void {
  for (const outcome of OUTCOMES) families.requests.remove({ tenant, outcome });
  for (const operation of OPERATIONS) {
    for (const status of STATUSES) families.calls.remove({ tenant, operation, status });
    families.duration.remove({ tenant, operation });
    families.refusals.remove({ tenant, operation });
  }
  for (const counter of [families.renewals, families.failures, families.reopenings])
    counter.remove({ tenant });
}

/** Shows how a tenant stands in Redis. */
export function showStanding(families: Families, tenant: string, { glance, lanes, open }: Standing): void {
  for (const { operation, max, lengthMs, used } of glance.windows) {
    const labels = { tenant, operation, window: formatDuration(lengthMs) };
    families.used.set(labels, used);
    families.free.set(labels, Math.max(0, max - used));
  }
  families.pace.set({ tenant }, glance.pace);
  const standing = new Set<string>(glance.holds.map(({ reason }) => reason));
  if (glance.full) standing.add('window');
  for (const reason of HOLDS) families.hold.set({ tenant, reason }, standing.has(reason) ? 1 : 0);
  for (const { lane, waiting, delayed, active, ageS } of lanes) {
    families.jobs.set({ tenant, lane, state: 'waiting' }, waiting);
    families.jobs.set({ tenant, lane, state: 'delayed' }, delayed);
    families.jobs.set({ tenant, lane, state: 'active' }, active);
    families.age.set({ tenant, lane }, ageS);
  }
  for (const state of OPEN_STATES) families.open.set({ tenant, state }, open[state]);
}

/** What `showStanding` shows: taken away as a whole before it is shown anew. */
export function clearStanding({ used, free, pace, hold, jobs, age, open, ready, readOk }: Families): void {
  for (const gauge of [used, free, pace, hold, jobs, age, open, ready, readOk]) gauge.reset();
}
