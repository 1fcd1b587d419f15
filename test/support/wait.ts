import { setTimeout as delay } from 'node:timers/promises';

/** What takes seconds need not be looked at 50 times in each. */
const LONGEST_WAIT_MS = 200;

/** When a test gives up what it waits for: a busy machine is slow, and only a test that fails waits for so long. */
export const PATIENCE_MS = 120_000;

/**
 * Repeats an assertion until it holds; what it says last when the time is over.
 *
 * @param withinMs when to give up.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = PATIENCE_MS): Promise<T> {
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
