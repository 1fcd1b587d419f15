import type * as ioredis from 'ioredis';
import { LONGEST_BLOCK_MS } from '../../config/timings.ts';
import { SteadySentinelConnector } from './sentinel.ts';
import type { ClusterTarget, RedisTarget, SentinelTarget } from './target.ts';

/** Replies are mapped as by default; ioredis' own types do not let an option that is perhaps absent through. */
type RedisOptions = Omit<ioredis.RedisOptions, 'replyMapping'>;
type CommonRedisOptions = Omit<ioredis.CommonRedisOptions, 'replyMapping' | 'retryStrategy'>;
type ClusterOptions = Omit<ioredis.ClusterOptions, 'redisOptions'> & { redisOptions: CommonRedisOptions };

/**
 * Who uses the connection: a worker waits for Redis as long as it takes, a command soon says that it is away. A ledger
 * waits too, but what was under way when the connection broke fails: it must not be sent to another Redis process as if
 * nothing had happened.
 */
export type RedisRole = 'worker' | 'ledger' | 'command';

/** How long a command waits before it fails, in ms. */
export interface CommandLimits {
  /** For a connection that is ready, from `openRedis` on. */
  openMs: number;
  /** For a single attempt to connect. */
  connectMs: number;
  /** For an answer, from the call on. */
  answerMs: number;
  /** For Redis to come back. */
  outageMs: number;
}

/** Each keeps the failure it is for under 5 s. */
export const COMMAND_LIMITS: CommandLimits = {
  openMs: 4500,
  connectMs: 3000,
  answerMs: 4000,
  outageMs: 4000,
};

/** What ioredis asks while it runs. */
export interface Reactions {
  /** Delay in ms before the next attempt, the `times`-th in a row, or `null` to give up. */
  retry(times: number): number | null;
  /** Redis answered with an error: hand it on (`false`), connect anew besides (1), or do that and send it again (2). */
  onReplyError(error: Error): false | 1 | 2;
}

export interface OptionsParams<Target extends RedisTarget> {
  target: Target;
  role: RedisRole;
  connectionName: string;
  reactions: Reactions;
  /** Of a command. */
  limits: CommandLimits;
  /** It only waits for what comes, under keys of one slot. Default false. */
  waitsOnly?: boolean;
}

/** ioredis' options for everything but a cluster. */
export function redisOptions(params: OptionsParams<Exclude<RedisTarget, ClusterTarget>>): RedisOptions {
  const { target, reactions } = params;
  const options: RedisOptions = {
    ...commonOptions(params),
    db: target.db,
    retryStrategy: reactions.retry,
    // How long a socket may take to close. One that has closed already keeps the process for all of this time.
    disconnectTimeout: 250,
  };
  switch (target.kind) {
    case 'unix':
      return { ...options, path: target.path };
    case 'single':
      return { ...options, host: target.host, port: target.port, ...(target.tls ? { tls: {} } : {}) };
    case 'sentinel':
      return { ...options, ...sentinelOptions({ ...params, target }) };
  }
}

/** ioredis' options for a cluster. */
export function clusterOptions(params: OptionsParams<ClusterTarget>): ClusterOptions {
  const { tls } = params.target;
  return {
    lazyConnect: true,
    // Whether all of the cluster is there is asked of any node: one more connection, where only one is needed.
    enableReadyCheck: !params.waitsOnly,
    clusterRetryStrategy: params.reactions.retry,
    // A cluster sends again by itself what was under way to a node that is gone; 0 keeps it from that.
    ...(params.role === 'ledger' ? { retryDelayOnFailover: 0 } : {}),
    redisOptions: { ...commonOptions(params), ...(tls ? { tls: {} } : {}) },
    // A certificate is for a name, so with TLS the names that nodes announce are not looked up before connecting.
    ...(tls ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
  };
}

function sentinelOptions({ target, role, reactions }: OptionsParams<SentinelTarget>): RedisOptions {
  return {
    Connector: SteadySentinelConnector,
    sentinels: target.sentinels,
    name: target.master,
    sentinelUsername: target.sentinelUsername,
    sentinelPassword: target.sentinelPassword,
    sentinelRetryStrategy: reactions.retry,
    // A sentinel that is away must leave time to ask the next one.
    connectTimeout: 1000,
    sentinelCommandTimeout: 1000,
    // A master that was cut off and replaced keeps its connections: the sentinels tell us when to leave it.
    failoverDetector: role !== 'command',
    ...(target.tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  };
}

function commonOptions({
  target,
  role,
  connectionName,
  reactions,
  limits,
}: OptionsParams<RedisTarget>): CommonRedisOptions {
  const { username, password } = target;
  return {
    connectionName,
    // Of the library, by CLIENT SETINFO: nobody asks for it, and it would be one right more for each user of Redis.
    disableClientInfo: true,
    username,
    password,
    lazyConnect: true,
    keepAlive: 10_000,
    maxLoadingRetryTime: 1000,
    /*
     * Commands wait in the offline queue while Redis is away, and one whose answer was lost is sent again on the next
     * connection. It may then run twice, so whatever is sent must bear that: our scripts do, and so do BullMQ's. A
     * ledger's are not sent again; connect.ts makes them fail.
     */
    enableOfflineQueue: true,
    autoResendUnfulfilledCommands: role !== 'ledger',
    /*
     * Off, as by default: it would gather the commands of one tick into a pipeline unasked. One that breaks off among
     * its answers is not sent again but fails, so that a command's fate would hang on its neighbours', and so would it
     * on a script that Redis has forgotten.
     */
    enableAutoPipelining: false,
    // BullMQ insists on it for its blocking connections. How long a command may wait is said by the limits below.
    maxRetriesPerRequest: null,
    reconnectOnError: reactions.onReplyError,
    ...(role === 'command' ? commandOptions(limits) : WORKER),
  };
}

/**
 * A worker's commands have no limit of their own, for BullMQ's blocking ones take up to `LONGEST_BLOCK_MS`. But a connection that owes
 * an answer and brings nothing for 30 s is dead, whatever TCP thinks: a lost route would show only after 15 minutes.
 */
const WORKER: CommonRedisOptions = { connectTimeout: 5000, socketTimeout: LONGEST_BLOCK_MS + 10_000 };

/** The command's limit runs from the call on, also while it waits in the offline queue. */
function commandOptions({ connectMs, answerMs }: CommandLimits): CommonRedisOptions {
  return { connectTimeout: connectMs, commandTimeout: answerMs };
}
