import { Cluster } from 'ioredis';
import type { Dispatcher } from 'undici';
import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { createTurns, type Turns } from '../base/turns.ts';
import { createDispatcher } from '../defender/client.ts';
import { serveHealth } from '../ops/health/server.ts';
import { watchEventLoop, watchRedisLoop } from '../ops/health/watchdog.ts';
import type { Metrics } from '../ops/metrics/metrics.ts';
import type { Traces } from '../ops/traces/open.ts';
import { closeRedis, openRedis } from '../store/redis/connect.ts';
import type { RedisClient } from '../store/script.ts';
import { liveness, readiness, type Vitals } from '../worker/vitals.ts';
import type { FleetHealth } from './fleet-health.ts';
import { type AppDeps, checkPlace, connect, locateRedis, type RedisPlace } from './tenant.ts';

/* What all tenants of a worker process share: connections to Redis, its health, the watchdog. */

export interface Host {
  place: RedisPlace;
  /** BullMQ's connection; what blocks it duplicates. */
  lanesRedis: RedisClient;
  ledgerRedis: RedisClient;
  /** The way to the API and to the sign-in. */
  dispatcher: Dispatcher;
  /** For sign-ins that no request waits for. */
  signInTurn: Turns;
  /** Another connection, for what blocks. */
  openWaiting(name: string): Promise<RedisClient>;
  /** Ends the process' work: nothing but a new one can help. */
  fail(error: StanddownError): void;
  failed: AbortSignal;
  /** Null unless HEALTH_PORT is set. */
  metrics: Metrics | null;
  /** Null unless they are wanted. */
  traces: Traces | null;
  /** @throws StanddownError CONFIG_INVALID when the place of its health cannot be had. */
  guard(source: HealthSource): Promise<Guards>;
  close(): Promise<void>;
}

export interface HealthSource {
  vitals(): Vitals;
  /** By label; null: not running for now. */
  tenants(): ReadonlyMap<string, Vitals | null>;
  /** Said of its health besides. */
  more?(): Partial<FleetHealth>;
}

export interface Guards {
  healthPort: number | null;
  stop(): Promise<void>;
}

/** Hundreds of tenants start together, and all of them sign in at one place. */
const SIGN_INS_AT_ONCE = 8;

/**
 * @param connections to one host of the API, at most.
 * @throws StanddownError CONFIG_INVALID, REDIS_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE
 */
export async function openHost(deps: AppDeps, connections: number): Promise<Host> {
  const { log } = deps;
  // First: a proxy that cannot be used is said before anything is opened.
  const dispatcher = createDispatcher({ connections, ...deps.config });
  const place = await locateRedis(deps);
  // A first look with a time limit: a worker that starts should say at once that Redis is away or unsuitable.
  const probe = await connect(place, 'command', 'check', log);
  await checkPlace(probe, log).finally(() => closeRedis(probe));
  const failing = new AbortController();
  const fail = (error: StanddownError) => failing.abort(error);
  // A lane would try again at once, for ever.
  const guarded = { ...place, onRefused: fail };
  const lanesRedis = await connect(guarded, 'worker', 'lanes', log);
  const ledgerRedis = await connect(guarded, 'ledger', 'ledger', log);
  // Every tenant's lanes listen on it.
  lanesRedis.setMaxListeners(0);
  lightenDuplicates(lanesRedis);
  const measuring = deps.config.healthPort === null ? null : await openMetrics(place, log);
  return {
    place,
    dispatcher,
    signInTurn: createTurns(SIGN_INS_AT_ONCE),
    lanesRedis,
    ledgerRedis,
    openWaiting: (name) =>
      openRedis({ ...guarded, role: 'worker', waitsOnly: true, connectionName: `standdown-${name}`, log }),
    fail,
    failed: failing.signal,
    metrics: measuring?.metrics ?? null,
    traces: deps.traces ?? null,
    guard: (source) => startGuards(deps, place, source, measuring?.metrics ?? null, fail),
    close: async () => {
      const opened = [lanesRedis, ledgerRedis, ...(measuring ? [measuring.redis] : [])];
      await Promise.all([...opened.map(closeRedis), dispatcher.destroy()]);
    },
  };
}

/**
 * BullMQ makes three connections of this one for each tenant, which only wait for a job. It defines its fifty scripts on each,
 * 100 kB of them that are never run, and asks each for the server's version: in a cluster of any node, by a connection more.
 */
function lightenDuplicates(redis: RedisClient): void {
  const duplicate: (...args: never[]) => RedisClient = redis.duplicate.bind(redis);
  const lighten = (copy: RedisClient) => {
    if (copy instanceof Cluster) copy.options.enableReadyCheck = false;
    return Object.assign(copy, { defineCommand: () => undefined, info: redis.info.bind(redis) });
  };
  Object.assign(redis, { duplicate: (...args: never[]) => lighten(duplicate(...args)) });
}

/** Apart, so that a worker that nobody asks loads none of it; its connection too, so that reading delays no call. */
async function openMetrics(
  place: RedisPlace,
  log: Logger,
): Promise<{ metrics: Metrics; redis: RedisClient }> {
  const { createMetrics } = await import('../ops/metrics/metrics.ts');
  const redis = await connect(place, 'worker', 'metrics', log);
  return { metrics: createMetrics({ redis, clock: systemClock, log }), redis };
}

/** What looks after the worker: its health, where it is asked for, and the watchdog. */
async function startGuards(
  { config, log, ownsProcess = true }: AppDeps,
  place: RedisPlace,
  source: HealthSource,
  metrics: Metrics | null,
  fail: (error: StanddownError) => void,
): Promise<Guards> {
  const { healthHost: host, healthPort, watchdogMs } = config;
  const { monotonic } = systemClock;
  const health =
    healthPort === null
      ? null
      : await serveHealth(
          { host, port: healthPort },
          {
            live: () => liveness(source.vitals()),
            ready: () => ({ ...readiness(source.vitals(), monotonic()), ...source.more?.() }),
            metrics: metrics && (() => metrics.expose(source.tenants())),
          },
        );
  if (health)
    log.info({ host, port: health.port }, 'health endpoints started: /healthz, /readyz and /metrics');
  const unwatchLoop = ownsProcess ? watchEventLoop(watchdogMs) : null;
  const unwatchRedis = watchRedisLoop({
    // One that stops has ended its loop, and may wait for its calls for longer than that.
    turnedAt: () => {
      const { stopping, turnedAt } = source.vitals();
      return stopping ? monotonic() : turnedAt;
    },
    answers: () => doesAnswer(place, log),
    onStuck: (silentMs) => {
      const seconds = Math.round(silentMs / 1_000);
      const message = `Redis answers others, but has not answered this worker for ${seconds} s; restart the worker`;
      fail(new StanddownError('REDIS_FAILED', message));
    },
    clock: systemClock,
    timeoutMs: watchdogMs,
  });
  return {
    healthPort: health?.port ?? null,
    stop: async () => {
      unwatchRedis();
      await Promise.all([unwatchLoop?.(), health?.close()]);
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
