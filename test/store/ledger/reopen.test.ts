import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { bytesToGuid } from '../../../src/base/guid.ts';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import type { Wish } from '../../../src/store/ledger/reopen.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { createProbe, idAt, newIds, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';

const FREE = { RATE_LIMITS: '1000000/1s', URGENT_RESERVE: 'none' };

describe('opening again and ending early', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(async () => {
    tenant = await newTenant(redis, FREE);
    probe = createProbe(tenant);
    number = await probe.campaign('campaign');
  });
  after(() => server.close());

  /** One id of the campaign for each outcome. */
  async function oneOfEach(): Promise<Buffer> {
    const ids = newIds(OUTCOMES.length);
    await tenant.ledger.submit(number, ids);
    for (const [index, outcome] of OUTCOMES.entries()) await probe.decide(idAt(ids, index), number, outcome);
    return ids;
  }

  describe('retry', () => {
    for (const [index, outcome] of OUTCOMES.entries()) {
      it(`opens what ended as ${outcome}, and nothing else`, async () => {
        const ids = await oneOfEach();
        await redis.zrem(tenant.keys.running, number);
        assert.equal(await tenant.ledger.retry(number, ids, [outcome]), 1);
        const records = await tenant.ledger.look(ids);
        records.forEach((record, place) => {
          assert.equal(record?.state, place === index ? 'open' : OUTCOMES[place]);
          assert.equal(record?.generation, place === index ? 2 : 1);
        });
        await recount(tenant, number);
        assert.notEqual(await redis.zscore(tenant.keys.running, String(number)), null, 'it is fed again');
        assert.deepEqual(await redis.hmget(tenant.keys.campaign(number), 'cursor', 'low'), ['0', '0']);
      });
    }

    it('keeps the earlier outcome in the results, and counts only the latest', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await probe.decide(id, number, 'forbidden');
      await tenant.ledger.retry(number, id, ['forbidden']);
      await probe.decide(id, number, 'cancelled');
      assert.equal(await redis.xlen(tenant.keys.results(number)), 2);
      assert.deepEqual((await probe.read(number)).outcomes, { cancelled: 1 });
      assert.equal((await probe.look(id))?.position, 2);
    });

    it('leaves alone what another campaign has taken since', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await probe.decide(id, number, 'forbidden');
      const other = await probe.campaign('other');
      await tenant.ledger.submit(other, id);
      await probe.decide(id, other, 'forbidden');
      assert.equal(await tenant.ledger.retry(number, id, ['forbidden']), 0);
    });

    it('does nothing to a campaign that was aborted', async () => {
      const ids = await oneOfEach();
      await redis.hset(tenant.keys.campaign(number), 'state', 'aborted');
      await assert.rejects(tenant.ledger.retry(number, ids, ['forbidden']), { code: 'CAMPAIGN_CLOSED' });
    });
  });

  describe('a job that says again', () => {
    let direct: number;
    let jobs = 0;

    beforeEach(async () => {
      direct = await probe.campaign('direct-again', { direct: true });
    });

    function renew(id: Buffer, job: string, wish: Partial<Wish> = {}) {
      const nobodys = { expiresAt: null, requestedBy: null, requestedAt: 0 };
      const day = { name: '', number: async () => direct, reopen: async () => direct };
      return tenant.ledger.renew(id, day, job, { ...nobodys, ...wish });
    }

    async function newJob(): Promise<string> {
      const key = tenant.keys.lane('cancel', `job-${++jobs}`);
      await redis.hset(key, 'name', 'cancel');
      return key;
    }

    for (const outcome of OUTCOMES) {
      it(`opens the next generation after ${outcome}, under the day’s single cancels`, async () => {
        const id = newIds(1);
        await tenant.ledger.submit(number, id);
        await probe.decide(id, number, outcome);
        await renew(id, await newJob());
        const record = await probe.look(id);
        assert.deepEqual([record?.state, record?.campaign, record?.generation], ['open', direct, 2]);
        assert.deepEqual(await probe.kept(number), [id.toString('hex')]);
        assert.equal((await probe.read(number)).outcomes[outcome], 1);
        await recount(tenant, number);
        await recount(tenant, direct);
      });
    }

    it('does so once, however often it is run', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(direct, id);
      await probe.decide(id, direct, 'cancelled');
      const job = await newJob();
      await renew(id, job);
      await probe.decide(id, direct, 'accepted');
      await renew(id, job);
      assert.equal((await probe.look(id))?.state, 'accepted', 'a re-run is no new wish');
      await renew(id, await newJob());
      assert.equal((await probe.look(id))?.generation, 3, 'another job is');
      await recount(tenant, direct);
    });

    it('joins what is open', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      const job = await newJob();
      await renew(id, job);
      assert.deepEqual([(await probe.look(id))?.campaign, (await probe.look(id))?.generation], [number, 1]);
      await probe.decide(id, number, 'cancelled');
      await renew(id, job);
      assert.equal((await probe.look(id))?.state, 'cancelled');
    });

    it('that expires ends the generation that it opened, and says whose it was', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await probe.decide(id, number, 'cancelled');
      const wish = { expiresAt: Date.now() - 1, requestedBy: 'soar', requestedAt: 1_764_081_942_123 };
      await renew(id, await newJob(), wish);
      const { expiries, checking } = tenant.keys;
      assert.equal(Number(await redis.zscore(expiries, id)), wish.expiresAt);
      assert.deepEqual(await tenant.ledger.end(direct, id, 'expired', true), { ended: 1, left: 0 });
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.generation, record?.campaign], ['expired', 2, direct]);
      const [[, fields] = ['', []]] = await redis.xrange(tenant.keys.results(direct), '-', '+');
      const said = (name: string) => fields[fields.indexOf(name) + 1];
      assert.deepEqual([said('requestedBy'), said('requestedAt')], ['soar', String(wish.requestedAt)]);
      assert.deepEqual([await redis.zcard(expiries), await redis.hlen(checking)], [0, 0]);
      await recount(tenant, direct);
    });

    it('that expires does not end what somebody else wants without an end', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await renew(id, await newJob(), { expiresAt: Date.now() + 60_000 });
      assert.equal(await redis.zscore(tenant.keys.expiries, id), null);
      assert.deepEqual(await tenant.ledger.end(number, id, 'expired', true), { ended: 0, left: 0 });
    });

    it('is refused once the single cancels were aborted, and for good when that was told', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await probe.decide(id, number, 'cancelled');
      const job = await newJob();
      await redis.hset(tenant.keys.campaign(direct), 'state', 'aborted');
      assert.equal(await renew(id, job), 'refused');
      assert.equal((await probe.look(id))?.state, 'cancelled');
      await redis.hset(job, 'sd:told', 1);
      await redis.hset(tenant.keys.campaign(direct), 'state', 'running');
      assert.equal(await renew(id, job), 'refused', 'whoever asked has been told');
      assert.equal((await probe.look(id))?.generation, 1);
      assert.equal(await renew(id, await newJob()), 'done');
    });

    it('changes nothing for an id nobody knows, or a job that is gone', async () => {
      await renew(newIds(1), await newJob());
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await probe.decide(id, number, 'cancelled');
      const gone = tenant.keys.lane('cancel', 'gone');
      await renew(id, gone);
      assert.equal(await redis.exists(gone), 0, 'no hash is left where a job was');
    });
  });

  describe('ending', () => {
    it('ends what is open, and nothing else', async () => {
      const decided = await oneOfEach();
      const open = newIds(2);
      await tenant.ledger.submit(number, open);
      const done = await tenant.ledger.end(number, Buffer.concat([decided, open, newIds(1)]), 'withdrawn');
      assert.deepEqual(done, { ended: 2, left: 0 });
      assert.equal((await probe.look(open.subarray(0, 16)))?.state, 'withdrawn');
      assert.deepEqual(await tenant.ledger.end(number, open, 'withdrawn'), { ended: 0, left: 0 }, 'once');
      await recount(tenant, number);
    });

    it('leaves live claims alone', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      await probe.grant(id, number);
      assert.deepEqual(await tenant.ledger.end(number, id, 'expired'), { ended: 0, left: 1 });
      assert.equal((await probe.look(id))?.state, 'open');
    });

    it('ends a lapsed claim as unresolved and uncertain', async () => {
      const brief = await newTenant(redis, { ...FREE, CALL_TIMEOUT: '100ms' });
      const briefProbe = createProbe(brief);
      const campaign = await briefProbe.campaign('brief');
      const id = newIds(1);
      await brief.ledger.submit(campaign, id);
      await briefProbe.grant(id, campaign);
      await eventually(async () =>
        assert.equal((await brief.ledger.end(campaign, id, 'withdrawn')).ended, 1),
      );
      const record = await briefProbe.look(id);
      assert.deepEqual([record?.state, record?.uncertain, record?.attempts], ['unresolved', true, 1]);
    });

    it('leaves alone what another campaign owns', async () => {
      const other = await probe.campaign('other');
      const id = newIds(1);
      await tenant.ledger.submit(other, id);
      assert.deepEqual(await tenant.ledger.end(number, id, 'withdrawn'), { ended: 0, left: 0 });
    });
  });

  describe('settling by the list', () => {
    const detail = {
      action: {
        status: 'Succeeded',
        type: 'Isolate',
        machineId: 'm',
        computerDnsName: 'd',
        createdAt: null,
        updatedAt: null,
      },
    };

    it('ends an action that was never called, without a slot', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      assert.equal((await tenant.ledger.settle(number, id, detail)).kind, 'settled');
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts], ['already_final', 0]);
      assert.deepEqual(await probe.slots(), []);
      await recount(tenant, number);
    });

    it('leaves alone what is being called, was called, or has an outcome', async () => {
      const ids = newIds(3);
      await tenant.ledger.submit(number, ids);
      await probe.grant(idAt(ids, 0), number);
      const verdict = { kind: 'retry', delayMs: 0, uncertain: true, costsAttempt: true, detail: {} } as const;
      await probe.finish(idAt(ids, 1), number, await probe.grant(idAt(ids, 1), number), { verdict });
      await probe.decide(idAt(ids, 2), number, 'not_found');
      for (let index = 0; index < 3; index++) {
        assert.deepEqual(await tenant.ledger.settle(number, idAt(ids, index), detail), { kind: 'left' });
      }
    });

    it('leaves alone what a paused or another campaign owns', async () => {
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      const other = await probe.campaign('other');
      assert.deepEqual(await tenant.ledger.settle(other, id, detail), { kind: 'left' });
      await redis.hset(tenant.keys.campaign(number), 'state', 'paused');
      assert.deepEqual(await tenant.ledger.settle(number, id, detail), { kind: 'left' });
    });
  });

  describe('forgetting', () => {
    it('removes a campaign’s records and leaves those that others own', async () => {
      const ids = newIds(2_500);
      await tenant.ledger.submit(number, ids);
      await probe.decide(idAt(ids, 0), number, 'rejected');
      const other = await probe.campaign('other');
      await tenant.ledger.submit(other, idAt(ids, 0));
      assert.equal(await tenant.ledger.forget(number, ids), 0, 'it is not closed');
      await redis.hset(tenant.keys.campaign(number), 'state', 'deleted');
      assert.equal(await tenant.ledger.forget(number, ids), 2_499);
      assert.equal((await probe.look(idAt(ids, 0)))?.campaign, other);
      assert.equal(await probe.look(idAt(ids, 1)), null, bytesToGuid(idAt(ids, 1)));
      assert.equal(await redis.hget(tenant.keys.state, 'records'), '1');
    });
  });
});
