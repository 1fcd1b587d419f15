import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Limits } from '../../config/limits.ts';
import type { Keys } from '../../store/keys.ts';
import type { RedisClient } from '../../store/script.ts';
import type { Observer } from '../../worker/observer.ts';
import { readiness, type Vitals } from '../../worker/vitals.ts';
import type { Exposition } from '../health/server.ts';
import { createFamilies } from './families.ts';
import { readStanding, type Standing } from './standing.ts';
import { clearStanding, forgetTenant, observeTenant, showStanding } from './tenant.ts';

export interface TenantMetrics extends Observer {
  /** Takes its series away. */
  leave(): void;
}

export interface Metrics {
  /** Begins to count for a tenant. */
  join(label: string, tenant: { keys: Keys; limits: Limits }): TenantMetrics;
  /** What Prometheus is told. `tenants`: how each is doing here. */
  expose(tenants: ReadonlyMap<string, Vitals | null>): Promise<Exposition>;
}

export interface MetricsDeps {
  /** For reading, and for nothing else: other commands would wait. */
  redis: RedisClient;
  clock: Clock;
  log: Logger;
}

/** Two askers, and one that asks again at once, share a reading, in ms. */
const CACHED_MS = 1_500;

/** Prometheus gives up after 10 s: what Redis has not told by then, in ms, is left out. */
const PATIENCE_MS = 4_000;

/** Tenants that are read at once. */
const AT_ONCE = 16;

/** How often the delay of the event loop is sampled, in ms. */
const SAMPLE_MS = 50;

interface Place {
  keys: Keys;
  limits: Limits;
  /** As it was last read, and when (monotonic, in ms); null: not, or in vain. */
  standing: (Standing & { at: number }) | null;
}

/** The figures of one process: counters of what it did itself, and gauges that are read from Redis when they are asked for. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const { redis, clock, log } = deps;
  const registry = new Registry();
  const families = createFamilies(registry);
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: SAMPLE_MS });
  const places = new Map<string, Place>();
  /** One at a time: while Redis is away, questions must not pile up. */
  let reading: Promise<void> | null = null;
  let readAt = Number.NEGATIVE_INFINITY;

  async function readAll(): Promise<void> {
    const left = [...places.values()];
    const next = async () => {
      for (let place = left.pop(); place; place = left.pop()) await read(place);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    readAt = clock.monotonic();
  }

  async function read(place: Place): Promise<void> {
    try {
      const standing = await readStanding(redis, place.keys, place.limits);
      place.standing = { ...standing, at: clock.monotonic() };
    } catch (err) {
      place.standing = null;
      log.debug({ err }, 'cannot read metrics');
    }
  }

  async function refresh(): Promise<void> {
    if (clock.monotonic() - readAt < CACHED_MS) return;
    reading ??= readAll().finally(() => {
      reading = null;
    });
    const waiting = new AbortController();
    const limit = clock.sleep(PATIENCE_MS, waiting.signal).catch(() => undefined);
    await Promise.race([reading, limit]).finally(() => waiting.abort());
  }

  function show(tenants: ReadonlyMap<string, Vitals | null>): void {
    const now = clock.monotonic();
    clearStanding(families);
    for (const [tenant, { standing }] of places) {
      const isFresh = standing !== null && now - standing.at <= CACHED_MS + PATIENCE_MS;
      families.readOk.set({ tenant }, isFresh ? 1 : 0);
      if (isFresh) showStanding(families, tenant, standing);
    }
    for (const [tenant, vitals] of tenants) {
      families.ready.set({ tenant }, vitals !== null && readiness(vitals, now).ok ? 1 : 0);
    }
  }

  return {
    join: (label, { keys, limits }) => {
      const place: Place = { keys, limits, standing: null };
      places.set(label, place);
      // It has not been read: the next question is not answered from before.
      readAt = Number.NEGATIVE_INFINITY;
      return {
        ...observeTenant(families, label),
        leave: () => {
          if (places.get(label) !== place) return;
          places.delete(label);
          forgetTenant(families, label);
        },
      };
    },
    expose: async (tenants) => {
      await refresh();
      show(tenants);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
