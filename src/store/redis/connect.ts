import { Cluster, Redis } from 'ioredis';
import { systemClock } from '../../base/clock.ts';
import type { StanddownError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { RedisClient } from '../script.ts';
import {
  causeOf,
  cutOff,
  isCommandRefused,
  isReply,
  isVague,
  redisRefused,
  redisUnreachable,
} from './failure.ts';
import {
  COMMAND_LIMITS,
  type CommandLimits,
  clusterOptions,
  type Reactions,
  type RedisRole,
  redisOptions,
} from './options.ts';
import { describeRedis, type RedisTarget } from './target.ts';

const SLOWEST_RETRY_MS = 2000;
/** Well below the embedded server's grace, or it could be gone again before we come. */
const SLOWEST_EMBEDDED_RETRY_MS = 100;
const READONLY_PAUSE_MS = 1000;
/** How often a connection that stays looks whether it still leads to the master. */
const ROLE_LOOK_MS = 20_000;
const CLOSE_MS = 1000;
/** A connection that is ready again so soon, so often in a row, is closed by its server each time, and nothing says so. */
const CUT_OFF_MS = 3000;
const CUT_OFF_TIMES = 3;
const CUT_OFF_PAUSE_MS = 1000;

export interface OpenParams {
  target: RedisTarget;
  role: RedisRole;
  /** Shown by `CLIENT LIST`. */
  connectionName: string;
  /** It only waits for what comes, under keys of one slot. Default false. */
  waitsOnly?: boolean;
  /** Whether it may read for long without a write, which would tell it that this is the master no more. Default: as `command`. */
  readsOnly?: boolean;
  /** Between two looks whether it still leads to the master, in ms. Default 20,000. */
  roleLookMs?: number;
  /** Those of a command that are not to be as `COMMAND_LIMITS` says. */
  limits?: Partial<CommandLimits>;
  log: Pick<Logger, 'warn' | 'info'>;
  /** Brings the embedded Redis back when it is gone; called before each attempt to connect again. */
  ensure?: (() => Promise<void>) | undefined;
  /** Is told when the user may not do what was sent, over this connection or what BullMQ makes of it. */
  onRefused?: ((error: StanddownError) => void) | undefined;
}

/**
 * Opens a connection, or those of a cluster. It may be given to BullMQ as `connection`: what BullMQ duplicates behaves
 * the same, `ensure` included.
 *
 * As `worker` or `ledger` it returns at once and keeps connecting for ever, 50 ms to 2 s apart; each outage is logged
 * once. Blocking commands may block for 20 s at most. As `command` it returns when Redis is ready; a later outage is bridged for 4 s,
 * then every command fails at once.
 *
 * @throws StanddownError `REDIS_UNREACHABLE`, as `command` only: refused, or not ready within 4.5 s.
 */
export async function openRedis(params: OpenParams): Promise<RedisClient> {
  const state: State = { ...FRESH, opened: params.role !== 'command' };
  const limits = { ...COMMAND_LIMITS, ...params.limits };
  const redis = build(params, reactionsFor(params, state, limits), limits);
  const watched = { ...params, redis, state };
  if (params.role === 'ledger' && redis instanceof Redis) failUnderWay(redis);
  const { readsOnly = params.role === 'command' } = params;
  if (readsOnly && redis instanceof Redis) leaveReplica({ ...watched, redis });
  if (params.role !== 'command') {
    logOutages(watched);
    redis.connect().catch(() => undefined); // Failures come as error events too.
  } else {
    redis.on('ready', () => noteReady(state));
    states.set(redis, state);
    await untilReady(watched, limits);
    state.opened = true;
    state.ready();
  }
  return redis;
}

const replicas = new WeakSet<RedisClient>();

/** Whether it was at the master, and what it leads to now is a replica: what is read there may be old. */
export function isBehind(redis: RedisClient): boolean {
  return replicas.has(redis);
}

/**
 * Ends a connection. When Redis is there, what runs may finish; when it is away, what waits fails. Takes a second at
 * most. May be called again.
 */
export async function closeRedis(redis: RedisClient): Promise<void> {
  const before = redis.status;
  if (before === 'ready') await atMost(CLOSE_MS, redis.quit());
  disconnect(redis);
  if (before !== 'reconnecting') return;
  // Between two attempts ioredis only drops its timer, and leaves hanging what waits. A last attempt settles that.
  await atMost(CLOSE_MS, redis.connect());
  disconnect(redis);
}

function disconnect(redis: RedisClient): void {
  // A cluster that has ended would begin to end again, and never be done.
  if (redis.status !== 'end') redis.disconnect();
}

/** Waits for something to end, however it does. */
async function atMost(limitMs: number, work: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  const limit = systemClock.sleep(limitMs, stop.signal).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), limit]);
  stop.abort();
}

