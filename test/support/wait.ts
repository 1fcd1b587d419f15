import { setTimeout as delay } from 'node:timers/promises';

/**
 * Repeats an assertion until it holds; what it says last when the time is over.
 *
 * @param withinMs default 10 s.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
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
