import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { directName, openDirectCampaign, readCampaign } from '../../../src/store/campaign/registry.ts';
import { retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import type { DirectCampaign } from '../../../src/store/ledger/calls.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { createDirects } from '../../../src/worker/direct.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, skipGrace, type TestTenant } from '../../support/tenant.ts';

const FREE = { RATE_LIMITS: '1000000/1s', URGENT_RESERVE: 'none' };

/** A campaign's number, read a while ago, may be nobody's or another campaign's by now. */
describe('a number that is of before', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let direct: DirectCampaign;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(async () => {
    tenant = await newTenant(redis, FREE);
    probe = createProbe(tenant);
    direct = createDirects({ ...tenant, wall: Date.now })();
  });
  after(() => server.close());

  /** As FLUSHALL does, for this tenant. */
  async function loseData(): Promise<void> {
    await redis.unlink(...(await redis.keys(`${tenant.keys.prefix}:*`)));
    await skipGrace(redis, tenant.keys);
  }

  async function register(id: Buffer, number: number) {
    return probe.begin(id, number, { register: true, direct });
  }

  /** As it is while somebody deletes it, or when they died over that. */
  async function closeHalfWay(number: number): Promise<void> {
    const campaign = await readCampaign(redis, tenant.keys, number);
    assert(campaign);
    const forget = () => Promise.reject(new Error('killed'));
    const dying = { ...tenant, ledger: { ...tenant.ledger, forget } };
    await assert.rejects(forgetCampaign(dying, campaign, Date.now() + 60_000), /killed/);
    assert.equal((await readCampaign(redis, tenant.keys, number))?.state, 'deleted');
  }

  const gone = {
    'is another campaign’s, for Redis lost its data': async () => {
      await loseData();
      assert.equal(await probe.campaign('named'), 1);
    },
    'is nobody’s, for Redis lost its data': loseData,
    'was deleted': async (number: number) => {
      const campaign = await readCampaign(redis, tenant.keys, number);
      assert(campaign && (await forgetCampaign(tenant, campaign, Date.now() + 60_000)));
    },
    'is being deleted': closeHalfWay,
  };

  for (const [how, lose] of Object.entries(gone)) {
    it(`of single cancels ${how}: they are booked in one that is opened anew`, async () => {
      const number = await direct.number();
      await probe.decide((await openedIn(number)).id, number, 'cancelled');
      await lose(number);
      const ids = newIds(4);
      const begun = await Promise.all([0, 1, 2, 3].map((i) => register(idAt(ids, i), number)));
      const [now] = new Set(begun.map(({ campaign }) => campaign));
      assert.ok(begun.every(({ answer, campaign }) => answer.kind === 'granted' && campaign === now));
      const opened = await probe.read(now ?? 0);
      assert.deepEqual([opened.name, opened.direct, opened.total], [directName(Date.now()), true, 4]);
      assert.equal(await direct.number(), now);
      await recount(tenant, now ?? 0);
      const named = await redis.hget(tenant.keys.campaigns, 'named');
      if (named !== null) assert.equal((await probe.read(Number(named))).total, 0);

      const other = await probe.campaign('other');
      const decided = newIds(1);
      await tenant.ledger.submit(other, decided);
      await probe.decide(decided, other, 'forbidden');
      await probe.decide(idAt(ids, 0), now ?? 0, 'cancelled').catch(() => undefined);
      const job = tenant.keys.lane('cancel', 'again');
      await redis.hset(job, 'name', 'cancel');
      const stale = { ...direct, number: async () => number };
      assert.equal(await tenant.ledger.renew(decided, stale, job, NOBODYS), 'done');
      assert.equal((await probe.look(decided))?.campaign, now);
    });
  }

  it('of single cancels that were aborted is not opened anew: they are refused', async () => {
    const number = await direct.number();
    await steer(tenant, direct.name, 'abort', TESTER);
    assert.deepEqual((await register(newIds(1), number)).answer, { kind: 'owner', state: 'aborted' });
    assert.equal((await openDirectCampaign(redis, tenant.keys, Date.now())).number, number);
  });

  it('of a named campaign takes no ids of a list that was still coming, and opens none again', async () => {
    const [own, others] = [newIds(2), newIds(1)];
    const parts = (async function* () {
      yield idAt(own, 0);
      await loseData();
      assert.equal(await probe.campaign('other'), 1);
      await tenant.ledger.submit(1, others);
      await probe.decide(others, 1, 'forbidden');
      yield idAt(own, 1);
    })();
    const wanted = { name: 'long', comment: 'test', now: Date.now() };
    await assert.rejects(submitCampaign(tenant, wanted, parts), { code: 'CAMPAIGN_CLOSED' });
    assert.equal((await probe.read(1)).total, 1);
    await assert.rejects(tenant.ledger.retry(1, others, ['forbidden'], 'long'), { code: 'CAMPAIGN_CLOSED' });
    assert.equal(await retryCampaign(tenant, 'other', ['forbidden'], TESTER), 1);
  });

  it('of a campaign that is being deleted takes nothing of the one that has it since', async () => {
    const { number, id } = await openedIn(await probe.campaign('old'));
    await probe.decide(id, number, 'cancelled');
    const campaign = await probe.read(number);
    const ids = newIds(2);
    const losing = async () => {
      await loseData();
      assert.equal(await probe.campaign('new'), number);
      await tenant.ledger.submit(number, ids);
      return tenant.ledger.forget(number, ids);
    };
    const half = { ...tenant, ledger: { ...tenant.ledger, forget: losing } };
    assert.equal(await forgetCampaign(half, campaign, Date.now() + 60_000), true);
    assert.deepEqual([(await probe.read(number)).name, (await probe.list(number)).length], ['new', 2]);
    await recount(tenant, number);
  });

  it('is not given to a second campaign', async () => {
    const first = await probe.campaign('first');
    // As it is when Redis lost its data between the number and the campaign.
    await redis.hset(tenant.keys.state, 'campaigns', first - 1);
    assert.equal(await probe.campaign('second'), first + 1);
    assert.equal((await probe.read(first)).name, 'first');
  });

  async function openedIn(number: number): Promise<{ number: number; id: Buffer }> {
    const id = newIds(1);
    await tenant.ledger.submit(number, id);
    return { number, id };
  }
});

const NOBODYS = { expiresAt: null, requestedBy: null, requestedAt: 0 };
