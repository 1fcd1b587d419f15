import { setTimeout as delay } from 'node:timers/promises';

/** No promise of the product: only when a test gives up, so it is far longer than anything takes on a busy machine. */
const GIVE_UP_MS = 60_000;

/**
 * Repeats an assertion until it holds; what it says last when the time is over.
 *
 * @param withinMs default 60 s.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = GIVE_UP_MS): Promise<T> {
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
