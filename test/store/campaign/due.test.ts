import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { silentLog } from '../../../src/base/log.ts';
import { createSweep } from '../../../src/store/campaign/sweep.ts';
import { createProbe, newIds, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';

const FREE = { RATE_LIMITS: '1000000/1s', URGENT_RESERVE: 'none' };

/** What was due when the index was read need not be due any more. */
describe('what is due', () => {
  let server: TestRedis;
  let tenant: TestTenant;
  let probe: Probe;
  let direct: number;
  let id: Buffer;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    tenant = await newTenant(await server.connect(), FREE);
    probe = createProbe(tenant);
    direct = await probe.campaign('direct-due', { direct: true });
    id = newIds(1);
  });
  after(() => server.close());

  /** Ends what is due; between the reading and the ending something else happens. */
  async function endDue(meanwhile: () => Promise<unknown>): Promise<void> {
    const { ledger } = tenant;
    const look = async (ids: Buffer) => {
      const records = await ledger.look(ids);
      await meanwhile();
      return records;
    };
    const sweep = createSweep({ ...tenant, ledger: { ...ledger, look }, log: silentLog, wall: Date.now });
    await sweep.endDue();
  }

  /** Registers the wish under a pause, so that it is not called, and lets its time pass. */
  async function expired(): Promise<void> {
    await tenant.redis.hset(tenant.keys.campaign(direct), 'state', 'paused');
    await probe.begin(id, direct, { register: true, expiresAt: Date.now() + 60_000 });
    assert.equal((await tenant.redis.zrange(tenant.keys.expiries, '0', '-1')).length, 1);
    await tenant.redis.zadd(tenant.keys.expiries, Date.now() - 1, id);
  }

  it('ends, and is no longer in the index', async () => {
    await expired();
    await endDue(async () => undefined);
    assert.equal((await probe.look(id))?.state, 'expired');
    assert.equal(await tenant.redis.zcard(tenant.keys.expiries), 0);
  });

  it('goes on when the wish was extended since', async () => {
    await expired();
    const later = Date.now() + 60_000;
    await endDue(() => tenant.redis.zadd(tenant.keys.expiries, 'GT', later, id));
    assert.equal((await probe.look(id))?.state, 'open');
    assert.equal(Number(await tenant.redis.zscore(tenant.keys.expiries, id)), later);
    await recount(tenant, direct);
  });

  it('of an id that was unknown stays in the index when it was asked for since', async () => {
    const { redis, keys } = tenant;
    await redis.zadd(keys.expiries, Date.now() - 1, id);
    await endDue(() => probe.begin(id, direct, { register: true, expiresAt: Date.now() + 60_000 }));
    assert.equal((await probe.look(id))?.state, 'open');
    assert.equal(await redis.zcard(keys.expiries), 1);
    const nobodys = newIds(1);
    await redis.zadd(keys.expiries, Date.now() - 1, nobodys);
    await endDue(async () => undefined);
    assert.equal(
      await redis.zscore(keys.expiries, nobodys),
      null,
      'an id that is unknown still is taken out',
    );
  });

  it('does not end with its campaign when that was given more time, or none', async () => {
    const { redis, keys } = tenant;
    for (const expiresAt of [Date.now() + 60_000, 0]) {
      const number = await probe.campaign(`until ${expiresAt}`, { expiresAt: Date.now() - 1 });
      await redis.hset(keys.campaign(number), 'expiresAt', expiresAt);
      await endDue(async () => undefined);
      assert.equal((await probe.read(number)).state, 'running');
    }
    assert.equal(await redis.zcard(keys.expiries), 1);
  });
});
