import { unreachable } from '../base/errors.ts';

/** At most `max` calls in `windowMs`. */
export interface Quota {
  /** A whole number, at least 1. */
  max: number;
  windowMs: number;
}

/**
 * How a quota counts.
 *
 * - `sliding`: at most `max` arrivals in any half-open window of that length. The strictest.
 * - `fixed`: at most `max` in each of a row of aligned windows, so twice as many pass around a boundary.
 * - `token-bucket`: a bucket of `max` tokens, refilled continuously with `max` per window.
 */
export type LimitMode = 'sliding' | 'fixed' | 'token-bucket';

export type Judgement = { allowed: true } | { allowed: false; waitMs: number; quota: Quota };

export interface Limiter {
  /**
   * Judges an arrival and counts it.
   *
   * @param nowMs monotonic, never less than before.
   * @returns when refused: the longest time until the next call passes, and the quota that demands it.
   */
  judge(nowMs: number): Judgement;
}

export interface LimiterOptions {
  mode: LimitMode;
  /** All of them hold at once; none means no limit. */
  quotas: readonly Quota[];
  /** Where the fixed windows are aligned, in ms of the clock that `judge` is given. */
  offsetMs: number;
  /** Whether a refused call uses quota as well. */
  refusedCallsCount: boolean;
}

/** One quota's count. `waitMs` is 0 when a call at this time passes. */
interface Meter {
  readonly quota: Quota;
  waitMs(nowMs: number): number;
  count(nowMs: number): void;
}

const ALLOWED: Judgement = { allowed: true };

/** A server's rate limit as a pure function of the arrival times. */
export function createLimiter(options: LimiterOptions): Limiter {
  const meters = options.quotas.map((quota) => createMeter(quota, options));
  return {
    judge: (nowMs) => {
      const refused = meters.some((meter) => meter.waitMs(nowMs) > 0);
      if (!refused || options.refusedCallsCount) {
        for (const meter of meters) meter.count(nowMs);
      }
      // Asked again after counting: a refused call that counts makes its own wait longer.
      return refused ? longestWait(meters, nowMs) : ALLOWED;
    },
  };
}

function longestWait(meters: readonly Meter[], nowMs: number): Judgement {
  let waitMs = 0;
  let quota: Quota = { max: 0, windowMs: 0 };
  for (const meter of meters) {
    const wait = meter.waitMs(nowMs);
    if (wait > waitMs) {
      waitMs = wait;
      quota = meter.quota;
    }
  }
  return { allowed: false, waitMs, quota };
}

function createMeter(quota: Quota, options: LimiterOptions): Meter {
  switch (options.mode) {
    case 'sliding':
      return slidingMeter(quota);
    case 'fixed':
      return fixedMeter(quota, options.offsetMs);
    case 'token-bucket':
      return bucketMeter(quota);
    default:
      return unreachable(options.mode);
  }
}

/** Only the newest `max` arrivals can matter: the oldest of them decides. */
function slidingMeter(quota: Quota): Meter {
  const newest: number[] = [];
  let oldest = 0;
  return {
    quota,
    waitMs: (nowMs) => {
      const decisive = newest.length < quota.max ? undefined : newest[oldest];
      if (decisive === undefined) return 0;
      const ageMs = nowMs - decisive;
      return ageMs < quota.windowMs ? quota.windowMs - ageMs : 0;
    },
    count: (nowMs) => {
      newest[oldest] = nowMs;
      oldest = (oldest + 1) % quota.max;
    },
  };
}

function fixedMeter(quota: Quota, offsetMs: number): Meter {
  let current = Number.NEGATIVE_INFINITY;
  let counted = 0;
  const windowAt = (nowMs: number) => Math.floor((nowMs - offsetMs) / quota.windowMs);
  return {
    quota,
    waitMs: (nowMs) => {
      const window = windowAt(nowMs);
      if (window !== current || counted < quota.max) return 0;
      return offsetMs + (window + 1) * quota.windowMs - nowMs;
    },
    count: (nowMs) => {
      const window = windowAt(nowMs);
      if (window !== current) counted = 0;
      current = window;
      counted += 1;
    },
  };
}

/** Kept in units of a token times a window, so that whole milliseconds stay exact. */
function bucketMeter(quota: Quota): Meter {
  const full = quota.max * quota.windowMs;
  let level = full;
  let filledAtMs = 0;
  const levelAt = (nowMs: number) => Math.min(full, level + (nowMs - filledAtMs) * quota.max);
  return {
    quota,
    waitMs: (nowMs) => {
      const missing = quota.windowMs - levelAt(nowMs);
      return missing > 0 ? missing / quota.max : 0;
    },
    count: (nowMs) => {
      // A refused call that counts takes what there is: a bucket holds no debt.
      level = Math.max(0, levelAt(nowMs) - quota.windowMs);
      filledAtMs = nowMs;
    },
  };
}
