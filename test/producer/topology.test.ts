import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from 'ioredis';
import { openProducer } from '../../src/index.ts';
import { atEnd, eventually, testFolder } from '../redis/support/machine.ts';
import { startRedis } from '../redis/support/plain-redis.ts';
import { plainServer } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';
import { all, openFor } from './support/producers.ts';

test('a cluster does as well, by its URL and by a connection that is lent', async (t) => {
  const folder = testFolder(t);
  const { admin, port } = await startRedis(t, {
    folder,
    args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  });
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  await eventually(async () => assert.match(String(await admin.call('CLUSTER', 'INFO')), /cluster_state:ok/));
  const url = `redis-cluster://127.0.0.1:${port}`;
  const server = plainServer({ url });
  atEnd(t, () => server.close());
  const stack = await openStack(server);
  atEnd(t, () => stack.close());
  await stack.startWorker();
  const tenant = stack.tenant.label;
  const own = new Cluster([{ host: '127.0.0.1', port }]);
  atEnd(t, async () => own.disconnect());
  const [first = '', second = '', ...rest] = stack.addActions(12);

  const byUrl = await openFor(t, { redis: url, tenant });
  const handle = await byUrl.cancel({ machineActionId: first, comment: 'x' });
  assert.equal((await handle.outcome({ timeoutMs: 20_000 })).outcome, 'cancelled');
  await byUrl.submit(rest, { campaign: 'undo', comment: 'x' });

  const lent = await openProducer({ redis: own, tenant });
  const urgent = await lent.cancel({ machineActionId: second, comment: 'x' }, { priority: 'urgent' });
  assert.equal((await urgent.outcome({ timeoutMs: 20_000 })).outcome, 'cancelled');
  assert.equal((await all(lent.follow('undo'))).length, rest.length);
  await lent.close();
  assert.equal(own.status, 'ready');
});
