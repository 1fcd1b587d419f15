import { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import { systemClock } from '../clock.ts';
import type { RedisClient } from '../script.ts';
import { causeOf, redisUnreachable } from './failure.ts';
import { COMMAND_LIMITS, clusterOptions, type Reactions, type RedisRole, redisOptions } from './options.ts';
import { describeRedis, type RedisTarget } from './target.ts';

const SLOWEST_RETRY_MS = 2000;
/** Well below the embedded server's grace, or it could be gone again before we come. */
const SLOWEST_EMBEDDED_RETRY_MS = 200;
const READONLY_PAUSE_MS = 1000;
const QUIT_MS = 1000;

export interface OpenParams {
  target: RedisTarget;
  role: RedisRole;
  /** Shown by `CLIENT LIST`. */
  connectionName: string;
  log: Logger;
  /** Brings the embedded Redis back when it is gone; called before each attempt to connect again. */
  ensure?: (() => Promise<void>) | undefined;
}

/**
 * Opens a connection, or those of a cluster. It may be given to BullMQ as `connection`: what BullMQ duplicates behaves
 * the same, `ensure` included.
 *
 * As `worker` it returns at once and keeps connecting for ever, 50 ms to 2 s apart; each outage is logged once. Blocking
 * commands may block for 20 s at most. As `command` it returns when Redis is ready; a later outage is bridged for 4 s,
 * then every command fails at once.
 *
 * @throws StanddownError `REDIS_UNREACHABLE`, as `command` only: refused, or not ready within 4.5 s.
 */
export async function openRedis(params: OpenParams): Promise<RedisClient> {
  const { target, role, log } = params;
  const state: State = { opened: role !== 'command', lostAt: 0, readonlyAt: Number.NEGATIVE_INFINITY };
  const redis = build(params, reactionsFor(params, state));
  if (role !== 'command') {
    logOutages({ redis, target, log });
    redis.connect().catch(() => undefined); // Failures come as error events too.
  } else {
    await untilReady({ redis, target });
    state.opened = true;
  }
  return redis;
}

/**
 * Ends a connection: when Redis is there, what runs may finish for up to a second; when it is away, what waits fails
 * now. May be called again.
 */
export async function closeRedis(redis: RedisClient): Promise<void> {
  if (redis.status === 'ready') {
    const stop = new AbortController();
    const limit = systemClock.sleep(QUIT_MS, stop.signal).catch(() => undefined);
    await Promise.race([redis.quit().catch(() => undefined), limit]);
    stop.abort();
  }
  redis.disconnect();
  if (redis.status !== 'reconnecting') return;
  // Between two attempts ioredis only drops the timer and leaves waiting commands hanging. An attempt begun and ended
  // before it reaches the network settles them.
  redis.connect().catch(() => undefined);
  redis.disconnect();
}

interface State {
  /** Whether an outage is bridged; at first a command has none to bridge and fails at once. */
  opened: boolean;
  /** When the present outage began, and when Redis last said it takes no writes; monotonic, in ms. */
  lostAt: number;
  readonlyAt: number;
}

function build({ target, role, connectionName }: OpenParams, reactions: Reactions): RedisClient {
  const common = { role, connectionName, reactions };
  return target.kind === 'cluster'
    ? new Cluster(target.nodes, clusterOptions({ target, ...common }))
    : new Redis(redisOptions({ target, ...common }));
}

function reactionsFor({ role, log, ensure }: OpenParams, state: State): Reactions {
  return {
    retry: (times) => {
      const now = systemClock.monotonic();
      if (times === 1) state.lostAt = now;
      // An embedded Redis may stop between the look at it and our connecting, even for a command.
      if (!state.opened && ensure === undefined) return null;
      if (role === 'command' && now - state.lostAt > COMMAND_LIMITS.outageMs) return null;
      ensure?.().catch((error: unknown) =>
        log.debug({ err: error }, 'the embedded Redis could not be started'),
      );
      // A server that was made a replica is left by connecting anew; if that leads to the same one again, not in a storm.
      const pause = now - state.readonlyAt < READONLY_PAUSE_MS ? READONLY_PAUSE_MS : 0;
      const slowest = ensure === undefined ? SLOWEST_RETRY_MS : SLOWEST_EMBEDDED_RETRY_MS;
      return Math.max(pause, Math.min(slowest, 50 * 2 ** (times - 1)));
    },
    onReplyError: (error) => {
      // Not always the first word: older servers wrap what a script met.
      if (!error.message.includes('READONLY')) return false;
      state.readonlyAt = systemClock.monotonic();
      return 2; // It was refused, not run: it can be sent again.
    },
  };
}

function logOutages({ redis, target, log }: { redis: RedisClient; target: RedisTarget; log: Logger }): void {
  const where = describeRedis(target);
  let reported: string | undefined;
  redis.on('error', (error: unknown) => {
    const cause = causeOf(error);
    if (cause === reported) return;
    reported = cause;
    log.warn({ redis: where, cause }, 'Redis is away; connecting again until it is back');
  });
  redis.on('ready', () => {
    if (reported !== undefined) log.info({ redis: where }, 'Redis is back');
    reported = undefined;
  });
}

function untilReady({ redis, target }: { redis: RedisClient; target: RedisTarget }): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: unknown = new Error('Command timed out');
    const settle = (error?: unknown) => {
      clearTimeout(timer);
      if (error === undefined) return resolve();
      redis.disconnect();
      reject(redisUnreachable({ target, error }));
    };
    const timer = setTimeout(() => settle(last), COMMAND_LIMITS.openMs);
    // Stays for the life of the connection: an error event that nobody hears would end the process.
    redis.on('error', (error: Error) => {
      last = error;
      if (error.name === 'ReplyError') settle(error);
    });
    redis.on('sentinelError', (error: Error) => {
      last = error;
    });
    redis.once('end', () => settle(last));
    redis.once('ready', () => settle());
    redis.connect().catch(() => undefined);
  });
}
