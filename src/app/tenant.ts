import { systemClock, systemSigns } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { type Limits, longestMs } from '../config/limits.ts';
import { TIMINGS, type Timings } from '../config/timings.ts';
import type { Traces } from '../ops/traces/open.ts';
import type { EpochContext } from '../store/budget/epoch.ts';
import { graceFor } from '../store/budget/guard.ts';
import { createMemory, type Memory } from '../store/budget/memory.ts';
import { type Keys, keysFor } from '../store/keys.ts';
import { createLedger, type Ledger } from '../store/ledger/ledger.ts';
import { checkVersion } from '../store/ledger/version.ts';
import { checkRedis } from '../store/redis/check.ts';
import { closeRedis, isCutOff, type OpenParams, openRedis } from '../store/redis/connect.ts';
import { startEmbedded } from '../store/redis/embedded.ts';
import { redisRefused, redisUnanswered } from '../store/redis/failure.ts';
import type { RedisRole } from '../store/redis/options.ts';
import { parseRedisUrl } from '../store/redis/redis-url.ts';
import type { RedisTarget } from '../store/redis/target.ts';
import type { RedisClient } from '../store/script.ts';

export interface AppDeps {
  config: Config;
  log: Logger;
  /** Folders to search for programs, as in the environment's PATH. */
  path: string;
  /** Default: nothing is followed. */
  traces?: Traces | null;
  /** Default: those of production. */
  timings?: Timings;
  /** Standdown's own. Default: it is not said. */
  version?: string;
  /** Whether the process may be ended when its event loop hangs: it is a worker's own. Default true. */
  ownsProcess?: boolean;
}

/** Where Redis is, and how an embedded one is brought back. */
export interface RedisPlace {
  target: RedisTarget;
  ensure?: () => Promise<void>;
  /** Is told when the user may not do what was sent. */
  onRefused?: (error: StanddownError) => void;
}

/** One tenant, as everything that works on it sees it. */
export interface Tenant {
  label: string;
  redis: RedisClient;
  keys: Keys;
  memory: Memory;
  ledger: Ledger;
  epoch: EpochContext;
  limits: Limits;
  timings: Timings;
}

/**
 * Finds Redis: REDIS_URL, or the embedded one, which is installed and started where it is not there yet.
 *
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE
 */
export async function locateRedis({ config, log, path }: AppDeps): Promise<RedisPlace> {
  if (config.redisUrl) return { target: parseRedisUrl(config.redisUrl.reveal()) };
  const { target, ensure } = await startEmbedded({ dataDir: config.dataDir, path, log, install: true });
  return { target, ensure };
}

/** Opens a connection of the given kind. @throws StanddownError REDIS_UNREACHABLE */
export function connect(
  place: RedisPlace,
  role: RedisRole,
  name: string,
  log: Logger,
  options: Pick<OpenParams, 'readsOnly'> = {},
): Promise<RedisClient> {
  return openRedis({ ...place, role, connectionName: `standdown-${name}`, log, ...options });
}

/** @throws StanddownError REDIS_UNSUITABLE; warnings are logged. */
export async function checkPlace(redis: RedisClient, log: Logger): Promise<void> {
  const { warnings, version, server } = await checkRedis(redis);
  for (const warning of warnings) log.warn(warning);
  log.debug({ version, server }, 'Redis');
}

/** @throws StanddownError CONFIG_INVALID when nothing says which tenant. */
export function tenantOf(config: Config): string {
  if (config.tenant !== null) return config.tenant;
  throw new StanddownError(
    'CONFIG_INVALID',
    config.tenantsFile === null
      ? 'no tenant selected; set STANDDOWN_TENANT (a label) or AZURE_TENANT_ID, in the environment or in a file given by --env-file'
      : `no tenant selected; choose one of those in ${config.tenantsFile} with --tenant LABEL`,
  );
}

/**
 * Builds what works on a tenant over a connection.
 *
 * @param options.known what is remembered of the tenant's slots. Default: nothing.
 */
export function createTenant(
  config: Config,
  redis: RedisClient,
  { known, timings = TIMINGS }: { known?: Memory | undefined; timings?: Timings } = {},
): Tenant {
  const { limits } = config;
  const label = tenantOf(config);
  const keys = keysFor(label);
  const longest = longestMs(limits.windows);
  const graceMs = graceFor(timings, longest);
  const memory = known ?? createMemory({ keepMs: longest, signs: systemSigns, graceMs });
  memory.keepFor(longest);
  const { monotonic, wall } = systemClock;
  const epoch: EpochContext = {
    redis,
    keys,
    memory,
    monotonic,
    wall,
    timings,
    graceMs,
  };
  const { callTimeoutMs, maxAttempts } = config;
  const ledger = createLedger({ ...epoch, settings: { limits, callTimeoutMs, maxAttempts } });
  return { label, redis, keys, memory, ledger, epoch, limits, timings };
}

/** Runs something on a tenant over a connection of its own, which is closed afterwards. */
export async function withTenant<T>(deps: AppDeps, run: (tenant: Tenant) => Promise<T>): Promise<T> {
  tenantOf(deps.config);
  const place = await locateRedis(deps);
  const redis = await connect(place, 'command', 'command', deps.log);
  try {
    await checkPlace(redis, deps.log);
    const tenant = createTenant(deps.config, redis, deps);
    await checkVersion(redis, tenant.keys);
    return await run(tenant);
  } catch (error) {
    const { target } = place;
    const failure = redisRefused({ target, error });
    throw failure ?? redisUnanswered({ target, error, isCutOff: isCutOff(redis) }) ?? error;
  } finally {
    await closeRedis(redis);
  }
}
