import type { LaneName } from '../store/keys.ts';

/** How a worker is doing, as it knows itself. Times are monotonic, in ms. */
export interface Vitals {
  /** When the worker's regular look last came to its end, well or not; before the first one, when it was started. */
  turnedAt: number;
  /** When Redis last answered that look, which is taken every two seconds; null: not yet. */
  seenAt: number | null;
  /** Lanes that have stopped taking jobs although nobody told them to. */
  endedLanes: readonly LaneName[];
  /** Why there is no token, its code first; empty: there is one. */
  signIn: string;
  stopping: boolean;
}

export interface Check {
  name: 'lanes' | 'redis' | 'sign-in' | 'stopping';
  ok: boolean;
  /** In words; empty when it is in order. */
  detail: string;
}

export interface Health {
  ok: boolean;
  checks: Check[];
}

/** Without an answer from Redis for so long, in ms, a worker is not ready. */
const SILENCE_MS = 30_000;

/**
 * Whether the process should go on: no when only a new one can help. While Redis or the API is away it should; it waits and
 * loses nothing.
 */
export function liveness(vitals: Vitals): Health {
  return together([lanes(vitals)]);
}

/** Whether it can work now: its Redis answers, it can sign in, and it has not been told to stop. A full window is no trouble. */
export function readiness(vitals: Vitals, now: number): Health {
  return together([lanes(vitals), redis(vitals, now), signIn(vitals), stopping(vitals)]);
}

function lanes({ endedLanes }: Vitals): Check {
  return check('lanes', endedLanes.length === 0, `stopped: ${endedLanes.join(', ')}`);
}

function redis({ seenAt }: Vitals, now: number): Check {
  const detail = seenAt === null ? 'no answer yet' : `no answer for ${Math.round((now - seenAt) / 1_000)} s`;
  return check('redis', seenAt !== null && now - seenAt <= SILENCE_MS, detail);
}

function signIn({ signIn: trouble }: Vitals): Check {
  return check('sign-in', trouble === '', trouble);
}

function stopping(vitals: Vitals): Check {
  return check('stopping', !vitals.stopping, 'finishing the calls in flight');
}

function check(name: Check['name'], ok: boolean, detail: string): Check {
  return { name, ok, detail: ok ? '' : detail };
}

function together(checks: Check[]): Health {
  return { ok: checks.every(({ ok }) => ok), checks };
}
