import { type AppDeps, checkPlace, connect, createTenant, locateRedis, tenantOf } from './app.ts';
import { formatWindows } from './budget/windows.ts';
import { systemClock } from './clock.ts';
import type { Config, SignInConfig } from './config.ts';
import { createClient, createDispatcher } from './defender/client.ts';
import { createSignIn } from './defender/sign-in.ts';
import { StanddownError } from './errors.ts';
import { LANES } from './keys.ts';
import { createService } from './lane/service.ts';
import { closeRedis } from './redis/connect.ts';
import { describeRedis } from './redis/target.ts';

/* The worker's half of the composition root, apart so that commands do not load what only calling needs. */

export interface WorkerOptions {
  /** Read what became of each action once a campaign is drained. Default false. */
  verify?: boolean;
}

export interface Worker {
  /** Takes no new job, ends waits, finishes calls in flight within the call timeout. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a worker for the configured tenant; it drains until stopped.
 *
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE
 */
export async function startWorker(deps: AppDeps, options: WorkerOptions = {}): Promise<Worker> {
  const { config, log } = deps;
  const signInConfig = signInOf(config);
  tenantOf(config);
  const place = await locateRedis(deps);
  // A first look with a time limit: a worker that starts should say at once that Redis is away or unsuitable.
  const probe = await connect(place, 'command', 'check', log);
  await checkPlace(probe, log).finally(() => closeRedis(probe));
  const lanesRedis = await connect(place, 'worker', 'lanes', log);
  const redis = await connect(place, 'ledger', 'ledger', log);
  const { concurrency, callTimeoutMs } = config;
  const dispatcher = createDispatcher({ connections: LANES.length * concurrency, ...config });
  const service = createService({
    ...createTenant(config, redis),
    lanesRedis,
    signIn: createSignIn({ config: signInConfig, dispatcher, clock: systemClock, timeoutMs: callTimeoutMs }),
    client: createClient({ apiUrl: config.apiUrl, dispatcher }),
    clock: systemClock,
    callTimeoutMs,
    concurrency,
    defaultComment: config.defaultComment,
    retentionMs: config.resultRetentionMs,
    precheck: config.precheck === 'auto',
    verify: options.verify ?? false,
    log,
  });
  service.start();
  log.info(
    { redis: describeRedis(place.target), api: config.apiUrl, limits: formatWindows(config.limits.windows) },
    'worker started',
  );
  return {
    stop: async () => {
      await service.stop();
      await Promise.all([closeRedis(lanesRedis), closeRedis(redis), dispatcher.destroy()]);
    },
  };
}

function signInOf(config: Config): SignInConfig {
  if (config.signIn) return config.signIn;
  const missing = config.signInMissing.join(', ');
  throw new StanddownError('CONFIG_INVALID', `a worker has to sign in; missing: ${missing}`);
}
