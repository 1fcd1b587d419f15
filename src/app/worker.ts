import { setFlagsFromString } from 'node:v8';
import { systemClock, systemSigns } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Config, SignInConfig } from '../config/config.ts';
import { formatWindows, longestMs } from '../config/limits.ts';
import { describeSignIn } from '../config/sign-in.ts';
import { checkTimings, TIMINGS, type Timings } from '../config/timings.ts';
import { createClient } from '../defender/client.ts';
import { exposureOf } from '../defender/credential-file.ts';
import { identityOf } from '../defender/identity.ts';
import { createSignIn, type Token } from '../defender/sign-in.ts';
import { createNotifier } from '../ops/notices/notifier.ts';
import { graceFor } from '../store/budget/guard.ts';
import { createMemory, type Memory } from '../store/budget/memory.ts';
import { keysFor, LANES } from '../store/keys.ts';
import { noteVersion } from '../store/ledger/version.ts';
import { closeRedis } from '../store/redis/connect.ts';
import { describeRedis } from '../store/redis/target.ts';
import { createSelf } from '../worker/self.ts';
import { createService } from '../worker/service.ts';
import { createFleet, type Member } from './fleet.ts';
import type { Changes } from './fleet-changes.ts';
import { combine, describeTenants } from './fleet-health.ts';
import { type Host, openHost } from './host.ts';
import { type AppDeps, createTenant, tenantOf } from './tenant.ts';

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
 * Most connections to one host of the API that many tenants share: at real limits a few dozen are in use, and each takes some
 * 100 kB. What comes when all are waits; what has waited for too long is not sent, and costs nothing.
 */
const FLEET_CONNECTIONS = 512;

/**
 * How far V8 lets the heap grow beyond what was alive at the last collection, and its youngest part beyond its first size.
 * By itself it takes up to four times as much before it collects again, and a worker for 200 tenants a gigabyte of which a
 * tenth is alive.
 */
const HEAP_FLAGS = ['--heap-growing-percent=20', '--semi-space-growth-factor=1'];

/** A worker for any number of tenants. */
export interface FleetWorker extends Worker {
  /** Makes these its tenants, and does not wait for it. What one of them meets holds none of the others. */
  set(configs: readonly Config[]): Changes;
}

/**
 * Starts a worker for the configured tenant; it drains until stopped.
 *
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE, DATA_NEWER; INTERNAL when its timings do
 *   not fit each other.
 */
