import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atEnd, testFolder } from '../../store/redis/support/machine.ts';
import { startRedis } from '../../store/redis/support/plain-redis.ts';
import { plainServer } from '../../support/redis.ts';
import { openStack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { add, rejections, untilEmpty, untilTold } from './support.ts';

test('the inbox in a cluster', async (t) => {
  const args = ['--appendonly', 'yes', '--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
  const { admin, port } = await startRedis(t, { folder: testFolder(t), args });
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  await eventually(async () => assert.match(String(await admin.call('CLUSTER', 'INFO')), /cluster_state:ok/));
  const stack = await openStack(plainServer({ url: `redis-cluster://127.0.0.1:${port}` }));
  atEnd(t, () => stack.close());
  const place = { redis: stack.redis, keys: stack.tenant.keys };
  const ids = stack.addActions(3);
  const [single = '', urgent = '', inCampaign = ''] = ids;
  await add(place, { machineActionId: single, comment: 'x' });
  const worker = await stack.startWorker();
  await add(place, { machineActionId: urgent, comment: 'x', priority: 'urgent' });
  await add(place, { machineActionId: inCampaign, comment: 'x', campaign: 'wave' });
  await add(place, { machineActionId: 'no guid' });
  for (const id of ids) assert.equal((await untilTold(place, id))['outcome'], 'cancelled');
  await untilEmpty(place);
  assert.deepEqual(await rejections(place, 'no guid'), ['machineActionId: not a GUID']);
  await worker.stop();
});
