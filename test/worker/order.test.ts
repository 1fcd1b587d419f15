import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { LaneName } from '../../src/store/keys.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

/** More than a worker takes at a time. */
const COUNT = 25;

/** Calls in a window, in which a worker may take more than that. */
const WINDOW = 5;

/** What a worker took when a hold came up goes back to the lane it came from. */
describe('jobs that go back to their lane', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  /** A tenant that may not call for a minute and a half, which campaigns are fed for, with a worker that has seen that. */
  async function open(): Promise<void> {
    stack = await openStack(server);
    await stack.startWorker();
    await stack.result(await stack.enqueue({ machineActionId: stack.addActions(1)[0], comment: 'x' }));
    await stack.redis.hset(stack.tenant.keys.state, 'cancel:penalty', Date.now() + 90_000);
  }

  /** The ids of a lane's waiting jobs, the next one first, once all have gone back. */
  function waiting(lane: LaneName): Promise<string[]> {
    const { lane: key } = stack.tenant.keys;
    return eventually(async () => {
      assert.ok((await stack.redis.pttl(key(lane, 'limiter'))) > 20_000);
      assert.equal(await stack.redis.llen(key(lane, 'active')), 0);
      const jobIds = (await stack.redis.lrange(key(lane, 'wait'), 0, -1)).reverse();
      assert.equal(jobIds.length, COUNT);
      const fields = await Promise.all(jobIds.map((jobId) => stack.redis.hget(key(lane, jobId), 'data')));
      return fields.map((data) => {
        const { id, machineActionId } = JSON.parse(data ?? '{}');
        return id ?? machineActionId;
      });
    });
  }

  it('are as they were: a campaign’s', async () => {
    await open();
    const ids = stack.addActions(COUNT);
    await stack.submit(ids);
    assert.deepEqual(await waiting('cancel-campaign'), ids);
  });

  for (const lane of ['cancel', 'cancel-urgent'] as const) {
    it(`are as they were: those of ${lane}`, async () => {
      await open();
      const ids = stack.addActions(COUNT);
      for (const machineActionId of ids) await stack.enqueue({ machineActionId, comment: 'x' }, lane);
      assert.deepEqual(await waiting(lane), ids);
    });
  }

  it('are called in their order, whatever was submitted behind them while the window was full', async () => {
    stack = await openStack(server, { limits: `${WINDOW}/3s` });
    await stack.startWorker();
    await stack.submit(stack.addActions(WINDOW), 'before');
    await stack.untilDone('before');
    const early = stack.addActions(WINDOW - 1);
    await stack.submit(early, 'early');
    await stack.submit(stack.addActions(2 * WINDOW), 'late');
    await stack.untilDone('early');
    const called = stack.simulator.calls().filter(({ operation }) => operation === 'cancel');
    const next = called.slice(WINDOW, 2 * WINDOW).map(({ id }) => id);
    assert.deepEqual(
      early.filter((id) => !next.includes(id)),
      [],
    );
  });
});