export async function startWorker(deps: AppDeps, options: WorkerOptions = {}): Promise<Worker> {
  const { config, log, timings = TIMINGS } = deps;
  checkTimings(timings);
  const label = tenantOf(config);
  await warnOfExposure(config, log);
  const host = await openHost(deps, LANES.length * config.concurrency);
  const opened: { stop(): Promise<void> }[] = [];
  const close = once(async () => {
    for (const part of opened) await part.stop();
    await host.close();
  });
  try {
    const tenant = await startTenant(host, { ...deps, timings }, options, log);
    opened.push(tenant);
    const { vitals } = tenant;
    const guards = await host.guard({ vitals, tenants: () => new Map([[label, vitals()]]) });
    opened.push(guards);
    const { healthPort } = guards;
    return { failed: AbortSignal.any([tenant.failed, host.failed]), healthPort, stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Starts a worker for many tenants, none yet.
 *
 * @param deps.config what they share: Redis, the health, the log.
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE
 */
export async function startFleet(deps: AppDeps, options: WorkerOptions = {}): Promise<FleetWorker> {
  const { log, timings = TIMINGS } = deps;
  checkTimings(timings);
  for (const flag of HEAP_FLAGS) setFlagsFromString(flag);
  const host = await openHost(deps, FLEET_CONNECTIONS);
  let stopping = false;
  const memories = createMemories(timings);
  const fleet = createFleet({
    start: async (config) => {
      const its = log.child({ tenant: config.tenant });
      await warnOfExposure(config, its);
      return startTenant(host, { ...deps, config, timings }, options, its, memories.of(config));
    },
    clock: systemClock,
    timings,
    log,
  });
  const guards = await host
    .guard({
      vitals: () => combine([...fleet.standings().values()], stopping, systemClock.monotonic()),
      tenants: () => new Map([...fleet.standings()].map(([label, { vitals }]) => [label, vitals])),
      more: () => ({ tenants: describeTenants(fleet.standings()) }),
    })
    .catch(async (error: unknown) => {
      await host.close();
      throw error;
    });
  return {
    failed: host.failed,
    healthPort: guards.healthPort,
    set: fleet.set,
    stop: once(async () => {
      stopping = true;
      await fleet.stop();
      await guards.stop();
      await host.close();
    }),
  };
}

/**
 * What is remembered of each tenant's slots, for as long as they count: also of one that is started anew, or was taken out
 * and is back. It is what is put back when Redis has lost its data meanwhile.
 */
function createMemories(timings: Timings) {
  const known = new Map<string, Memory>();
  return {
    of: (config: Config): Memory => {
      const label = tenantOf(config);
      const keepMs = longestMs(config.limits.windows);
      const graceMs = graceFor(timings, keepMs);
      const memory = known.get(label) ?? createMemory({ keepMs, graceMs, signs: systemSigns });
      known.set(label, memory);
      return memory;
    },
  };
}

/** Does it at the first call; further ones wait for that. */
function once(run: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => {
    done ??= run();
    return done;
  };
}

/** @throws StanddownError CONFIG_INVALID, DATA_NEWER */
async function startTenant(
  host: Host,
  { config, timings, version = '' }: Pick<AppDeps, 'config' | 'version'> & { timings: Timings },
  options: WorkerOptions,
  log: Logger,
  known?: Memory,
): Promise<Member> {
  const signInConfig = signInOf(config);
  await noteVersion(host.ledgerRedis, keysFor(tenantOf(config)));
  const inboxRedis = await host.openWaiting('inbox');
  const { concurrency, callTimeoutMs } = config;
  const { dispatcher } = host;
  const tenant = createTenant(config, host.ledgerRedis, { known, timings });
  const watch = host.metrics?.join(tenantOf(config), tenant) ?? null;
  const tracing = host.traces?.tracingFor(tenantOf(config)) ?? null;
  const self = createSelf(signInConfig, version);
  const say = sayWho(signInConfig, log);
  const send = tracing?.send;
  const service = createService({
    ...tenant,
    lanesRedis: host.lanesRedis,
    inboxRedis,
    signIn: createSignIn({
      config: signInConfig,
      dispatcher,
      clock: systemClock,
      timeoutMs: callTimeoutMs,
      timings,
      onAsked: watch?.signedIn,
      onToken: (token) => {
        self.signedIn(token);
        say(token);
      },
      onUnkept: (err) => log.warn({ err }, 'cannot save the renewed login; keeping it in memory for now'),
      send,
    }),
    signInTurn: host.signInTurn,
    self,
    client: createClient({ apiUrl: config.apiUrl, dispatcher, send }),
    clock: systemClock,
    callTimeoutMs,
    concurrency,
    defaultComment: config.defaultComment,
    retentionMs: config.resultRetentionMs,
    precheck: config.precheck === 'auto',
    verify: options.verify ?? false,
    observer: watch,
    tracing,
    log,
  });
  const notifier = config.notify
    ? createNotifier({ ...tenant, tenant: tenantOf(config), config: config.notify, clock: systemClock, log })
    : null;
  service.start();
  notifier?.start();
  if (config.apiPathCut) {
    log.warn(
      { api: config.apiUrl, cut: config.apiPathCut },
      'ignoring the end of DEFENDER_API_URL: it is the base address, and each call adds its own path',
    );
  }
  log.info(
    {
      redis: describeRedis(host.place.target),
      api: config.apiUrl,
      signIn: describeSignIn(signInConfig),
      limits: formatWindows(config.limits.windows),
    },
    'worker started',
  );
  return {
    vitals: service.vitals,
    failed: service.failed,
    stop: async () => {
      await Promise.all([service.stop(), notifier?.stop()]);
      watch?.leave();
      await closeRedis(inboxRedis);
    },
  };
}

/** Says as whom it signed in and with which roles: at first, and when that has changed. */
function sayWho(config: SignInConfig, log: Logger): (token: Token) => void {
  let said = '';
  return (token) => {
    const identity = identityOf(token, config);
    const text = JSON.stringify(identity);
    const until = new Date(token.expiresAt).toISOString();
    log[text === said ? 'debug' : 'info']({ ...identity, until }, 'signed in');
    said = text;
  };
}

/** @throws StanddownError CONFIG_INVALID */
async function warnOfExposure(config: Config, log: Logger): Promise<void> {
  const exposed = await exposureOf(signInOf(config).credential);
  if (exposed) log.warn(`${exposed.finding}; run ${exposed.advice}`);
}

function signInOf(config: Config): SignInConfig {
  if (config.signIn) return config.signIn;
  const missing = config.signInMissing.join(', ');
  throw new StanddownError('CONFIG_INVALID', `the worker cannot sign in; missing: ${missing}`);
}
