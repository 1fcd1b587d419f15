import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { feedUrgent } from '../../../src/app/feed.ts';
import { bytesToGuid } from '../../../src/base/guid.ts';
import { silentLog } from '../../../src/base/log.ts';
import { followersOf, forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { planSubmit } from '../../../src/store/campaign/plan.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../../../src/store/campaign/report.ts';
import { campaignStatus, isStopped } from '../../../src/store/campaign/status.ts';
import { prioritize, retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { createSweep } from '../../../src/store/campaign/sweep.ts';
import { URGENT } from '../../../src/store/ledger/place.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds, type Probe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, seeWorker, type TestTenant } from '../../support/tenant.ts';

describe('ids that several campaigns name', () => {
  let server: TestRedis;
  let tenant: TestTenant;
  let probe: Probe;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    tenant = await newTenant(await server.connect());
    probe = createProbe(tenant);
  });
  after(() => server.close());

  async function submit(name: string, ids: Buffer, expiresAt: number | null = null) {
    const parts = (async function* () {
      yield ids;
    })();
    return submitCampaign(tenant, { name, comment: 'test', expiresAt, now: Date.now() }, parts);
  }

  const find = (name: string) => findCampaign(tenant.redis, tenant.keys, name);

  async function decide(name: string, ids: Buffer, outcome: Parameters<Probe['decide']>[2]): Promise<void> {
    const { number } = await find(name);
    for (let index = 0; index < ids.length / 16; index++)
      await probe.decide(idAt(ids, index), number, outcome);
  }

  async function report(name: string): Promise<ReportLine[]> {
    const lines: ReportLine[] = [];
    for await (const line of reportCampaign(tenant, await find(name))) lines.push(line);
    return lines;
  }

  it('are followed where they are, to their end', async () => {
    await seeWorker(tenant);
    const ids = newIds(3);
    await submit('first', ids);
    const { accepted, tracked } = await submit('second', ids);
    assert.deepEqual(
      [accepted, tracked],
      [0, [{ campaign: 'first', outcome: null, state: 'running', count: 3 }]],
    );
    const before = await campaignStatus(tenant, 'second');
    assert.deepEqual(
      [before.state, before.total, before.open, before.tracked.open],
      ['running', 3, 3, 3],
      'it is not done with nothing to do',
    );
    assert.ok(before.etaAt, 'when its owner is done');
    await steer(tenant, 'first', 'pause', TESTER);
    const held = await campaignStatus(tenant, 'second');
    assert.deepEqual(
      [held.etaAt, held.hold?.reason, held.hold?.detail],
      [null, 'paused', 'Campaign "first", which owns these actions, is paused.'],
    );
    await steer(tenant, 'first', 'resume', TESTER);
    await decide('first', ids.subarray(0, 32), 'cancelled');
    assert.equal((await campaignStatus(tenant, 'second')).open, 1);
    await decide('first', ids.subarray(32), 'not_found');
    const done = await campaignStatus(tenant, 'second');
    assert.deepEqual([done.state, done.open, done.outcomes], ['done', 0, { cancelled: 2, not_found: 1 }]);
    assert.equal(await isStopped(tenant, await find('second')), false, 'one of them is not stopped');
    const lines = await report('second');
    assert.deepEqual(lines.map(({ outcome, campaign }) => `${outcome} ${campaign}`).sort(), [
      'cancelled first',
      'cancelled first',
      'not_found first',
    ]);
  });

  it('are taken over from a campaign that has expired or was aborted, also while no worker has noted it', async () => {
    await seeWorker(tenant);
    const [late, stopped] = [newIds(2), newIds(3)];
    const ids = Buffer.concat([late, stopped]);
    await submit('late', late, Date.now() + 60_000);
    await submit('stopped', stopped);
    await steer(tenant, 'stopped', 'abort', TESTER);
    const { redis, keys } = tenant;
    const { number } = await find('late');
    const past = Date.now() - 1_000;
    await redis.hset(keys.campaign(number), 'expiresAt', past);
    await redis.zadd(keys.expiries, past, `c${number}`);
    const { state, etaAt, hold } = await campaignStatus(tenant, 'late');
    assert.deepEqual([state, etaAt, hold], ['expired', null, null]);
    const parts = (async function* () {
      yield ids;
    })();
    const planned = await planSubmit(tenant, { name: 'second', priority: 5, expiresInMs: null }, parts);
    const { accepted, tracked, takenOver } = await submit('second', ids);
    assert.deepEqual([accepted, tracked], [5, []]);
    const from = [
      { campaign: 'late', state: 'expired', outcome: 'expired', count: 2 },
      { campaign: 'stopped', state: 'aborted', outcome: 'withdrawn', count: 3 },
    ];
    assert.deepEqual(new Set(takenOver), new Set(from));
    assert.deepEqual([planned.accepted, planned.tracked, new Set(planned.takenOver)], [5, [], new Set(from)]);
    assert.deepEqual((await campaignStatus(tenant, 'late')).outcomes, { expired: 2 });
    await assert.rejects(submit('late', newIds(1)), { code: 'CAMPAIGN_CLOSED' });
    await assert.rejects(steer(tenant, 'late', 'resume', TESTER), { code: 'CAMPAIGN_CLOSED' });
  });

  it('of a campaign that has finished do not expire with it, and one past its time takes no more', async () => {
    const ids = newIds(2);
    await submit('done', ids, Date.now() + 60_000);
    await decide('done', ids, 'cancelled');
    await submit('late', newIds(1), Date.now() + 60_000);
    const { redis, keys } = tenant;
    const past = Date.now() - 1_000;
    for (const name of ['done', 'late']) {
      const { number } = await find(name);
      await redis.hset(keys.campaign(number), 'expiresAt', past);
      await redis.zadd(keys.expiries, past, `c${number}`);
    }
    const parts = async function* () {
      yield newIds(1);
    };
    const again = { name: 'late', priority: 5, expiresInMs: null };
    await assert.rejects(planSubmit(tenant, again, parts()), { code: 'CAMPAIGN_CLOSED' });
    await submit('other', newIds(1));
    const { state, outcomes } = await campaignStatus(tenant, 'done');
    assert.deepEqual([state, outcomes], ['done', { cancelled: 2 }]);
    assert.equal((await steer(tenant, 'done', 'pause', TESTER)).state, 'done');
    assert.equal((await campaignStatus(tenant, 'late')).state, 'expired');
    await assert.rejects(retryCampaign(tenant, 'done', ['cancelled'], TESTER), { code: 'CAMPAIGN_CLOSED' });
    await assert.rejects(submit('done', newIds(1)), { code: 'CAMPAIGN_CLOSED' });
  });

  it('are called in nobody’s name where their owner is paused, also for an urgent campaign', async () => {
    await seeWorker(tenant);
    const ids = newIds(2);
    await submit('first', ids);
    await steer(tenant, 'first', 'pause', TESTER);
    await submit('second', ids);
    await prioritize(tenant, 'second', URGENT, TESTER);
    const { etaAt, hold, open } = await campaignStatus(tenant, 'second');
    assert.deepEqual([etaAt, hold?.reason, open], [null, 'paused', 2]);
  });

  it('are not called for an urgent campaign in which they ended before another one took them over', async () => {
    const ids = newIds(2);
    await submit('first', ids);
    await prioritize(tenant, 'first', URGENT, TESTER);
    await decide('first', ids, 'forbidden');
    await submit('second', idAt(ids, 0));
    const { redis, keys } = tenant;
    assert.equal(await retryCampaign(tenant, 'first', ['forbidden'], TESTER), 1);
    await feedUrgent(tenant, silentLog);
    const jobs = await redis.lrange(keys.lane('cancel-urgent', 'wait'), 0, -1);
    const fed = await Promise.all(jobs.map((job) => redis.hget(keys.lane('cancel-urgent', job), 'data')));
    assert.deepEqual(
      fed.map((data) => JSON.parse(data ?? '{}').machineActionId),
      [bytesToGuid(idAt(ids, 1))],
    );
  });

  it('keep the end that they had in a campaign when another one takes them over', async () => {
    const ids = newIds(10);
    await submit('first', ids);
    await decide('first', ids.subarray(0, 80), 'cancelled');
    await decide('first', ids.subarray(80), 'forbidden');
    const before = [await campaignStatus(tenant, 'first'), await report('first')];
    const { accepted, takenOver, tracked } = await submit('second', ids);
    assert.deepEqual([accepted, tracked.length], [5, 1]);
    assert.deepEqual(takenOver, [{ campaign: 'first', outcome: 'forbidden', state: 'done', count: 5 }]);
    assert.deepEqual([await campaignStatus(tenant, 'first'), await report('first')], before);
    await decide('second', ids.subarray(80), 'cancelled');
    assert.deepEqual([await campaignStatus(tenant, 'first'), await report('first')], before);
    const { outcomes, total } = await campaignStatus(tenant, 'second');
    assert.deepEqual([outcomes, total], [{ cancelled: 10 }, 10]);
  });

  it('let a campaign be aborted while they are open elsewhere, and go on there', async () => {
    const ids = newIds(2);
    await submit('first', ids);
    await submit('second', ids);
    assert.equal((await steer(tenant, 'second', 'abort', TESTER)).state, 'aborted');
    const { state, open } = await campaignStatus(tenant, 'second');
    assert.deepEqual([state, open], ['aborted', 2]);
    await decide('first', ids, 'cancelled');
    await submit('third', ids);
    const { state: left, finishedAt } = await steer(tenant, 'third', 'abort', TESTER);
    assert.deepEqual([left, finishedAt], ['done', null]);
    assert.equal((await campaignStatus(tenant, 'third')).state, 'done', 'nothing was left to abort');
  });

  it('are kept until the last campaign that follows them is forgotten', async () => {
    const ids = newIds(2);
    await submit('old', ids);
    await decide('old', ids, 'cancelled');
    const old = await find('old');
    const { campaign } = tenant.keys;
    await tenant.redis.hset(campaign(old.number), 'decidedAt', 1_000, 'createdAt', 1_000);
    await submit('young', ids);
    const sweep = createSweep({ ...tenant, log: silentLog, wall: Date.now });
    await sweep.forgetOld(3_600_000);
    assert.deepEqual(
      (await followersOf(tenant, old, 0)).map(({ name }) => name),
      ['young'],
    );
    assert.deepEqual((await campaignStatus(tenant, 'young')).outcomes, { cancelled: 2 });
    const young = await find('young');
    await tenant.redis.hset(campaign(young.number), 'createdAt', 1_000);
    await sweep.forgetOld(3_600_000);
    for (const name of ['old', 'young'])
      await assert.rejects(campaignStatus(tenant, name), { code: 'CAMPAIGN_UNKNOWN' });
  });

  it('keep a campaign that only follows them until they have ended', async () => {
    const ids = newIds(1);
    await submit('owner', ids);
    await submit('follower', ids);
    const { redis, keys } = tenant;
    const { number } = await find('follower');
    await redis.hset(keys.campaign(number), 'createdAt', 1_000);
    const sweep = createSweep({ ...tenant, log: silentLog, wall: Date.now });
    await sweep.forgetOld(3_600_000);
    assert.equal((await campaignStatus(tenant, 'follower')).open, 1);
    await decide('owner', ids, 'cancelled');
    await sweep.forgetOld(3_600_000);
    assert.equal((await campaignStatus(tenant, 'follower')).state, 'done', 'they ended just now');
  });

  it('are gone where their campaign was deleted all the same, and keep nobody waiting', async () => {
    const ids = newIds(2);
    await submit('first', ids);
    await submit('second', ids);
    await decide('first', ids, 'cancelled');
    assert.equal(await forgetCampaign(tenant, await find('first'), Number.MAX_SAFE_INTEGER), true);
    const { state, total, open, unknown, outcomes } = await campaignStatus(tenant, 'second');
    assert.deepEqual([state, total, open, unknown, outcomes], ['done', 2, 0, 2, {}]);
    const lines = await report('second');
    assert.deepEqual(
      lines.map(({ outcome, campaign }) => [outcome, campaign]),
      [
        ['unknown', ''],
        ['unknown', ''],
      ],
    );
    assert.equal(await isStopped(tenant, await find('second')), false);
  });
});
