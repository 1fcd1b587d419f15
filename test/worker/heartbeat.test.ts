import assert from 'node:assert/strict';
import { it } from 'node:test';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import { openTestRedis } from '../support/redis.ts';
import { CAMPAIGN, openStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

it('what was aborted in a Redis that counts anew is ended, although the count is the same', async (t) => {
  const server = await openTestRedis();
  t.after(() => server.close());
  const stack = await openStack(server);
  t.after(() => stack.close());
  const { redis, tenant } = stack;
  const { keys } = tenant;
  await stack.submit(stack.addActions(3));
  await steer(tenant, CAMPAIGN, 'pause', TESTER);
  const { number } = await findCampaign(redis, keys, CAMPAIGN);
  await stack.submit(stack.addActions(1), 'earlier');
  await steer(tenant, 'earlier', 'abort', TESTER);
  await stack.startWorker();
  await stack.untilDone('earlier');
  await eventually(async () => assert.equal(await redis.scard(keys.ending), 0));

  const epoch = Date.now() + 3_600_000;
  await redis
    .multi()
    .hset(keys.state, { epoch, seq: epoch })
    .hset(keys.campaign(number), { state: 'aborted' })
    .sadd(keys.ending, number)
    .exec();
  await stack.untilDone();
  assert.deepEqual((await stack.status()).outcomes, { withdrawn: 3 });
});
