import { randomBytes } from 'node:crypto';
import { createTenant, type Tenant } from '../../src/app/tenant.ts';
import { type Config, type Environment, readConfig } from '../../src/config/config.ts';
import { TIMINGS, type Timings } from '../../src/config/timings.ts';
import { type Keys, keysFor } from '../../src/store/keys.ts';
import type { RedisClient } from '../../src/store/script.ts';

/** A label that no other test has. */
export function newLabel(): string {
  return `t${randomBytes(6).toString('hex')}`;
}

export interface TestTenant extends Tenant {
  label: string;
  config: Config;
}

/** A tenant of its own for one test, in which calls may go out at once. */
export async function newTenant(
  redis: RedisClient,
  env: Environment = {},
  timings: Timings = TIMINGS,
): Promise<TestTenant> {
  const label = newLabel();
  const config = readConfig({ STANDDOWN_TENANT: label, ...env });
  await skipGrace(redis, keysFor(label));
  return { config, ...createTenant(config, redis, { timings }) };
}

/**
 * Opens the tenant's first epoch without the grace that a new data set has: nobody remembers calls of a tenant that has
 * never existed.
 */
export async function skipGrace(redis: RedisClient, keys: Keys): Promise<void> {
  // By a key: in a cluster not any node is meant.
  const info = String(await redis.eval("return redis.call('INFO', 'server')", 1, keys.state));
  const run = /run_id:(\w+)/.exec(info)?.[1] ?? '';
  const epoch = Date.now();
  await redis.hset(keys.state, { run, epoch, seq: epoch, grace: 0 });
}

/** As if a worker were there, for the next ten minutes. */
export async function seeWorker({ redis, keys }: Pick<Tenant, 'redis' | 'keys'>): Promise<void> {
  await redis.hset(keys.workers, 'seen', `${Date.now() + 600_000} {"trouble":""}`);
}
