import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** Wall time for what is stored, monotonic time for durations; injected wherever a decision depends on time. */
export interface Clock {
  /** Milliseconds since 1970, as this machine believes. May step. */
  wall(): number;
  /** Milliseconds from an arbitrary start, with fractions. Never steps. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What a timer can be set to, in ms: a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What tells a worker that its monotonic clock stood still: on Linux and macOS it does while the machine is suspended. */
export interface SleepSigns {
  wall: Clock['wall'];
  /** How long the machine was suspended, in ms. Only what it grows by counts; it does not where the system does not tell. */
  suspendedMs(): number;
}

export const systemSigns: SleepSigns = {
  wall: () => Date.now(),
  suspendedMs: () => 1_000 * uptime() - performance.now(),
};

/**
 * Starts to measure how many ms pass, by the clock that goes further: the monotonic one stands still while the machine is suspended, and
 * the wall clock may be set back.
 */
export function stopwatch(clock: Pick<Clock, 'wall' | 'monotonic'>): () => number {
  const [wall, monotonic] = [clock.wall(), clock.monotonic()];
  return () => Math.max(clock.wall() - wall, clock.monotonic() - monotonic);
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    signal?.throwIfAborted();
    try {
      let left = Math.max(0, Math.ceil(ms));
      for (; left > LONGEST_TIMER_MS; left -= LONGEST_TIMER_MS)
        await delay(LONGEST_TIMER_MS, undefined, signal ? { signal } : {});
      await delay(left, undefined, signal ? { signal } : {});
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
