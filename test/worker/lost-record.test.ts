import assert from 'node:assert/strict';
import { it } from 'node:test';
import { guidToBytes } from '../../src/base/guid.ts';
import { bucketOf, FIRST_BUCKETS } from '../../src/store/ledger/record.ts';
import { openTestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

it('a service’s request whose record Redis lost during its call has an outcome all the same', async (t) => {
  const server = await openTestRedis();
  t.after(() => server.close());
  const stack = await openStack(server);
  t.after(() => stack.close());
  const { redis, tenant, simulator } = stack;
  await stack.startWorker();
  const [id = ''] = stack.addActions(1);
  const lost = { machineActionId: id, comment: 'of a service' };
  simulator.setFaults([{ operation: 'cancel', times: 1, fault: { kind: 'slow', ms: 4_000 } }]);
  const job = await stack.enqueue(lost);
  await eventually(() => assert.equal(simulator.callsFor(id).length, 1));
  const bucket = tenant.keys.bucket(bucketOf(guidToBytes(id), FIRST_BUCKETS));
  assert.equal(await redis.hdel(bucket, guidToBytes(id)), 1);
  // The first call had cancelled it: nobody knows whose doing that was.
  assert.equal((await stack.result(job)).outcome, 'already_final');
  assert.equal(simulator.callsFor(id).filter(({ operation }) => operation === 'cancel').length, 2);
});