interface State {
  /** Whether an outage is bridged; at first a command has none to bridge and fails at once. */
  opened: boolean;
  /** When the present outage began, and when Redis last said it takes no writes; monotonic, in ms. */
  lostAt: number;
  readonlyAt: number;
  /** When it was ready last, and how often in a row soon after the time before. */
  readyAt: number;
  readies: number;
  /** Is told every error of the connection, and why the embedded Redis could not be started. */
  trouble(error: unknown): void;
  /** Is told when it is ready, again after each outage. BullMQ allows each connection three listeners beside its own: this saves one. */
  ready(): void;
}

const FRESH = {
  lostAt: 0,
  readonlyAt: Number.NEGATIVE_INFINITY,
  readyAt: Number.NEGATIVE_INFINITY,
  readies: 0,
  trouble: () => undefined,
  ready: () => undefined,
};

interface Watched extends OpenParams {
  redis: RedisClient;
  state: State;
}

function build(
  { target, role, connectionName, waitsOnly = false }: OpenParams,
  reactions: Reactions,
  limits: CommandLimits,
): RedisClient {
  const common = { role, connectionName, reactions, limits, waitsOnly };
  return target.kind === 'cluster'
    ? new Cluster(target.nodes, clusterOptions({ target, ...common }))
    : new Redis(redisOptions({ target, ...common }));
}

function reactionsFor(
  { role, ensure, target, onRefused }: OpenParams,
  state: State,
  limits: CommandLimits,
): Reactions {
  return {
    retry: (times) => {
      const now = systemClock.monotonic();
      if (times === 1) state.lostAt = now;
      // An embedded Redis may stop between the look at it and our connecting, even for a command.
      if (!state.opened && ensure === undefined) return null;
      if (role === 'command' && now - state.lostAt > limits.outageMs) return null;
      ensure?.().catch((error: unknown) => state.trouble(error));
      // A server that was made a replica is left by connecting anew; if that leads to the same one again, not in a storm.
      const afterRefusal = now - state.readonlyAt < READONLY_PAUSE_MS ? READONLY_PAUSE_MS : 0;
      const pause = isOftenCut(state) ? CUT_OFF_PAUSE_MS : afterRefusal;
      const slowest = ensure === undefined ? SLOWEST_RETRY_MS : SLOWEST_EMBEDDED_RETRY_MS;
      return Math.max(pause, Math.min(slowest, 50 * 2 ** (times - 1)));
    },
    onReplyError: (error) => {
      const refused = onRefused && isCommandRefused(error) ? redisRefused({ target, error }) : null;
      if (refused) onRefused?.(refused);
      // Not always the first word: older servers wrap what a script met.
      if (!error.message.includes('READONLY')) return false;
      state.readonlyAt = systemClock.monotonic();
      // It was refused, not run, so it can be sent again; but a ledger's not to what may be another Redis.
      return role === 'ledger' ? 1 : 2;
    },
  };
}

function noteReady(state: State): void {
  const now = systemClock.monotonic();
  // A server that takes no writes is left at once, for another one.
  const isSoon = now - state.readyAt < CUT_OFF_MS && now - state.readonlyAt > CUT_OFF_MS;
  state.readies = isSoon ? state.readies + 1 : 1;
  state.readyAt = now;
}

