import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { guidToBytes } from '../../../src/base/guid.ts';
import { bucketOf, FIRST_BUCKETS, HASH_LUA } from '../../../src/store/ledger/record.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { createProbe, idAt, newIds, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant } from '../../support/tenant.ts';

const FREE = { RATE_LIMITS: '1000000/1h', URGENT_RESERVE: 'none' };

describe('records', () => {
  let server: TestRedis;
  let redis: RedisClient;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  it('stay under 64 bytes in every state', async () => {
    const tenant = await newTenant(redis, FREE);
    const probe = createProbe(tenant);
    // The largest numbers that can come up: a campaign in the millions, a claim, a time to wait for.
    await redis.hset(tenant.keys.state, 'campaigns', 4_000_000_000);
    const number = await probe.campaign('large');
    const ids = newIds(3);
    await tenant.ledger.submit(number, ids);
    const waiting = await probe.grant(idAt(ids, 0), number);
    const verdict = {
      kind: 'retry',
      delayMs: 60_000,
      uncertain: true,
      costsAttempt: true,
      detail: {},
    } as const;
    await probe.finish(idAt(ids, 0), number, waiting, { verdict, slotFate: 'lost', sign: 'fault' });
    await probe.grant(idAt(ids, 1), number);
    await redis.hset(tenant.keys.campaign(number), 'results', 3_999_999_999);
    await probe.decide(idAt(ids, 2), number, 'cancelled');
    for (let index = 0; index < 3; index++) {
      const id = idAt(ids, index);
      const size = await redis.hstrlen(tenant.keys.bucket(bucketOf(id, FIRST_BUCKETS)), id);
      assert.ok(size > 0 && size < 64, `${size} bytes`);
    }
  });

  it('are found again whatever the number of buckets', async () => {
    const tenant = await newTenant(redis, FREE);
    const probe = createProbe(tenant);
    const number = await probe.campaign('growing');
    const ids = newIds(20_000);
    for (let at = 0; at < ids.length; at += 16 * 4_001) {
      await tenant.ledger.submit(number, ids.subarray(at, at + 16 * 4_001));
      const known = await tenant.ledger.look(ids.subarray(0, at + 16 * 4_001));
      assert.equal(known.filter((record) => record?.campaign === number).length, known.length);
    }
    const buckets = Number(await redis.hget(tenant.keys.state, 'buckets'));
    assert.ok(buckets > 130, `${buckets} buckets`);
    assert.equal(await redis.hget(tenant.keys.state, 'records'), '20000');
  });

  it('are stored compactly, in buckets of like size', async () => {
    const tenant = await newTenant(redis, FREE);
    const probe = createProbe(tenant);
    const number = await probe.campaign('compact');
    await tenant.ledger.submit(number, newIds(10_000));
    const buckets = Number(await redis.hget(tenant.keys.state, 'buckets'));
    const sizes: number[] = [];
    for (let index = 0; index < buckets; index++) {
      assert.equal(await redis.object('ENCODING', tenant.keys.bucket(index)), 'listpack');
      sizes.push(await redis.hlen(tenant.keys.bucket(index)));
    }
    assert.equal(
      sizes.reduce((sum, size) => sum + size),
      10_000,
    );
    assert.ok(Math.max(...sizes) < 400, `the largest holds ${Math.max(...sizes)}`);
  });

  it('spread over the buckets also when ids are counted up', async () => {
    for (const shape of [
      (n: number) => `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`,
      (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
      (n: number) => `0000${n.toString(16).padStart(4, '0')}-0000-4000-8000-000000000000`,
    ]) {
      const counts = new Array<number>(40).fill(0);
      for (let n = 0; n < 4_000; n++) {
        const bucket = bucketOf(guidToBytes(shape(n)), 40);
        counts[bucket] = (counts[bucket] ?? 0) + 1;
      }
      assert.ok(Math.max(...counts) <= 250 && Math.min(...counts) > 0, counts.join(' '));
    }
  });

  it('are moved by the scripts to where this process looks for them', async () => {
    const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(id, fc.integer({ min: 4, max: 17 }), async (bytes, exponent) => {
        const power = 2 ** exponent;
        const from = bucketOf(bytes, power);
        const lua = `${HASH_LUA} return bit.band(hashOf(ARGV[1]), tonumber(ARGV[2])) ~= 0 and 1 or 0`;
        const isMoved = (await redis.eval(lua, 0, bytes, power)) === 1;
        assert.equal(bucketOf(bytes, power + from), from, 'before its bucket is split');
        assert.equal(bucketOf(bytes, power + from + 1), isMoved ? power + from : from, 'and after');
      }),
      { numRuns: 500 },
    );
  });

  it('move to the new bucket, or stay, when one is split', () => {
    const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(id, fc.integer({ min: 16, max: 100_000 }), (bytes, buckets) => {
        const before = bucketOf(bytes, buckets);
        const after = bucketOf(bytes, buckets + 1);
        const power = 2 ** Math.floor(Math.log2(buckets));
        assert.ok(after === before || (after === buckets && before === buckets - power));
      }),
    );
  });

  it('are counted while buckets split under those that ask', async () => {
    const tenant = await newTenant(redis, FREE);
    const probe = createProbe(tenant);
    const small = await probe.campaign('small');
    const ids = newIds(200);
    await tenant.ledger.submit(small, ids);
    const { createTenant } = await import('../../../src/app/tenant.ts');
    const other = createTenant(tenant.config, await server.connect());
    const large = await probe.campaign('large');
    const growing = other.ledger.submit(large, newIds(30_000));
    for (let index = 0; index < 200; index++) await probe.decide(idAt(ids, index), small, 'cancelled');
    await growing;
    await recount(tenant, small);
    await recount(tenant, large);
    assert.equal((await probe.read(small)).outcomes.cancelled, 200);
  });
});
