import { type AppDeps, checkPlace, connect, createTenant, locateRedis } from './app.ts';
import { systemClock } from './clock.ts';
import type { Config, ConsoleConfig } from './config.ts';
import { isLoopback } from './console/host.ts';
import { addOverview } from './console/overview.ts';
import { addQueues } from './console/queues.ts';
import { createServer, listen } from './console/server.ts';
import { createSessions } from './console/session.ts';
import { addTenantPage } from './console/tenant-page.ts';
import { createDirectory } from './console/tenants.ts';
import { StanddownError } from './errors.ts';
import type { Changes } from './fleet.ts';
import { closeRedis } from './redis/connect.ts';

/* The console's half of the composition root, apart so that commands do not load it. */

export interface ConsoleParts {
  settings: ConsoleConfig;
  /** Who acts where nobody has to sign in: `user@host`. */
  operator: string;
  /** Ms since 1970. Default: this machine's clock. */
  wall?: () => number;
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
  const { host, port, names, readToken, actToken } = settings;
  if (!isLoopback(host) && !readToken && !actToken) {
    const message = `CONSOLE_HOST: ${host} can be reached from elsewhere: set CONSOLE_READ_TOKEN or CONSOLE_ACT_TOKEN, or both`;
    throw new StanddownError('CONFIG_INVALID', message);
  }
  const place = await locateRedis(deps);
  // A first look with a time limit, as a worker's: the connection that stays waits for Redis for ever.
  const probe = await connect(place, 'command', 'check', log);
  await checkPlace(probe, log).finally(() => closeRedis(probe));
  const redis = await connect(place, 'worker', 'console', log);
  const stopping = new AbortController();
  const directory = createDirectory((config) => createTenant(config, redis));
  let closeQueues = async () => {};
  const app = await createServer({
    sessions: createSessions({ tokens: { read: readToken, act: actToken }, operator, wall }),
    names,
    log,
    stop: stopping.signal,
    routes: (site) => {
      addOverview(site, directory);
      addTenantPage(site, directory);
      closeQueues = addQueues(site, { directory, redis, log });
    },
  });
  const close = async () => {
    stopping.abort();
    await app.close();
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
