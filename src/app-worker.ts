import {
  type AppDeps,
  checkPlace,
  connect,
  createTenant,
  locateRedis,
  type RedisPlace,
  tenantOf,
} from './app.ts';
import { formatWindows } from './budget/windows.ts';
import { systemClock } from './clock.ts';
import type { Config, SignInConfig } from './config.ts';
import { createClient, createDispatcher } from './defender/client.ts';
import { exposureOf } from './defender/credential-file.ts';
import { createSignIn } from './defender/sign-in.ts';
import { StanddownError } from './errors.ts';
import { serveHealth } from './health/server.ts';
import { liveness, readiness } from './health/vitals.ts';
import { watchEventLoop, watchRedisLoop } from './health/watchdog.ts';
import { keysFor, LANES } from './keys.ts';
import { createService, type Service } from './lane/service.ts';
import { noteVersion } from './ledger/version.ts';
import type { Logger } from './log.ts';
import { closeRedis } from './redis/connect.ts';
import { describeRedis } from './redis/target.ts';
import { describeSignIn } from './sign-in-config.ts';

/* The worker's half of the composition root, apart so that commands do not load what only calling needs. */

export interface WorkerOptions {
  /** Read what became of each action once a campaign is drained. Default false. */
  verify?: boolean;
}

export interface Worker {
  /** Takes no new job, ends waits, finishes calls in flight within the call timeout. May be called again. */
  stop(): Promise<void>;
  /** Aborted when it cannot go on in this process: a lane has ended, or its loop hears nothing of a Redis that answers. */
  failed: AbortSignal;
  /** Where its health is served, if HEALTH_PORT is set. */
  healthPort: number | null;
}

/**
 * Starts a worker for the configured tenant; it drains until stopped.
 *
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE, DATA_NEWER
 */
export async function startWorker(deps: AppDeps, options: WorkerOptions = {}): Promise<Worker> {
  const { config, log } = deps;
  const signInConfig = signInOf(config);
  const keys = keysFor(tenantOf(config));
  const exposed = await exposureOf(signInConfig.credential);
  if (exposed) log.warn(`${exposed.finding}: ${exposed.advice}`);
  const place = await locateRedis(deps);
  // A first look with a time limit: a worker that starts should say at once that Redis is away or unsuitable.
  const probe = await connect(place, 'command', 'check', log);
  await checkPlace(probe, log)
    .then(() => noteVersion(probe, keys))
    .finally(() => closeRedis(probe));
  const failing = new AbortController();
  // A lane would try again at once, for ever.
  const guarded = { ...place, onRefused: (error: StanddownError) => failing.abort(error) };
  const lanesRedis = await connect(guarded, 'worker', 'lanes', log);
  const inboxRedis = await connect(guarded, 'worker', 'inbox', log);
  const redis = await connect(guarded, 'ledger', 'ledger', log);
  const { concurrency, callTimeoutMs } = config;
  const dispatcher = createDispatcher({ connections: LANES.length * concurrency, ...config });
  const service = createService({
    ...createTenant(config, redis),
    lanesRedis,
    inboxRedis,
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
  const connections = [lanesRedis, inboxRedis, redis];
  const close = () => Promise.all([...connections.map(closeRedis), dispatcher.destroy()]);
  const guards = await startGuards(deps, place, service, (error) => failing.abort(error)).catch(
    async (error: unknown) => {
      await close();
      throw error;
    },
  );
  service.start();
  log.info(
    {
      redis: describeRedis(place.target),
      api: config.apiUrl,
      signIn: describeSignIn(signInConfig),
      limits: formatWindows(config.limits.windows),
    },
    'worker started',
  );
  return {
    failed: AbortSignal.any([service.failed, failing.signal]),
    healthPort: guards.healthPort,
    stop: async () => {
      await service.stop();
      await guards.stop();
      await close();
    },
  };
}

/**
 * What looks after the worker: its health, where it is asked for, and the watchdog.
 *
 * @throws StanddownError CONFIG_INVALID
 */
async function startGuards(
  { config, log }: AppDeps,
  place: RedisPlace,
  service: Service,
  fail: (error: StanddownError) => void,
) {
  const { healthPort, watchdogMs } = config;
  const { monotonic } = systemClock;
  const health =
    healthPort === null
      ? null
      : await serveHealth(healthPort, {
          live: () => liveness(service.vitals()),
          ready: () => readiness(service.vitals(), monotonic()),
        });
  if (health) log.info({ port: health.port }, 'health is served on 127.0.0.1: /healthz and /readyz');
  const unwatchLoop = watchEventLoop(watchdogMs);
  const unwatchRedis = watchRedisLoop({
    turnedAt: () => service.vitals().turnedAt,
    answers: () => doesAnswer(place, log),
    onStuck: (silentMs) => {
      const seconds = Math.round(silentMs / 1_000);
      const message = `Redis answers, but not this worker for ${seconds} s; start it again`;
      fail(new StanddownError('REDIS_FAILED', message));
    },
    clock: systemClock,
    timeoutMs: watchdogMs,
  });
  return {
    healthPort: health?.port ?? null,
    stop: async () => {
      unwatchRedis();
      await Promise.all([unwatchLoop(), health?.close()]);
    },
  };
}

async function doesAnswer(place: RedisPlace, log: Logger): Promise<boolean> {
  try {
    const redis = await connect(place, 'command', 'watchdog', log);
    return await redis
      .ping()
      .then(
        () => true,
        () => false,
      )
      .finally(() => closeRedis(redis));
  } catch {
    return false;
  }
}

function signInOf(config: Config): SignInConfig {
  if (config.signIn) return config.signIn;
  const missing = config.signInMissing.join(', ');
  throw new StanddownError('CONFIG_INVALID', `a worker has to sign in; missing: ${missing}`);
}
