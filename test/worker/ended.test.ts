import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { CAMPAIGN, openStack, type Stack } from '../support/stack.ts';

describe('an id of a campaign that ends when its job is taken', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  /** What the feeder left in the lane, of a campaign that was aborted and that nobody has swept yet. */
  async function leftInTheLane(id: string) {
    await stack.submit([id], CAMPAIGN, { requestedBy: 'alice' });
    const { number, createdAt } = await findCampaign(stack.redis, stack.tenant.keys, CAMPAIGN);
    await steer(stack.tenant, CAMPAIGN, 'abort', TESTER);
    await stack.redis.srem(stack.tenant.keys.ending, number);
    const job = { v: 1, id, comment: 'test', campaign: number };
    return { job: await stack.enqueue(job, 'cancel-campaign'), number, createdAt };
  }

  it('was requested when its campaign was, by whom it was', async () => {
    stack = await openStack(server);
    const [id = ''] = stack.addActions(1);
    const { job, number, createdAt } = await leftInTheLane(id);
    await stack.startWorker();
    const result = await stack.result(job);
    assert.equal(result.outcome, 'withdrawn');
    assert.deepEqual([result.requestedBy, Date.parse(result.requestedAt)], ['alice', createdAt]);
    const line = (await stack.report()).get(id);
    assert.deepEqual([line?.requestedBy, Date.parse(line?.requestedAt ?? '')], ['alice', createdAt]);
    const [[, fields] = ['', []]] = await stack.redis.xrange(stack.tenant.keys.results(number), '-', '+');
    assert.equal(fields.at(-2), 'decidedAt', 'nothing is said of it that its campaign does not say');
  });

  it('was so also where an earlier version has recorded 1970', async () => {
    stack = await openStack(server);
    const [id = ''] = stack.addActions(1);
    const { job, number, createdAt } = await leftInTheLane(id);
    await stack.startWorker();
    await stack.result(job);
    const results = stack.tenant.keys.results(number);
    const [[place, fields] = ['', []]] = await stack.redis.xrange(results, '-', '+');
    await stack.redis.del(results);
    await stack.redis.xadd(results, place, ...fields, 'requestedBy', '', 'requestedAt', '0');
    const line = (await stack.report()).get(id);
    assert.equal(Date.parse(line?.requestedAt ?? ''), createdAt);
  });
});
