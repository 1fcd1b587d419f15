import type { Health, Vitals } from '../worker/vitals.ts';
import type { Standing } from './fleet.ts';

/** How one process' tenants are doing together, as if they were one. */
export function combine(all: readonly Standing[], stopping: boolean, now: number): Vitals {
  const running = all.flatMap(({ vitals }) => vitals ?? []);
  const seen = running.flatMap(({ seenAt }) => (seenAt === null ? [] : [seenAt]));
  const troubles = running.filter(({ signIn }) => signIn !== '');
  return {
    // What hangs for one will not come round by waiting.
    turnedAt: Math.min(now, ...running.map(({ turnedAt }) => turnedAt)),
    seenAt: seen.length > 0 ? Math.max(...seen) : null,
    // A tenant whose lane has ended is started again by itself.
    endedLanes: [],
    // One that cannot sign in keeps no other from it.
    signIn: running.length > 0 && troubles.length === running.length ? (troubles[0]?.signIn ?? '') : '',
    stopping,
  };
}

/** What a process says of its tenants, beside its own health. */
export interface TenantsHealth {
  running: number;
  /** Those that cannot work now, and why; at most MOST_NAMED of them. */
  trouble: Record<string, string>;
}

const MOST_NAMED = 20;

export function describeTenants(all: ReadonlyMap<string, Standing>): TenantsHealth {
  const trouble: [string, string][] = [];
  let running = 0;
  for (const [label, { vitals, trouble: failure }] of all) {
    if (vitals) running++;
    const why = vitals ? vitals.signIn || vitals.endedLanes.join(', ') : failure || 'starting';
    if (why !== '') trouble.push([label, why]);
  }
  return { running, trouble: Object.fromEntries(trouble.slice(0, MOST_NAMED)) };
}

export type FleetHealth = Health & { tenants?: TenantsHealth };
