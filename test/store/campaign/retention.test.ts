import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Job, Queue } from 'bullmq';
import { silentLog } from '../../../src/base/log.ts';
import { findCampaign, listCampaigns } from '../../../src/store/campaign/registry.ts';
import { steer } from '../../../src/store/campaign/steer.ts';
import { createSweep, type SweepDeps } from '../../../src/store/campaign/sweep.ts';
import { JOB_NAME } from '../../../src/store/keys.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds, type Probe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { CAMPAIGN, openStack, type Stack } from '../../support/stack.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';

const RETENTION_MS = 90 * 86_400_000;

describe('campaigns past their retention', () => {
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

  /** What a worker does every hour, at this time by its clock. */
  function forgetAt(wall: number, more: Partial<SweepDeps> = {}): Promise<void> {
    return createSweep({ ...tenant, log: silentLog, wall: () => wall, ...more }).forgetOld(RETENTION_MS);
  }

  async function names(): Promise<string[]> {
    return (await listCampaigns(tenant.redis, tenant.keys, true)).map(({ name }) => name);
  }

  async function keysOf(number: number): Promise<string[]> {
    const { redis, keys } = tenant;
    const found = await redis.keys(`${keys.campaign(number)}*`);
    return found.filter(
      (key) => key === keys.campaign(number) || key.startsWith(`${keys.campaign(number)}:`),
    );
  }

  /** A campaign with so many decided ids. */
  async function ended(name: string, count: number): Promise<{ number: number; ids: Buffer; at: number }> {
    const number = await probe.campaign(name);
    const ids = newIds(count);
    await tenant.ledger.submit(number, ids);
    for (let i = 0; i < count; i++) await probe.decide(idAt(ids, i), number, 'cancelled');
    const { decidedAt } = await probe.read(number);
    return { number, ids, at: decidedAt ?? 0 };
  }

  /** Redis' clock counts on, so that what is decided next is decided later. */
  async function untilAfter(at: number): Promise<void> {
    await eventually(async () => {
      const [seconds, micros] = (await tenant.redis.time()).map(Number);
      assert.ok((seconds ?? 0) * 1_000 + Math.floor((micros ?? 0) / 1_000) > at);
    });
  }

  it('are forgotten entirely; younger ones stay', async () => {
    const { redis, keys, ledger } = tenant;
    const old = await ended('old', 3);
    await untilAfter(old.at);
    const young = await ended('young', 2);
    const records = Number(await redis.hget(keys.state, 'records'));
    assert.ok((await keysOf(old.number)).length >= 3);

    await forgetAt(old.at + RETENTION_MS - 1);
    assert.deepEqual(await names(), ['old', 'young'], 'not a moment too soon');
    await forgetAt(old.at + RETENTION_MS);
    assert.deepEqual(await names(), ['young']);
    assert.deepEqual(await keysOf(old.number), []);
    assert.equal(await redis.hget(keys.campaigns, 'old'), null);
    assert.deepEqual(await ledger.look(old.ids), [null, null, null]);
    assert.equal(Number(await redis.hget(keys.state, 'records')), records - 3);
    assert.equal((await ledger.look(young.ids)).filter((record) => record?.state === 'cancelled').length, 2);
    assert.equal(await redis.xlen(keys.results(young.number)), 2);

    await forgetAt(young.at + RETENTION_MS);
    assert.deepEqual(await names(), []);
    assert.deepEqual(
      (await redis.keys(`${keys.prefix}*`)).filter((key) => /:(campaign|ledger|running|ending)/.test(key)),
      [],
      'nothing of them is left',
    );
  });

  it('stay while something of them is open, however old', async () => {
    const { number, ids } = await ended('half', 1);
    const open = newIds(1);
    await tenant.ledger.submit(number, open);
    await probe.campaign('empty');
    await steer(tenant, 'half', 'pause', TESTER);
    await forgetAt(Date.now() + 10 * RETENTION_MS);
    assert.deepEqual(await names(), ['half'], 'one without ids is old by its creation');
    assert.equal((await probe.look(open))?.state, 'open');
    assert.equal((await probe.look(ids))?.state, 'cancelled');
  });

  it('that were aborted are forgotten too, a thousand ids at a time', async () => {
    const { redis, keys, ledger } = tenant;
    const number = await probe.campaign('aborted');
    const ids = newIds(2_500);
    for (let at = 0; at < 2_500; at += 500)
      await ledger.submit(number, ids.subarray(16 * at, 16 * (at + 500)));
    await steer({ ...tenant, signal: AbortSignal.abort() }, 'aborted', 'abort', TESTER);
    await forgetAt(Date.now() + 2 * RETENTION_MS);
    assert.deepEqual(await names(), ['aborted'], 'it is not ended yet');
    await createSweep({ ...tenant, log: silentLog, wall: Date.now }).endCampaigns();
    assert.equal(await redis.xlen(keys.results(number)), 2_500);
    await forgetAt(Date.now() + 2 * RETENTION_MS);
    assert.deepEqual(await names(), []);
    assert.equal((await ledger.look(ids)).filter((record) => record !== null).length, 0);
    assert.equal(Number(await redis.hget(keys.state, 'records')), 0);
  });

  it('leave an id that another campaign opened again to that campaign', async () => {
    const { ledger } = tenant;
    const number = await probe.campaign('old');
    const ids = newIds(2);
    await ledger.submit(number, ids);
    await probe.decide(idAt(ids, 0), number, 'forbidden');
    await probe.decide(idAt(ids, 1), number, 'cancelled');
    const { decidedAt } = await probe.read(number);
    await untilAfter(decidedAt ?? 0);
    const next = await probe.campaign('next');
    await ledger.submit(next, idAt(ids, 0));
    await forgetAt((decidedAt ?? 0) + RETENTION_MS);
    assert.deepEqual(await names(), ['next']);
    const [reopened, forgotten] = await ledger.look(ids);
    assert.deepEqual([reopened?.state, reopened?.campaign, forgotten], ['open', next, null]);
  });

  it('that were forgotten half-way take no ids, and are forgotten by the next worker', async () => {
    const { redis, keys, ledger } = tenant;
    const { number, ids } = await ended('old', 3);
    const wall = Date.now() + 2 * RETENTION_MS;
    const dying = {
      ...ledger,
      forget: async (campaign: number, some: Buffer) => {
        await ledger.forget(campaign, some.subarray(0, 16));
        throw new Error('killed');
      },
    };
    await assert.rejects(forgetAt(wall, { ledger: dying }), /killed/);
    await assert.rejects(findCampaign(redis, keys, 'old'), { code: 'CAMPAIGN_UNKNOWN' });
    await assert.rejects(ledger.submit(number, newIds(1)), { code: 'CAMPAIGN_CLOSED' });
    await forgetAt(wall);
    assert.deepEqual(await keysOf(number), []);
    assert.deepEqual(await ledger.look(ids), [null, null, null]);
    const again = await probe.campaign('old');
    assert.notEqual(again, number, 'the name is free again');
  });
});

