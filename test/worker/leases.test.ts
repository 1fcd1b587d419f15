import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { RedisClient } from '../../src/store/script.ts';
import { giveBackLease, takeLease } from '../../src/worker/leases.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';

describe('a lease', () => {
  let server: TestRedis;
  let redis: RedisClient;
  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  it('is one worker’s until it gives it back, and nobody else can', async () => {
    const key = newLabel();
    assert.equal(await takeLease(redis, key, 'a', 60_000), true);
    assert.equal(await takeLease(redis, key, 'b', 60_000), false);
    await giveBackLease(redis, key, 'b');
    assert.equal(await redis.get(key), 'a');
    await giveBackLease(redis, key, 'a');
    assert.equal(await takeLease(redis, key, 'b', 60_000), true);
  });

  it('of a dead worker lasts no longer because Redis’ clock was set back', async () => {
    const key = newLabel();
    await redis.set(key, 'dead', 'PX', 600_000);
    assert.equal(await takeLease(redis, key, 'b', 10_000), false);
    const left = await redis.pttl(key);
    assert.ok(left > 0 && left <= 10_000, `${left} ms`);
  });
});
