import { RateLimiterRedis, type RateLimiterRes, RateLimiterUnion } from 'rate-limiter-flexible';
import type { Quota } from '../../../src/simulator/limiter.ts';
import { createCaller, delay, forEachId, openRedis, readOptions, receiveIds } from './program.ts';

/*
 * rate-limiter-flexible: a union of two limiters in Redis. Its queue takes no union, so one waiter in each process asks for the
 * next place, and after a rejection waits as long as the limiters that rejected say (`msBeforeNext`). A 429 holds the waiter for the
 * time it names, and the id asks again.
 */
const options = readOptions();
const { cancel, close } = createCaller(options);
const storeClient = openRedis(options);
const [short, long] = options.quotas;
const limiterFor = ({ max, windowMs }: Quota) =>
  new RateLimiterRedis({
    storeClient,
    keyPrefix: `${options.label}-${windowMs}`,
    points: max,
    duration: windowMs / 1_000,
  });
const union = new RateLimiterUnion(limiterFor(short), limiterFor(long));
let heldUntil = 0;
let line = Promise.resolve();

async function takePlace(): Promise<void> {
  for (;;) {
    if (heldUntil > performance.now()) await delay(heldUntil - performance.now());
    const rejected = await union.consume('api').then(
      () => null,
      (by: Record<string, RateLimiterRes | Error>) => Object.values(by),
    );
    if (!rejected) return;
    const waitsMs = rejected.map((its) => {
      if (its instanceof Error) throw its;
      return its.msBeforeNext;
    });
    await delay(Math.max(1, ...waitsMs));
  }
}

/** First come, first served. */
function waitInLine(): Promise<void> {
  line = line.then(takePlace);
  return line;
}

const ids = await receiveIds();
await forEachId(ids, options.concurrency, async (id) => {
  for (;;) {
    await waitInLine();
    const answer = await cancel(id);
    if (!answer.refused) return;
    heldUntil = Math.max(heldUntil, performance.now() + answer.retryAfterMs);
  }
});
storeClient.disconnect();
await close();