describe('what BullMQ keeps', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    stack = await openStack(server);
  });
  afterEach(() => stack.close());
  after(() => server.close());

  it('of a campaign is little; its results are complete all the same', async () => {
    const ids = stack.addActions(150);
    await stack.startWorker();
    await stack.submit(ids);
    await stack.untilDone();
    const { redis, keys } = stack.tenant;
    await eventually(async () => assert.equal(await redis.llen(keys.lane('cancel-campaign', 'active')), 0));
    const kept = await redis.zcard(keys.lane('cancel-campaign', 'completed'));
    assert.ok(kept > 0 && kept <= 100, `${kept} jobs kept`);
    assert.equal(await redis.xlen(keys.results(1)), 150);
    const report = await stack.report(CAMPAIGN);
    assert.deepEqual(new Set(report.keys()), new Set(ids));
    for (const { outcome } of report.values()) assert.equal(outcome, 'cancelled');
  });

  it('of a service is bounded, also where a job asks to be kept for ever', async () => {
    const { redis, keys } = stack.tenant;
    const queue = new Queue('cancel', { connection: await server.connect('worker'), prefix: keys.prefix });
    const [a = '', b = '', c = '', d = ''] = stack.addActions(4);
    await stack.startWorker();

    /** A service's job, with its own idea of what is to be kept; waits for its result. */
    async function enqueue(machineActionId: string, removeOnComplete: boolean | number): Promise<string> {
      const data = { v: 1, machineActionId, comment: 'stop it' };
      const { id = '' } = await queue.add(JOB_NAME, data, { removeOnComplete });
      await eventually(async () => {
        const job = await Job.fromId(queue, id);
        assert.ok(job === undefined || (await job.isCompleted()));
      });
      return id;
    }

    const completed = keys.lane('cancel', 'completed');
    const old = await enqueue(a, false);
    const result = (await Job.fromId(queue, old))?.returnvalue;
    assert.deepEqual([result.machineActionId, result.outcome], [a, 'cancelled']);
    // Two days pass for it, and 10,000 others complete.
    await redis.zadd(completed, Date.now() - 2 * 86_400_000, old);
    const others = Array.from({ length: 10_000 }, (_, index) => [Date.now() - 1_000, `other-${index}`]);
    await redis.zadd(completed, ...others.flat());
    const kept = await enqueue(b, false);
    assert.equal(await Job.fromId(queue, old), undefined, 'kept for a day only');
    assert.equal(await redis.zcard(completed), 10_000);
    assert.equal((await Job.fromId(queue, kept))?.returnvalue.outcome, 'cancelled');

    const few = await enqueue(c, 1);
    assert.equal(await redis.zcard(completed), 10_000, 'a job does not decide for the others');
    assert.ok(await Job.fromId(queue, few));
    const none = await enqueue(d, true);
    assert.equal(await Job.fromId(queue, none), undefined, 'a job that asks not to be kept is not');
    await queue.close();
  });
});
