import { judge, type TenantReport } from './judge.ts';
import { openSimulatedRedis, type SimulatedRedis } from './redis.ts';
import { playTenant, type Scale, type SimulatedTenant } from './tenant.ts';
import { createTimeline } from './time.ts';
import { redisClock } from './weather.ts';

/** Where simulated time begins: the same in every run. */
const BEGIN = Date.UTC(2026, 0, 5);

export interface Simulated {
  tenants: TenantReport[];
  /** Until the last tenant's end. */
  simulatedMs: number;
  /** Commands that Redis was sent, those inside scripts not counted. */
  scripts: number;
}

/** Plays the tenants of one part of several, on a Redis of its own. Tenants know nothing of each other: parts change nothing. */
export async function simulate(scale: Scale, part = { at: 0, of: 1 }): Promise<Simulated> {
  const timeline = createTimeline(BEGIN);
  const redis = await openSimulatedRedis(timeline, redisClock(scale.weather ?? {}, BEGIN, scale.seed));
  const tenants: TenantReport[] = [];
  let simulatedMs = 0;
  const onOver = async (tenant: SimulatedTenant) => {
    simulatedMs = timeline.now() - BEGIN;
    redis.tick();
    tenants.push(await judge(redis.redis, scale, tenant));
    await forget(redis, tenant);
  };
  try {
    for (let index = part.at; index < scale.tenants; index += part.of) {
      playTenant({ scale, timeline, redis }, index, onOver);
    }
    await timeline.run();
    return { tenants, simulatedMs, scripts: redis.sent() };
  } finally {
    await redis.close();
  }
}

/** Makes room for the next ones. */
async function forget({ redis }: SimulatedRedis, { keys }: SimulatedTenant): Promise<void> {
  const all = await redis.keys(`${keys.prefix}*`);
  for (let at = 0; at < all.length; at += 1_000) await redis.unlink(all.slice(at, at + 1_000));
}