function isOftenCut({ readies, readyAt }: State): boolean {
  return readies >= CUT_OFF_TIMES && systemClock.monotonic() - readyAt < 2 * CUT_OFF_MS;
}

const states = new WeakMap<RedisClient, State>();

/** Whether its server closes it whenever it is ready: what was asked over it gets no answer, or a late one. */
export function isCutOff(redis: RedisClient): boolean {
  const state = states.get(redis);
  return state !== undefined && isOftenCut(state);
}

function logOutages({ redis, target, log, state }: Watched): void {
  const where = describeRedis(target);
  const reported = new Set<string>();
  state.trouble = (error) => {
    const cause = causeOf(error, target);
    if (reported.has(cause)) return;
    reported.add(cause);
    log.warn({ redis: where, cause }, 'Redis is unreachable; reconnecting');
  };
  // Needed in any case: an error event that nobody hears would end the process.
  redis.on('error', (error: unknown) => state.trouble(error));
  let saidCutOff = false;
  redis.on('ready', () => {
    noteReady(state);
    if (reported.size > 0) log.info({ redis: where }, 'reconnected to Redis');
    reported.clear();
    if (isOftenCut(state) && !saidCutOff)
      log.warn({ redis: where, cause: causeOf(cutOff()) }, 'Redis closes the connection again and again');
    saidCutOff = isOftenCut(state);
    state.ready();
  });
}

/**
 * Who writes is told that the master has become a replica. Who only reads is not: where a managed Redis moved, what was the master may
 * go on answering for hours with what it had by then. So it looks, and connects anew, which asks for the address again.
 */
function leaveReplica({
  redis,
  target,
  log,
  state,
  roleLookMs = ROLE_LOOK_MS,
}: Watched & { redis: Redis }): void {
  let wasMaster = false;
  const look = async () => {
    if (redis.status !== 'ready') return;
    const role = /^role:(\w+)/m.exec(await redis.info('replication').catch(() => ''))?.[1];
    if (role === 'master') {
      wasMaster = true;
      replicas.delete(redis);
    }
    if (role !== 'slave' || !wasMaster) return;
    replicas.add(redis);
    log.warn(
      { redis: describeRedis(target) },
      'this Redis has become a replica; reconnecting to find the master',
    );
    state.readonlyAt = systemClock.monotonic();
    redis.disconnect(true);
  };
  state.ready = () => void look();
  const timer = setInterval(() => void look(), roleLookMs).unref();
  redis.once('end', () => clearInterval(timer));
}

/** What is not to be sent again ioredis only forgets: whoever awaits it would wait for ever. */
function failUnderWay(redis: Redis): void {
  let wasReady = false;
  redis.on('ready', () => {
    wasReady = true;
  });
  redis.on('close', () => {
    if (!wasReady) return; // Then these are ioredis' own, of the handshake.
    wasReady = false;
    for (let item = redis.commandQueue.shift(); item !== undefined; item = redis.commandQueue.shift()) {
      item.command.reject(new Error('Connection is closed.'));
    }
  });
}

function untilReady({ redis, target, state }: Watched, { openMs }: CommandLimits): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: unknown = new Error('Command timed out');
    const settle = (error?: unknown) => {
      clearTimeout(timer);
      state.trouble = () => undefined; // What comes later fails its own command.
      if (error === undefined) return resolve();
      disconnect(redis);
      reject(redisUnreachable({ target, error }));
    };
    const timer = setTimeout(() => settle(last), openMs);
    state.trouble = (error) => {
      last = error;
      // A refusal, of the password for one, is final.
      if (isReply(error)) settle(error);
    };
    // It stays for the life of the connection: an error event that nobody hears would end the process.
    redis.on('error', (error: unknown) => state.trouble(error));
    let fromSentinel: unknown;
    redis.on('sentinelError', (error: unknown) => {
      fromSentinel = error;
    });
    // The last error may say only that all sentinels failed.
    redis.once('end', () => settle(isVague(last) ? (fromSentinel ?? last) : last));
    redis.once('ready', () => settle());
    redis.connect().catch(() => undefined);
  });
}
