import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';

/** What the thread is told. */
export interface ThreadOrders {
  /** One 32-bit number that the main thread counts up as long as its event loop turns. */
  beats: SharedArrayBuffer;
  /** Between two looks, in ms. */
  lookMs: number;
  /** Looks in a row without a beat after which the process is ended. */
  most: number;
}

/**
 * Ends the process, by SIGKILL and with a line on standard error, when its event loop does not turn for `timeoutMs`: a
 * process that hangs answers nobody, and holds claims until they lapse, but a new one goes on where it stood.
 *
 * The looks are counted, not the time: a machine that slept, or a process that was stopped, has lost neither. They come
 * from a thread, for nothing on the main one would run.
 *
 * @returns how to end it.
 */
export function watchEventLoop(timeoutMs: number): () => Promise<void> {
  const lookMs = Math.min(1_000, timeoutMs / 4);
  const beats = new SharedArrayBuffer(4);
  const count = new Int32Array(beats);
  const beat = () => Atomics.add(count, 0, 1);
  const timer = setInterval(beat, lookMs / 2);
  timer.unref();
  const orders: ThreadOrders = { beats, lookMs, most: Math.ceil(timeoutMs / lookMs) };
  const script = new URL(`./watchdog-thread${extname(import.meta.url)}`, import.meta.url);
  const thread = new Worker(script, { workerData: orders, resourceLimits: { maxOldGenerationSizeMb: 16 } });
  thread.unref();
  return async () => {
    clearInterval(timer);
    await thread.terminate();
  };
}

/** Longer than a connection takes to come back. */
const RECOVERY_MS = 30_000;

export interface RedisWatchDeps {
  /** When the worker's own loop last came round, whatever Redis said; monotonic, in ms. */
  turnedAt(): number;
  /** Whether Redis answers on a connection of its own. */
  answers(): Promise<boolean>;
  onStuck(silentMs: number): void;
  clock: Clock;
  timeoutMs: number;
}

/**
 * Tells when the worker's own loop waits for a Redis that answers others: something in between hangs, which waiting does
 * not cure. While Redis is away there is nothing to tell, nor while it answers with errors.
 *
 * @returns how to end it.
 */
export function watchRedisLoop(deps: RedisWatchDeps): () => void {
  const { clock, timeoutMs } = deps;
  let looking = false;
  const over = new AbortController();
  const look = async () => {
    const before = deps.turnedAt();
    if (clock.monotonic() - before < timeoutMs || !(await deps.answers())) return;
    // A machine that was asleep, or a Redis that is just back: the loop needs a moment, too.
    await clock.sleep(Math.min(RECOVERY_MS, timeoutMs), over.signal);
    if (deps.turnedAt() === before && (await deps.answers())) deps.onStuck(clock.monotonic() - before);
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look()
      .catch(() => undefined)
      .finally(() => {
        looking = false;
      });
  }, timeoutMs / 4);
  timer.unref();
  return () => {
    clearInterval(timer);
    over.abort();
  };
}
