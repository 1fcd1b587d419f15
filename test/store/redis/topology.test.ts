import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Queue, Worker } from 'bullmq';
import { Cluster } from 'ioredis';
import { checkRedis } from '../../../src/store/redis/check.ts';
import { closeRedis, openRedis } from '../../../src/store/redis/connect.ts';
import type { RedisRole } from '../../../src/store/redis/options.ts';
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts';
import { freePort } from '../../support/port.ts';
import { atEnd, eventually, quiet, testFolder } from './support/machine.ts';
import { type PlainRedis, startRedis } from './support/plain-redis.ts';

const KEPT = ['--appendonly', 'yes', '--requirepass', 'secret', '--masterauth', 'secret'];
const admin = { password: 'secret' };

async function open(t: TestContext, url: string, role: RedisRole) {
  const redis = await openRedis({ target: parseRedisUrl(url), role, connectionName: 'test', log: quiet });
  atEnd(t, () => closeRedis(redis));
  return redis;
}

async function startSentinel(t: TestContext, folder: string, master: PlainRedis): Promise<PlainRedis> {
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
    'sentinel auth-pass mymaster secret',
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 2000',
    'requirepass guarded',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return startRedis(t, { folder, args: [file, '--sentinel'], admin: { password: 'guarded' } });
}

test('sentinels lead to the master, and to the next one after a failover', async (t) => {
  const folder = testFolder(t);
  const first = await startRedis(t, { folder, args: KEPT, admin });
  const second = await startRedis(t, {
    folder,
    args: [...KEPT, '--replicaof', `127.0.0.1 ${first.port}`],
    admin,
  });
  const sentinel = await startSentinel(t, folder, first);
  const away = await freePort();
  const url = `redis-sentinel://:secret@127.0.0.1:${away},127.0.0.1:${sentinel.port}/mymaster?sentinelPassword=guarded`;

  const command = await open(t, url, 'command');
  assert.deepEqual((await checkRedis(command)).warnings, []);
  const worker = await open(t, url, 'worker');
  assert.equal(await worker.incr('count'), 1);

  await eventually(async () => assert.match(await second.admin.info('replication'), /master_link_status:up/));
  await eventually(async () =>
    assert.match(String(await sentinel.admin.call('SENTINEL', 'REPLICAS', 'mymaster')), /slave/),
  );
  await first.stop('SIGKILL');
  assert.equal(await worker.incr('count'), 2);
  assert.equal(await second.admin.get('count'), '2');

  await assert.rejects(open(t, url.replace('mymaster', 'other'), 'command'), {
    code: 'REDIS_UNREACHABLE',
    message: /redis-sentinel:\/\/127\.0\.0\.1:\d+,.*\/other\?db=0: .*sentinel/,
  });
  await assert.rejects(open(t, url.replace('guarded', 'hunter2'), 'command'), { code: 'REDIS_UNREACHABLE' });
});

test('a cluster: check, commands, and BullMQ', async (t) => {
  const folder = testFolder(t);
  const args = [...KEPT, '--cluster-enabled', 'yes'];
  const nodes = [
    await startRedis(t, { folder, args, admin }),
    await startRedis(t, { folder, args, admin }),
  ] as const;
  await nodes[0].admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '8191');
  await nodes[1].admin.call('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383');
  await nodes[0].admin.call('CLUSTER', 'MEET', '127.0.0.1', String(nodes[1].port));
  for (const { admin: node } of nodes) {
    await eventually(async () =>
      assert.match(
        String(await node.call('CLUSTER', 'INFO')),
        /cluster_state:ok[\s\S]*cluster_known_nodes:2/,
      ),
    );
  }
  const url = `redis-cluster://:secret@127.0.0.1:${await freePort()},127.0.0.1:${nodes[1].port}`;
  const command = await open(t, url, 'command');
  assert(command instanceof Cluster);
  for (const key of ['a', 'b', 'c', 'd']) assert.equal(await command.incr(key), 1);
  const { warnings, runId } = await checkRedis(command);
  assert.deepEqual(warnings, []);
  assert.match(runId, /^[0-9a-f]{40},[0-9a-f]{40}$/);

  await nodes[1].admin.config('SET', 'appendonly', 'no');
  assert.equal((await checkRedis(command)).warnings.length, 1, 'one node is enough for a warning');

  const ledger = await open(t, url, 'ledger');
  for (const key of ['a', 'b', 'c', 'd']) assert.equal(await ledger.incr(key), 2);

  const connection = await open(t, url, 'worker');
  const queue = new Queue('test', { connection, prefix: '{test}' });
  const done = Promise.withResolvers<unknown>();
  const worker = new Worker('test', async (job) => done.resolve(job.data), { connection, prefix: '{test}' });
  atEnd(t, async () => {
    await worker.close();
    await queue.close();
  });
  await queue.add('job', { n: 1 });
  assert.deepEqual(await done.promise, { n: 1 });

  await assert.rejects(open(t, url.replace('secret', 'hunter2'), 'command'), {
    code: 'REDIS_UNREACHABLE',
    message: /cannot use Redis at redis-cluster:/,
  });
});
