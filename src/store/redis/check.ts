import { Cluster, type Redis } from 'ioredis';
import { StanddownError } from '../../base/errors.ts';
import type { RedisClient } from '../script.ts';
import { isReply } from './failure.ts';
import { isAtLeast, OLDEST_REDIS } from './version.ts';

export interface RedisFacts {
  /** One sentence each; Redis can be used all the same. */
  warnings: string[];
  /** `unknown` where Redis does not say. */
  version: string;
  server: 'redis' | 'valkey' | 'dragonfly' | 'unknown';
  /** Changes when the server is started anew or another takes over; empty where Redis does not say. */
  runId: string;
}

/**
 * Looks whether Redis keeps what it is given, in a cluster at each master.
 *
 * @throws StanddownError `REDIS_UNSUITABLE` when it is older than 6.2, is a replica, may evict requests, or does not let us
 *   run INFO. What else it does not let us see is a warning.
 */
export async function checkRedis(redis: RedisClient): Promise<RedisFacts> {
  const nodes = redis instanceof Cluster ? redis.nodes('master') : [redis];
  const facts = await Promise.all(nodes.map(checkServer));
  const [first] = facts;
  if (first === undefined)
    throw unsuitable('the Redis cluster has no master; repair the cluster and try again');
  return {
    ...first,
    warnings: [...new Set(facts.flatMap(({ warnings }) => warnings))],
    runId: facts.map(({ runId }) => runId).join(','),
  };
}

async function checkServer(redis: Redis): Promise<RedisFacts> {
  const info = await readInfo(redis);
  if (info === undefined) throw unsuitable(NO_INFO);
  const save = info.aof_enabled === '1' ? undefined : await readSavePoints(redis);
  return {
    warnings: judgeRedis({ info, save }),
    ...serverOf(info),
    runId: info.run_id ?? '',
  };
}

/** Without it one Redis process could not be told from another, and so a loss of data would go unseen. */
const NO_INFO =
  'the Redis user has no permission to run INFO, which Standdown and BullMQ need; give the user in REDIS_URL the rights listed in docs/redis.md';

/** The fields of INFO. */
export type Info = Readonly<Record<string, string | undefined>>;

export interface Seen {
  info: Info;
  /** The setting `save`: pairs of seconds and changes, empty without snapshots; `undefined` when it may not be seen. */
  save: string | undefined;
}

/** The warnings about one server. Throws as `checkRedis` does. */
export function judgeRedis({ info, save }: Seen): string[] {
  return [
    ...judgeVersion(info),
    ...judgeRole(info),
    ...judgeEviction(info),
    ...judgePersistence({ info, save }),
  ];
}

function judgeVersion({ redis_version: version }: Info): string[] {
  if (version === undefined) {
    return [`Redis does not report its version: make sure that it is ${OLDEST_REDIS} or later.`];
  }
  if (isAtLeast(version, OLDEST_REDIS)) return [];
  throw unsuitable(`Redis ${version} is too old; use ${OLDEST_REDIS} or later`);
}

function judgeRole({ role, master_host: host, master_port: port }: Info): string[] {
  if (role !== 'slave') return [];
  throw unsuitable(
    `this Redis is a read-only replica; point REDIS_URL at its master, ${host}:${port}, or at its sentinels`,
  );
}

function judgeEviction({ maxmemory_policy: policy, maxmemory = '0' }: Info): string[] {
  if (policy === undefined) {
    return ['Redis does not report its maxmemory-policy: make sure that it is noeviction.'];
  }
  if (policy === 'noeviction') return [];
  const advice = 'set "maxmemory-policy noeviction" in its configuration';
  if (Number(maxmemory) > 0) {
    throw unsuitable(
      `Redis may evict data when its memory is full (maxmemory-policy is ${policy}); ${advice}`,
    );
  }
  return [`Redis will evict data once maxmemory is set (maxmemory-policy is ${policy}): ${advice}.`];
}

function judgePersistence({ info, save }: Seen): string[] {
  const advice = 'set "appendonly yes" in its configuration';
  if (info.aof_enabled === '1') {
    if (info.aof_last_write_status === 'ok') return [];
    return ['Redis could not write to its append-only file: check its disk and its log.'];
  }
  if (save === undefined) {
    return [
      `Redis does not report whether it saves snapshots, so a restart may lose queued actions and outcomes: ${advice}.`,
    ];
  }
  if (save === '') {
    return [`Redis saves nothing to disk, so a restart loses all queued actions and outcomes: ${advice}.`];
  }
  const seconds = save.split(' ').filter((_, index) => index % 2 === 0);
  const longest = Math.max(...seconds.map(Number));
  const warning = `Redis saves only snapshots, so a crash loses up to ${longest} s of queued actions and outcomes: ${advice}.`;
  if (info.rdb_last_bgsave_status !== 'err') return [warning];
  return [
    warning,
    'Redis could not save its last snapshot and may refuse writes: check its disk and its log.',
  ];
}

/** `undefined` when Redis answers and says no (ACL, renamed or unknown command), which is not the same as no answer. */
async function readInfo(redis: Redis): Promise<Info | undefined> {
  try {
    const lines = (await redis.info()).split(/\r?\n/).filter((line) => line.includes(':'));
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    );
  } catch (error) {
    if (isReply(error)) return undefined;
    throw error;
  }
}

async function readSavePoints(redis: Redis): Promise<string | undefined> {
  try {
    const reply: unknown = await redis.config('GET', 'save');
    return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : undefined;
  } catch (error) {
    if (isReply(error)) return undefined;
    throw error;
  }
}

/** Valkey and Dragonfly say in `redis_version` which Redis they are compatible with. */
export function serverOf(info: Info): Pick<RedisFacts, 'server' | 'version'> {
  const { redis_version: version = 'unknown', valkey_version: valkey, dragonfly_version: dragonfly } = info;
  if (dragonfly !== undefined) return { server: 'dragonfly', version: dragonfly.replace(/^df-v/, '') };
  if (valkey !== undefined) return { server: 'valkey', version: valkey };
  return { server: info.server_name === 'valkey' ? 'valkey' : 'redis', version };
}

function unsuitable(message: string): StanddownError {
  return new StanddownError('REDIS_UNSUITABLE', message);
}
