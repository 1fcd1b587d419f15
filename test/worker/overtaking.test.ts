import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Job } from 'bullmq';
import { feedUrgent } from '../../src/app/feed.ts';
import type { Worker } from '../../src/app/worker.ts';
import { guidToBytes } from '../../src/base/guid.ts';
import { silentLog } from '../../src/base/log.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { createSweep } from '../../src/store/campaign/sweep.ts';
import { URGENT } from '../../src/store/ledger/place.ts';
import { TESTER } from '../support/actor.ts';
import { createProbe, recount } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const DIRECT = `direct-${new Date().toISOString().slice(0, 10)}`;

/** A service asks for a single cancel that expires; while nothing may go out, an urgent campaign names the same action. */
describe('a single cancel that expires, overtaken by an urgent campaign', () => {
  let server: TestRedis;
  let stack: Stack;
  let worker: Worker;
  let id: string;
  let asked: Job;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    stack = await openStack(server);
    const { redis, tenant } = stack;
    [id = ''] = stack.addActions(1);
    worker = await stack.startWorker();
    // So that there is a state, and a sign-in.
    await stack.result(await stack.enqueue({ machineActionId: stack.addActions(1)[0], comment: 'x' }));
    await redis.hset(tenant.keys.state, 'cancel:penalty', Date.now() + 600_000);
    const wish = { machineActionId: id, comment: 'of a service', requestedBy: 'soar' };
    asked = await stack.enqueue({ ...wish, expiresAt: Date.now() + 600_000 });
    await eventually(async () => assert.ok(await expiry()));
    await stack.submit([id], 'now', { priority: URGENT });
    // As the command does: a worker feeds when a call is near.
    await feedUrgent(tenant, silentLog);
    await eventually(async () =>
      assert.ok((await redis.pttl(tenant.keys.lane('cancel-urgent', 'limiter'))) > 60_000),
    );
  });
  afterEach(() => stack.close());
  after(() => server.close());

  const expiry = () => stack.redis.zscore(stack.tenant.keys.expiries, guidToBytes(id));

  /** What is noted as the service's time is over. */
  async function expire(): Promise<void> {
    await stack.redis.zadd(stack.tenant.keys.expiries, 'XX', Date.now() - 1, guidToBytes(id));
    await eventually(async () => assert.equal((await stack.status(DIRECT)).outcomes.expired, 1));
  }

  /** Calls may go out again: a new worker finds the lanes as the first one left them. */
  async function goOn(): Promise<void> {
    await worker.stop();
    await stack.redis.hdel(stack.tenant.keys.state, 'cancel:penalty');
    await stack.startWorker();
    await eventually(async () => {
      const { lane } = stack.tenant.keys;
      assert.equal(await stack.redis.llen(lane('cancel-urgent', 'wait')), 0);
      assert.equal(await stack.redis.llen(lane('cancel-urgent', 'active')), 0);
    });
  }

  it('keeps its time', async () => {
    assert.ok(await expiry());
    await goOn();
    assert.equal((await stack.result(asked)).outcome, 'cancelled');
    assert.equal(stack.simulator.callsFor(id).length, 1);
  });

  it('is called for the service only once the campaign was aborted', async () => {
    await steer(stack.tenant, 'now', 'abort', TESTER);
    await goOn();
    assert.equal((await stack.result(asked)).outcome, 'cancelled');
    assert.deepEqual(
      stack.simulator.callsFor(id).map(({ comment }) => comment),
      ['of a service'],
    );
  });

  it('ends as expired, without a call, once the campaign was aborted', async () => {
    await steer(stack.tenant, 'now', 'abort', TESTER);
    await expire();
    await goOn();
    const result = await stack.result(asked);
    assert.deepEqual([result.outcome, result.requestedBy], ['expired', 'soar']);
    assert.deepEqual(stack.simulator.callsFor(id), []);
    assert.equal((await stack.status(DIRECT)).open, 0);
  });

  it('ends as expired, and is called for the campaign that still wants it', async () => {
    await expire();
    await goOn();
    await stack.result(asked);
    const { outcomes } = await eventually(async () => {
      const status = await stack.status('now');
      assert.deepEqual([status.total, status.open], [1, 0]);
      return status;
    });
    assert.deepEqual(outcomes, { cancelled: 1 });
    assert.deepEqual(
      stack.simulator.callsFor(id).map(({ comment }) => comment),
      ['test'],
    );
    const { number } = await createProbe(stack.tenant).read(1);
    const [, [, fields] = ['', []]] = await stack.redis.xrange(stack.tenant.keys.results(number), '-', '+');
    const said = (name: string) => fields[fields.indexOf(name) + 1];
    assert.deepEqual([said('outcome'), said('requestedBy')], ['expired', 'soar']);
    for (const campaign of [1, 2]) await recount(stack.tenant, campaign);
  });

  it('waits with the campaign while that is paused, and not for it', async () => {
    await steer(stack.tenant, 'now', 'pause', TESTER);
    await goOn();
    assert.equal((await stack.result(asked)).outcome, 'cancelled');
    assert.deepEqual(
      stack.simulator.callsFor(id).map(({ comment }) => comment),
      ['of a service'],
    );
  });
});

it('what expires in another campaign before its turn is called for the urgent one', async (t) => {
  const server = await openTestRedis();
  t.after(() => server.close());
  const stack = await openStack(server);
  t.after(() => stack.close());
  const { redis, tenant } = stack;
  const ids = stack.addActions(3);
  await stack.submit(ids, 'slow', { expiresAt: Date.now() + 600_000 });
  await stack.submit(ids, 'now', { priority: URGENT });
  const { number } = await findCampaign(redis, tenant.keys, 'slow');
  await redis.hset(tenant.keys.campaign(number), 'expiresAt', Date.now() - 1);
  await redis.zadd(tenant.keys.expiries, Date.now() - 1, `c${number}`);
  const sweep = createSweep({ ...tenant, log: silentLog, wall: Date.now });
  await sweep.endDue();
  while ((await sweep.endCampaigns()) === 'more');
  assert.deepEqual((await stack.status('slow')).outcomes, { expired: 3 });
  await stack.startWorker();
  await eventually(async () => assert.deepEqual((await stack.status('now')).outcomes, { cancelled: 3 }));
  const names = (await redis.hkeys(tenant.keys.campaigns)).sort();
  assert.deepEqual(names, ['now', 'slow'], 'none is opened for single cancels, of which there were none');
});
