import type { LimiterOptions, LimitMode, Quota } from '../../src/simulator/limiter.ts';

/** A limit told from the whole history each time: slow and plain, for whole ms only. */
export interface NaiveLimiter {
  passes(nowMs: number): boolean;
  count(nowMs: number, allowed: boolean): void;
}

type NaiveOptions = Omit<LimiterOptions, 'mode'>;

interface Arrival {
  atMs: number;
  allowed: boolean;
}

type Rule = (history: readonly Arrival[], quota: Quota, nowMs: number, options: NaiveOptions) => boolean;

const inSlidingWindow: Rule = (history, { max, windowMs }, nowMs) =>
  history.filter(({ atMs }) => atMs > nowMs - windowMs).length < max;

const inAlignedWindow: Rule = (history, { max, windowMs }, nowMs, { offsetMs }) => {
  let start = offsetMs;
  while (start > nowMs) start -= windowMs;
  while (start + windowMs <= nowMs) start += windowMs;
  return history.filter(({ atMs }) => atMs >= start).length < max;
};

/** Walks through time ms by ms, in parts of a token: a token is `windowMs` parts, a ms brings `max`. */
const inBucket: Rule = (history, { max, windowMs }, nowMs) => {
  let parts = max * windowMs;
  for (let ms = 0; ms <= nowMs; ms += 1) {
    if (ms > 0) parts = Math.min(max * windowMs, parts + max);
    for (const { atMs } of history) if (atMs === ms) parts = Math.max(0, parts - windowMs);
  }
  return parts >= windowMs;
};

function naive(rule: Rule) {
  return (options: NaiveOptions): NaiveLimiter => {
    const history: Arrival[] = [];
    return {
      passes: (nowMs) => options.quotas.every((quota) => rule(history, quota, nowMs, options)),
      count: (atMs, allowed) => {
        if (allowed || options.refusedCallsCount) history.push({ atMs, allowed });
      },
    };
  };
}

export const NAIVE: Record<LimitMode, (options: NaiveOptions) => NaiveLimiter> = {
  sliding: naive(inSlidingWindow),
  fixed: naive(inAlignedWindow),
  'token-bucket': naive(inBucket),
};
