import type { LimitMode } from '../../../src/simulator/index.ts';
import type { LatencyOptions } from '../../../src/simulator/latency.ts';
import type { Quota } from '../../../src/simulator/limiter.ts';

/** How long the API takes to answer. */
export const LATENCIES = {
  /** 4–16 ms. */
  narrow: { latencyMs: { min: 4, max: 16 } },
  /** 2–200 ms. */
  wide: { latencyMs: { min: 2, max: 200 } },
  /** 4–16 ms, and 1 % at 1 s. */
  slow: { latencyMs: { min: 4, max: 16 }, slowShare: 0.01, slowMs: 1_000 },
} satisfies Record<string, LatencyOptions>;

/** By how much the windows of 100 a minute and 1,500 an hour are shortened. */
export const LIMITS = { 60: '100/1s,1500/60s', 10: '100/6s,1500/6m' } as const;

/** What one cell of the matrix is measured under; the same for everyone in it. */
export interface SetUp {
  scale: keyof typeof LIMITS;
  /** How the server counts. */
  mode: LimitMode;
  latency: keyof typeof LATENCIES;
  ids: number;
  processes: number;
}

/** Calls at once in each process. */
export const CONCURRENCY = 10;

/**
 * The least time from the first call to the last one of `count` in which no window of any quota holds more than it allows:
 * call n may go when, for each quota, call n - max is as old as its window. Calls themselves take no time.
 *
 * It is that of a client that has to hold in any window whatsoever. A server that counts in fixed windows or fills a bucket
 * would take some calls sooner, if one knew which it is and where its windows begin.
 */
export function idealMs(count: number, quotas: readonly Quota[]): number {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const after = quotas.map(({ max, windowMs }) => (n < max ? 0 : (times[n - max] ?? 0) + windowMs));
    times.push(Math.max(0, ...after));
  }
  return times.at(-1) ?? 0;
}

export function describe({ scale, mode, latency, ids, processes }: SetUp): string {
  const its = processes === 1 ? '1 process' : `${processes} processes`;
  return `1:${scale} (${LIMITS[scale]}), ${mode}, ${latency}, ${ids.toLocaleString('en-US')} ids, ${its}`;
}
