import { setTimeout as delay } from 'node:timers/promises';

/** What takes seconds need not be looked at 50 times in each. */
const LONGEST_WAIT_MS = 150;

/**
 * Repeats an assertion until it holds; what it says last when the time is over.
 *
 * @param withinMs when to give up. Default 60 s: a busy machine is slow, and only a test that fails waits for so long.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 60_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (let waitMs = 20; ; waitMs = Math.min(LONGEST_WAIT_MS, 1.2 * waitMs)) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(waitMs);
    }
  }
}
