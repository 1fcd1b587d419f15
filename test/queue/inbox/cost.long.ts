import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RedisClient } from '../../../src/store/script.ts';
import { atEnd, testFolder } from '../../store/redis/support/machine.ts';
import { startRedis } from '../../store/redis/support/plain-redis.ts';
import { plainServer } from '../../support/redis.ts';
import { openStack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { add, untilEmpty } from './support.ts';

/** Enough that what a key or a stream costs by itself does not count. */
const IDS = 5_000;

async function usedMemory(redis: RedisClient): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}

test('what an id costs Redis on its way through the inbox', async (t) => {
  const { url } = await startRedis(t, { folder: testFolder(t), args: ['--appendonly', 'yes'] });
  const stack = await openStack(plainServer({ url }));
  atEnd(t, () => stack.close());
  const { redis, tenant } = stack;
  const { keys } = tenant;
  const place = { redis, keys };
  const ids = stack.addActions(IDS);
  const before = await usedMemory(redis);
  for (const machineActionId of ids) {
    await add(place, {
      machineActionId,
      campaign: 'cost',
      comment: 'Isolated the wrong host',
      requestedBy: 'portal',
    });
  }
  const waiting = ((await usedMemory(redis)) - before) / IDS;
  await stack.startWorker();
  await untilEmpty(place);
  const sizeOf = async (key: string) => Number(await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
  await stack.untilDone('cost');
  await eventually(async () => assert.equal(await redis.xlen(keys.outcomes), IDS));
  const stream = (await sizeOf(keys.outcomes)) / IDS;
  const withKeys = await usedMemory(redis);
  await redis.del(...ids.map(keys.outcome));
  const decided = (withKeys - (await usedMemory(redis))) / IDS;
  const beforeOpen = await usedMemory(redis);
  for (const id of ids) await redis.set(keys.outcome(id), '{"outcome":null}', 'EX', 86_400);
  const open = ((await usedMemory(redis)) - beforeOpen) / IDS;
  t.diagnostic(
    `bytes an id: ${waiting.toFixed(0)} in the inbox, ${open.toFixed(0)} for the key of an open one, ${decided.toFixed(0)} of a decided one, ${stream.toFixed(0)} in the stream of outcomes`,
  );
  assert.ok(waiting < 250 && open < 300 && decided < 700 && stream < 300);
});
