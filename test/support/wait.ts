import { setTimeout as delay } from 'node:timers/promises';

/**
 * Repeats an assertion until it holds; what it says last when the time is over.
 *
 * @param withinMs when to give up. Default 60 s: a busy machine is slow, and only a test that fails waits for so long.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 60_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(20);
    }
  }
}
