import { withCode } from '../../base/words/code.ts';
import { describeFullWindow } from '../../base/words/window.ts';
import { type Limits, lengthen, type SlotClass, type Window, windowsFor } from '../../config/limits.ts';
import type { Keys, Operation } from '../keys.ts';
import { redisTime } from '../redis/time.ts';
import { asNumber, type RedisClient } from '../script.ts';
import { paced, pacedWindows, recoveryMs, shortest } from './pace.ts';
import { canSomeoneCall, livingWorkers, readRoster, type SeenWorker, SIGNING_IN } from './roster.ts';

/** How one window stands. */
export interface WindowUse extends Window {
  /** Calls that count in it now, those in flight included. */
  used: number;
  /** Calls that it allows at the present pace: its limit, unless calls were refused lately. */
  allowed: number;
  /** Calls of these that may still go out now. */
  free: number;
  /** Calls of these that are kept from bulk. */
  reserved: number;
}

/** Why bulk waits, and until when in ms of Redis' clock; null: not known. */
export interface Hold {
  reason: string;
  until: number | null;
  /** In words. */
  detail: string;
}

/** That calls were refused (429) which our count allows: fewer go out for a while. */
export interface LoweredPace extends Window {
  /** Of the window's limit, from 0 to 1; `max` is that share of it. */
  share: number;
  /** Calls that were refused since it was last whole. */
  refusals: number;
  /** When it is whole again unless more calls are refused, in ms of Redis' clock. */
  until: number;
}

export interface BudgetView {
  /** Redis' clock, in ms. */
  now: number;
  windows: WindowUse[];
  /** Stamps of the slots that count, ascending. */
  stamps: number[];
  /** Holds that stand, the most telling first: why bulk waits. */
  holds: Hold[];
  /** Why urgent calls wait: they have what is kept for them besides. */
  urgentHolds: Hold[];
  /** Workers that are there or were, those that were seen last first. */
  workers: readonly SeenWorker[];
  /** What a call takes from slot to answer, in ms, as a worker last saw it; 0: not known. */
  latencyMs: number;
  /** Null: nothing was refused lately. */
  pace: LoweredPace | null;
}

interface Notice {
  code?: string;
  message?: string;
  at?: number;
  until?: number;
}

/** A sign-in hold is renewed at each attempt; one older than this is a dead worker's. */
const STALE_NOTICE_MS = 90_000;

/** Looks at the budget of one operation without touching it. */
export async function viewBudget(
  redis: RedisClient,
  keys: Keys,
  limits: Limits,
  operation: Operation = 'cancel',
): Promise<BudgetView> {
  const [now, state, notices, roster, flat] = await Promise.all([
    redisTime(redis),
    redis.hmget(
      keys.state,
      'grace',
      `${operation}:penalty`,
      `${operation}:hold`,
      `${operation}:reason`,
      'why',
      `${operation}:latency`,
      `${operation}:pace`,
      `${operation}:pacedAt`,
      `${operation}:refusals`,
    ),
    redis.hgetall(keys.holds),
    redis.hgetall(keys.workers),
    redis.zrange(keys.slots(operation), '0', '-1', 'WITHSCORES'),
  ]);
  const stamps = flat.filter((_, index) => index % 2 === 1).map(Number);
  const kept = operation === 'cancel' ? limits : { ...limits, reserves: [] };
  const workers = readRoster(roster);
  // A worker that cannot sign in holds up none that can, nor any when it is gone. Of one that has just started this is not known yet.
  const isSignInHeld =
    livingWorkers(workers, now).some(({ trouble }) => trouble !== SIGNING_IN) &&
    !canSomeoneCall(workers, now);
  const holds = standingHolds(state, notices, now).filter(
    ({ reason }) => reason !== 'sign-in' || isSignInHeld,
  );
  const pace = loweredPace(state.slice(6).map(asNumber), limits.windows, now);
  const pacedFor = (slotClass: SlotClass) => pacedWindows(windowsFor(kept, slotClass), pace?.share ?? 1);
  const [all, bulk] = [pacedFor('urgent'), pacedFor('bulk')];
  const windows = limits.windows.map((window, at) => {
    const allowed = all[at]?.max ?? window.max;
    return useOf(window, { allowed, reserved: allowed - (bulk[at]?.max ?? allowed) }, stamps, now);
  });
  const withWindow = (ofClass: readonly Window[]) => {
    const full = windowHold(ofClass, { windows, stamps, now });
    return full ? [...holds, full] : holds;
  };
  return {
    now,
    windows,
    stamps,
    holds: withWindow(bulk),
    urgentHolds: withWindow(all),
    workers,
    latencyMs: asNumber(state[5]) || 0,
    pace,
  };
}

