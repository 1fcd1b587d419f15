import { once } from 'node:events';
import type { Changes } from '../app/fleet-changes.ts';
import { type AppDeps, checkPlace, connect, createTenant, locateRedis, type Tenant } from '../app/tenant.ts';
import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Config, ConsoleConfig } from '../config/config.ts';
import { openSpool } from '../files/in/spool.ts';
import { describeReadWait } from '../files/words/blocked.ts';
import { closeRedis, isBehind } from '../store/redis/connect.ts';
import type { RedisClient } from '../store/script.ts';
import { type ActionsDeps, addActions } from './actions.ts';
import { addBudgetPage } from './budget-page.ts';
import { addCampaignPage } from './campaign-page.ts';
import { createDrafts } from './drafts.ts';
import { isLoopback } from './host.ts';
import { createIndexes } from './indexes.ts';
import { addOverview } from './overview.ts';
import { addQueues } from './queues.ts';
import { addRequestPage } from './request-page.ts';
import { createSearches } from './searches.ts';
import { createServer, describeError, listen } from './server.ts';
import { createSessions } from './session.ts';
import { addSubmitPage, type SubmitDeps } from './submit-page.ts';
import { createTasks } from './tasks.ts';
import { addTenantPage } from './tenant-page.ts';
import { createDirectory } from './tenants.ts';

/* The console's half of the composition root, apart so that commands do not load it. */

export interface ConsoleParts {
  settings: ConsoleConfig;
  /** Who acts where nobody has to sign in: `user@host`. */
  operator: string;
  /** Standdown's own. */
  version: string;
  /** Says what ids are about, where the application may read; else why not. */
  preview: SubmitDeps['preview'];
  /** Ms since 1970. Default: this machine's clock. */
  wall?: () => number;
  /** How long a form may take to arrive, in ms. Default: 10,000. */
  bodyMs?: number;
}

export interface Console {
  /** Where it is served. */
  url: string;
  /** Makes these the tenants that it shows. */
  set(configs: readonly Config[]): Promise<Changes>;
  /** May be called again. */
  stop(): Promise<void>;
}

/**
 * Serves the operator's console; no tenant is shown yet.
 *
 * @param deps.config what all tenants share.
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE
 */
export async function startConsole(deps: AppDeps, parts: ConsoleParts): Promise<Console> {
  const { log } = deps;
  const { settings, operator, wall = systemClock.wall } = parts;
  const { host, port, names, proxies, readToken, actToken } = settings;
  if (!isLoopback(host) && !readToken && !actToken) {
    const message = `CONSOLE_HOST: ${host} is reachable from other machines; set CONSOLE_READ_TOKEN, CONSOLE_ACT_TOKEN or both`;
    throw new StanddownError('CONFIG_INVALID', message);
  }
  const place = await locateRedis(deps);
  // A first look with a time limit, as a worker's: the connection that stays waits for Redis for ever.
  const probe = await connect(place, 'command', 'check', log);
  await checkPlace(probe, log).finally(() => closeRedis(probe));
  const redis = await connect(place, 'worker', 'console', log, { readsOnly: true });
  // A page that is opened before says that Redis is away, and stays so.
  await untilReady(redis);
  const stopping = new AbortController();
  const directory = createDirectory((config) => createTenant(config, redis, deps));
  const indexes = createIndexes();
  const tasks = createTasks({ wall, describe: (error) => describeError(error, log) });
  const acting = {
    log,
    wall,
    version: parts.version,
    stop: stopping.signal,
    withReader: reading(stopping.signal),
    feedUrgent: async (tenant: Tenant) => (await import('../app/feed.ts')).feedUrgent(tenant, log),
  };
  const drafts = createDrafts();
  const submitting = {
    openSpool: () => openSpool(deps.config.dataDir),
    preview: parts.preview,
    feedUrgent: acting.feedUrgent,
  };
  let closeQueues = async () => {};
  const app = await createServer({
    sessions: createSessions({ tokens: { read: readToken, act: actToken }, operator, wall }),
    isReady: () => redis.status === 'ready' && !isBehind(redis),
    names,
    proxies,
    log,
    bodyMs: parts.bodyMs,
    stop: stopping.signal,
    routes: (site) => {
      addOverview(site, directory);
      addTenantPage(site, directory);
      addBudgetPage(site, directory);
      addCampaignPage(site, { directory, indexes, tasks, searches: createSearches() });
      addSubmitPage(site, { ...submitting, directory, drafts });
      addRequestPage(site, { directory, indexes });
      addActions(site, { ...acting, directory, tasks });
      closeQueues = addQueues(site, { directory, redis, log });
    },
  });
  const close = async () => {
    stopping.abort();
    await app.close();
    await tasks.settle();
    await drafts.close();
    await closeQueues();
    await closeRedis(redis);
  };
  try {
    const bound = await listen(app, host, port);
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}/`;
    return { url, set: async (configs) => directory.set(configs), stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Longer nobody waits for the console: Redis has just answered, and has gone since. In ms. */
const READY_MS = 5_000;

async function untilReady(redis: RedisClient): Promise<void> {
  if (redis.status === 'ready') return;
  await once(redis, 'ready', { signal: AbortSignal.timeout(READY_MS) }).catch(() => undefined);
}

/** What reading takes is opened for it, and closed afterwards. */
function reading(signal: AbortSignal): ActionsDeps['withReader'] {
  return async (config, tenant, onWait, run) => {
    const { openReader } = await import('../app/reader.ts');
    const { reader, close } = openReader(config, tenant, {
      signal,
      onWait: (wait) => onWait(describeReadWait(wait, Date.now())),
    });
    return run(reader).finally(close);
  };
}
