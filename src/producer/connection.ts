import type { Cluster, Redis } from 'ioredis';
import { systemClock } from '../base/clock.ts';
import { messageOf, StanddownError } from '../base/errors.ts';
import { closeRedis, openRedis } from '../store/redis/connect.ts';
import { causeOf, isNotPermitted, isReply, redisUnreachable } from '../store/redis/failure.ts';
import { parseRedisUrl } from '../store/redis/redis-url.ts';
import type { RedisTarget } from '../store/redis/target.ts';
import type { RedisClient } from '../store/script.ts';

/** How a producer reaches Redis. */
export interface Link {
  /** For everything that does not block. */
  redis: RedisClient;
  /** A further connection, for commands that block; the caller closes it with `closeReader`. */
  openReader(name: string): Promise<RedisClient>;
  /** Closes what was opened here; a connection that was lent stays as it is. */
  close(): Promise<void>;
}

export interface LinkOptions {
  /** In ms. */
  openTimeoutMs: number;
  onWarning(message: string): void;
}

/** No command of a reader blocks for longer: how long it may take until something else is noticed, in ms. */
export const BLOCK_MS = 5_000;

const SLOWEST_RETRY_MS = 2_000;

/**
 * Opens a connection of its own, which from then on connects again for ever.
 *
 * @throws StanddownError CONFIG_INVALID, REDIS_UNREACHABLE
 */
export async function openLink(url: string, options: LinkOptions): Promise<Link> {
  const target = parseRedisUrl(url);
  const open = (name: string) =>
    openRedis({ target, role: 'worker', connectionName: `standdown-${name}`, log: logTo(options) });
  const redis = await open('producer');
  try {
    await untilReady(redis, target, options.openTimeoutMs);
  } catch (error) {
    await closeRedis(redis);
    throw error;
  }
  return { redis, openReader: open, close: () => closeRedis(redis) };
}

/**
 * Uses a connection of somebody else's, which is never closed here. What has to block gets a duplicate of it.
 *
 * @throws StanddownError USAGE when it cannot be used.
 */
export function borrowLink(redis: RedisClient): Link {
  if (typeof redis?.duplicate !== 'function' || typeof redis.options !== 'object') {
    throw new StanddownError('USAGE', 'redis must be a URL or an ioredis connection');
  }
  if (redis.options.keyPrefix) throw usage('has a keyPrefix, which BullMQ does not support');
  if (redis.status === 'end') throw usage('is closed');
  return {
    redis,
    openReader: async (name) => duplicate(redis, `standdown-${name}`),
    close: async () => undefined,
  };
}

/** Ends a reader at once, also in the middle of a command that blocks. */
export function closeReader(reader: RedisClient): void {
  if (reader.status !== 'end') reader.disconnect();
}

/** Why something ended: a connection that was cut off is only how a stop comes about. */
export function reasonOf(error: unknown, stop: AbortSignal): unknown {
  return stop.aborted ? stop.reason : asRedisError(error);
}

/** What failed in Redis or on the way there, as an error with a code; others stay as they are. */
export function asRedisError(error: unknown): StanddownError {
  if (error instanceof StanddownError && !isNotPermitted(error)) return error;
  return new StanddownError('REDIS_FAILED', `cannot use Redis: ${causeOf(error)}`, { cause: error });
}

/** What Redis answers while it loads its data, or a cluster or its master changes. */
const PASSING_REPLY = /\b(?:LOADING|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|READONLY|UNBLOCKED)\b/;

/**
 * Whether something failed only because Redis is away just now. Reconnecting alone does not bridge it all: a cluster whose master
 * is gone has ioredis give up after 16 redirections, which is sooner than a replica takes over.
 */
export function isPassing(error: unknown): boolean {
  if (isReply(error)) return PASSING_REPLY.test(messageOf(error));
  const isOurs = error instanceof StanddownError || error instanceof TypeError || error instanceof RangeError;
  return error instanceof Error && !isOurs;
}

function usage(what: string): StanddownError {
  return new StanddownError('USAGE', `the given Redis connection ${what}`);
}

/** Waits in any case: its owner's limits are for commands that answer at once. */
function duplicate(redis: RedisClient, connectionName: string): RedisClient {
  const retry = (times: number) => Math.min(SLOWEST_RETRY_MS, 50 * 2 ** (times - 1));
  const blocking = {
    connectionName,
    maxRetriesPerRequest: null,
    enableOfflineQueue: true,
    autoResendUnfulfilledCommands: true,
    commandTimeout: undefined,
    socketTimeout: 3 * BLOCK_MS,
  };
  const reader = isCluster(redis)
    ? redis.duplicate([], { lazyConnect: false, clusterRetryStrategy: retry, redisOptions: blocking })
    : redis.duplicate({ ...blocking, lazyConnect: false, retryStrategy: retry });
  // Its owner hears of an outage on the other one; an error event that nobody hears would end the process.
  reader.on('error', () => undefined);
  return reader;
}

function isCluster(redis: RedisClient): redis is Cluster {
  return redis.isCluster;
}

function logTo({ onWarning }: LinkOptions) {
  const say = (facts: object, words: string) => {
    const { redis, cause } = facts as { redis?: string; cause?: string };
    try {
      onWarning([words, redis, cause].filter((part) => part !== undefined).join(': '));
    } catch {
      // It is called by an event of the connection, where what it throws would end the process.
    }
  };
  return { warn: say, info: say } as Parameters<typeof openRedis>[0]['log'];
}

async function untilReady(redis: RedisClient, target: RedisTarget, timeoutMs: number): Promise<void> {
  const opened = new AbortController();
  const failed = Promise.withResolvers<never>();
  let last: unknown = new Error('Command timed out');
  const onError = (error: unknown) => {
    last = error;
    // A refusal, of the password for one, is final; one that still loads its data is not.
    if (isReply(error) && !String(error).includes('LOADING')) failed.reject(error);
  };
  const ready = Promise.withResolvers<void>();
  redis.on('error', onError);
  redis.once('ready', ready.resolve);
  if ((redis as Redis).status === 'ready') ready.resolve();
  const tooLate = systemClock.sleep(timeoutMs, opened.signal).then(
    () => Promise.reject(last),
    () => undefined,
  );
  try {
    await Promise.race([ready.promise, failed.promise, tooLate]);
  } catch (error) {
    throw redisUnreachable({ target, error });
  } finally {
    opened.abort();
    redis.off('error', onError);
    redis.off('ready', ready.resolve);
  }
}
