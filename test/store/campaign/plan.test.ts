import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { feedUrgent } from '../../../src/app/feed.ts';
import { silentLog } from '../../../src/base/log.ts';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import type { OtherCount } from '../../../src/store/campaign/others.ts';
import { planSubmit, type SubmitPlan } from '../../../src/store/campaign/plan.ts';
import { campaignStatus } from '../../../src/store/campaign/status.ts';
import { prioritize, steer } from '../../../src/store/campaign/steer.ts';
import { type SubmitSummary, submitCampaign } from '../../../src/store/campaign/submit.ts';
import { URGENT } from '../../../src/store/ledger/place.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds, type Probe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, seeWorker, type TestTenant } from '../../support/tenant.ts';

describe('the plan of a submit', () => {
  let server: TestRedis;
  let tenant: TestTenant;
  let probe: Probe;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    const redis = await server.connect();
    // Many tenants over one connection.
    redis.setMaxListeners(0);
    tenant = await newTenant(redis);
    probe = createProbe(tenant);
  });
  after(() => server.close());

  async function* parts(...ids: Buffer[]): AsyncGenerator<Buffer> {
    yield* ids;
  }

  function plan(name: string, ids: Buffer, priority = 5): Promise<SubmitPlan> {
    return planSubmit(tenant, { name, priority, expiresInMs: null }, parts(ids));
  }

  function submit(name: string, ids: Buffer, priority = 5): Promise<SubmitSummary> {
    return submitCampaign(tenant, { name, comment: 'test', priority, now: Date.now() }, parts(ids));
  }

  /** Everything that Redis holds of the tenant. */
  async function everything(): Promise<Map<string, string>> {
    const { redis, keys } = tenant;
    const found = (await redis.keys(`${keys.prefix}*`)).toSorted();
    const dumps = await Promise.all(found.map(async (key) => [key, `${await redis.dump(key)}`] as const));
    return new Map(dumps);
  }

  const sorted = (counts: readonly OtherCount[]) =>
    counts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

  const counted = ({ accepted, already, tracked, takenOver, created }: SubmitPlan | SubmitSummary) => ({
    accepted,
    already,
    created,
    tracked: sorted(tracked),
    takenOver: sorted(takenOver),
  });

  it('writes nothing', async () => {
    const ids = newIds(5);
    await submit('first', idAt(ids, 0));
    const before = await everything();
    const planned = await plan('second', ids);
    assert.deepEqual(counted(planned), {
      accepted: 4,
      already: 0,
      created: true,
      tracked: [{ campaign: 'first', outcome: null, state: 'running', count: 1 }],
      takenOver: [],
    });
    assert.deepEqual(await everything(), before);
  });

  it('is what the submit then does, whatever became of the ids before', async () => {
    const pick = fc.nat({ max: 7 });
    const picks = fc.array(pick, { minLength: 1, maxLength: 12 });
    const each = fc.uniqueArray(pick, { minLength: 1, maxLength: 8 });
    const history = fc.array(
      fc.record({
        campaign: fc.constantFrom('a', 'b'),
        ids: picks,
        decide: fc.array(fc.tuple(pick, fc.constantFrom(...OUTCOMES)), { maxLength: 4 }),
      }),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(history, fc.constantFrom('a', 'c'), each, async (steps, name, wanted) => {
        tenant = await newTenant(tenant.redis);
        probe = createProbe(tenant);
        const pool = newIds(8);
        const take = (places: readonly number[]) => Buffer.concat(places.map((place) => idAt(pool, place)));
        for (const { campaign, ids, decide } of steps) {
          await submit(campaign, take(ids));
          for (const [place, outcome] of decide) {
            const record = await probe.look(idAt(pool, place));
            if (record?.state === 'open') await probe.decide(idAt(pool, place), record.campaign, outcome);
          }
        }
        const planned = await plan(name, take(wanted));
        const done = await submit(name, take(wanted));
        assert.deepEqual(counted(planned), counted(done));
        const { open, tracked } = await campaignStatus(tenant, name);
        assert.equal(planned.open, open - tracked.open);
      }),
      { numRuns: 60 },
    );
  });

  it('says when it would end: after those that go first', async () => {
    await seeWorker(tenant);
    await submit('ahead', newIds(3_000), 4);
    await submit('level', newIds(1_500), 5);
    await submit('behind', newIds(9_000), 6);
    const ids = newIds(1_500);
    const planned = await plan('mine', ids);
    await submit('mine', ids);
    const { etaAt } = await campaignStatus(tenant, 'mine');
    assert.ok(planned.etaAt && etaAt);
    assert.ok(Math.abs(Date.parse(planned.etaAt) - Date.parse(etaAt)) < 2_000, `${planned.etaAt} ${etaAt}`);
    const [first, last] = await Promise.all([
      plan('first', newIds(1_500), 1),
      plan('last', newIds(1_500), 9),
    ]);
    const at = ({ etaAt: iso }: SubmitPlan) => Date.parse(iso ?? '');
    assert.ok(at(first) < at(planned) && at(planned) < at(last));
    const again = await plan('mine', ids, 1);
    assert.ok(Math.abs(at(again) - Date.parse(etaAt)) < 2_000, 'a campaign keeps its priority');
  });

  it('has no end where nothing runs', async () => {
    const ids = newIds(2);
    await seeWorker(tenant);
    await submit('first', ids);
    await steer(tenant, 'first', 'pause', TESTER);
    assert.equal((await plan('second', ids)).etaAt, null, 'it would only follow what is paused');
    const planned = await plan('first', newIds(1));
    assert.deepEqual([planned.open, planned.etaAt], [3, null]);
  });

  it('says when what it would only follow ends, as the status then does', async () => {
    await seeWorker(tenant);
    const ids = newIds(1_500);
    await submit('owner', ids);
    for (const [name, wanted, priority] of [
      ['follower', ids, 5],
      ['both', Buffer.concat([ids, newIds(10)]), 1],
      ['at once', ids, URGENT],
    ] as const) {
      const planned = await plan(name, wanted, priority);
      await submit(name, wanted, priority);
      const { etaAt } = await campaignStatus(tenant, name);
      assert.ok(planned.etaAt && etaAt, name);
      assert.ok(Math.abs(Date.parse(planned.etaAt) - Date.parse(etaAt)) < 2_000, `${planned.etaAt} ${etaAt}`);
    }
  });

  it('is not later for a campaign that has become urgent, whatever of it was handed out', async () => {
    await seeWorker(tenant);
    const ids = newIds(300);
    await submit('mine', ids);
    const before = Date.parse((await campaignStatus(tenant, 'mine')).etaAt ?? '');
    await prioritize(tenant, 'mine', URGENT, TESTER);
    await feedUrgent(tenant, silentLog);
    assert.ok((await tenant.redis.llen(tenant.keys.lane('cancel-urgent', 'wait'))) > 0);
    const after = Date.parse((await campaignStatus(tenant, 'mine')).etaAt ?? '');
    assert.ok(after <= before, `${before} before, ${after} now`);
  });

  it('is held by no failed sign-in of a worker that is gone', async () => {
    const { redis, keys } = tenant;
    await submit('first', newIds(1));
    await redis.hset(
      keys.holds,
      'sign-in',
      JSON.stringify({ code: 'invalid_client', message: 'x', at: Date.now() }),
    );
    assert.equal((await campaignStatus(tenant, 'first')).hold, null, 'no worker is there');
    await redis.hset(keys.workers, 'w', `${Date.now()} ${JSON.stringify({ trouble: 'invalid_client' })}`);
    assert.equal((await campaignStatus(tenant, 'first')).hold?.reason, 'sign-in');
  });

  it('waits for a full window only where its class has none free, and says which', async () => {
    await seeWorker(tenant);
    const { redis, keys } = tenant;
    await submit('bulk', newIds(3));
    await submit('urgent', newIds(3), URGENT);
    const now = Date.now();
    // All of a minute but what is kept for urgent ones.
    await redis.zadd(
      keys.slots('cancel'),
      ...Array.from({ length: 90 }, (_, i) => [now - i, `${now + i}`]).flat(),
    );
    const [bulk, urgent] = [await campaignStatus(tenant, 'bulk'), await campaignStatus(tenant, 'urgent')];
    assert.equal(bulk.hold?.reason, 'window');
    assert.match(bulk.hold?.detail ?? '', /\(the other \d+ reserved for urgent requests\)$/);
    assert.equal(urgent.hold, null);
  });

  it('has no end while no worker is there, or nobody knows when the API answers again', async () => {
    await submit('first', newIds(2));
    assert.equal((await campaignStatus(tenant, 'first')).etaAt, null, 'no worker has ever been there');
    for (const [said, what] of [
      [`${Date.now() - 60_000} {"trouble":""}`, 'the last one was seen a minute ago'],
      [`${Date.now()} {"trouble":"","ended":true}`, 'it has just ended'],
      [`${Date.now() + 600_000} {"trouble":"invalid_client"}`, 'it cannot sign in'],
    ] as const) {
      await tenant.redis.hset(tenant.keys.workers, 'one', said);
      assert.equal((await campaignStatus(tenant, 'first')).etaAt, null, what);
    }
    assert.equal((await plan('second', newIds(1))).etaAt, null);
    await seeWorker(tenant);
    assert.ok((await campaignStatus(tenant, 'first')).etaAt);
    await tenant.redis.hset(
      tenant.keys.state,
      'cancel:hold',
      Date.now() + 30_000,
      'cancel:reason',
      'upstream',
    );
    const { hold, etaAt } = await campaignStatus(tenant, 'first');
    assert.deepEqual([hold?.reason, etaAt], ['upstream', null]);
  });

  it('refuses a campaign that takes no more ids', async () => {
    await submit('first', newIds(1));
    await steer(tenant, 'first', 'abort', TESTER);
    await assert.rejects(plan('first', newIds(1)), {
      code: 'CAMPAIGN_CLOSED',
      message: `campaign "first" in tenant ${tenant.keys.tenant} is aborted and accepts no more actions`,
    });
  });
});