/** Null: whole. lowered, at, refusals: as they stand in the state. */
export function loweredPace(
  [lowered = 0, at = 0, refusals = 0]: readonly number[],
  windows: readonly Window[],
  now: number,
): LoweredPace | null {
  if (lowered === 0) return null;
  const { max, lengthMs } = shortest(windows);
  const recovery = recoveryMs(windows);
  const until = at + (1 - lowered) * recovery;
  if (until <= now) return null;
  const share = lowered + Math.max(0, now - at) / recovery;
  return { max: paced(max, share), lengthMs, share, refusals, until };
}

function useOf(
  window: Window,
  { allowed, reserved }: Pick<WindowUse, 'allowed' | 'reserved'>,
  stamps: readonly number[],
  now: number,
): WindowUse {
  const used = stamps.filter((stamp) => stamp >= now - window.lengthMs).length;
  return { ...window, used, allowed, free: Math.max(0, allowed - used), reserved };
}

/** state: grace, penalty, hold, reason and what began the grace, as they stand there; notices: the hash of holds. */
export function standingHolds(
  state: (string | null)[],
  notices: Record<string, string>,
  now: number,
): Hold[] {
  const [grace, penalty, hold] = state.slice(0, 3).map(asNumber);
  const reason = state[3] ?? '';
  const holds: Hold[] = [];
  const signIn = parseNotice(notices['sign-in']);
  if (signIn?.at && now - signIn.at < STALE_NOTICE_MS) {
    holds.push({ reason: 'sign-in', until: signIn.until ?? null, detail: describe(signIn) });
  }
  if (reason !== '') {
    const until = hold && hold > now ? hold : null;
    holds.push({ reason, until, detail: describe(parseNotice(notices[reason])) });
  }
  if (penalty && penalty > now) {
    holds.push({ reason: 'penalty', until: penalty, detail: describe(parseNotice(notices['penalty'])) });
  }
  if (grace && grace > now) {
    holds.push({ reason: 'grace', until: grace, detail: state[4] ?? '' });
  }
  return holds;
}

interface Full {
  /** Not lowered by reserve or pace. */
  windows: readonly WindowUse[];
  stamps: readonly number[];
  now: number;
}

/** The full one of a class's windows that opens last. @param ofClass in the order of the whole ones. */
function windowHold(ofClass: readonly Window[], { windows, stamps, now }: Full): Hold | null {
  let hold: (Hold & { until: number }) | null = null;
  for (const [at, { max: limit, allowed }] of windows.entries()) {
    const window = ofClass[at];
    if (!window) continue;
    const lengthMs = lengthen(window.lengthMs);
    const deciding = stamps[stamps.length - window.max];
    // A slot in flight is stamped ahead; its call is answered soon.
    const until = deciding === undefined ? 0 : Math.min(deciding, now) + lengthMs;
    if (until < now || (hold && until <= hold.until)) continue;
    const used = stamps.filter((stamp) => stamp >= now - lengthMs).length;
    hold = { reason: 'window', until, detail: describeFullWindow(window, { used, limit, allowed }) };
  }
  return hold;
}

/** Holds without a known end: what is shown beside them is the time of the next try. */
const ENDLESS: readonly string[] = ['sign-in', 'unauthorized', 'upstream'];

export function isEndless({ reason }: Hold): boolean {
  return ENDLESS.includes(reason);
}

/** Of several holds the one that decides when calls go out again: one without a known end, otherwise the one that ends last. */
export function decisiveHold(holds: readonly Hold[]): Hold | null {
  const endless = holds.find(isEndless);
  if (endless) return endless;
  return holds.reduce<Hold | null>(
    (last, hold) => (last === null || (hold.until ?? 0) > (last.until ?? 0) ? hold : last),
    null,
  );
}

function parseNotice(text: string | undefined): Notice | null {
  try {
    const value: unknown = text === undefined ? null : JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

function describe(notice: Notice | null): string {
  if (!notice) return '';
  const { code = '', message = '' } = notice;
  return withCode(code, message);
}
