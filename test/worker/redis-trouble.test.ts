import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

let server: Awaited<ReturnType<typeof openTestRedis>>;
let stack: Stack;

before(async () => {
  server = await openTestRedis();
  stack = await openStack(server);
});
after(async () => {
  await stack.close();
  await server.close();
});

test('a job under which Redis fails in words that no class of error has is looked at again, and does not fail', async () => {
  const { redis, tenant, addActions, enqueue, startWorker, result } = stack;
  const [id = ''] = addActions(1);
  const worker = await startWorker();
  const data = { machineActionId: id, comment: 'x' };
  await result(await enqueue(data));
  // What was decided cannot be read: WRONGTYPE, by a plain command.
  const [number] = await redis.hvals(tenant.keys.campaigns);
  const results = tenant.keys.results(Number(number));
  await redis.rename(results, `${results}-aside`);
  await redis.set(results, 'x');
  const job = await enqueue(data);
  await eventually(async () => assert.equal(await redis.zcard(tenant.keys.lane('cancel', 'delayed')), 1));
  await redis.rename(`${results}-aside`, results);
  assert.equal((await result(job)).outcome, 'cancelled');
  assert.equal(await redis.zcard(tenant.keys.lane('cancel', 'failed')), 0);
  await worker.stop();
});
