import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { closeRedis, openRedis } from '../../../src/store/redis/connect.ts';
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts';
import { openProxy } from '../../support/proxy.ts';
import { atEnd, eventually, quiet, testFolder } from './support/machine.ts';
import { startRedis } from './support/plain-redis.ts';

/** A master and its replica, and a sentinel behind a line that can be parted. */
async function openScene(t: TestContext) {
  const folder = testFolder(t);
  const first = await startRedis(t, { folder, args: ['--appendonly', 'yes'] });
  const second = await startRedis(t, {
    folder,
    args: ['--appendonly', 'yes', '--replicaof', `127.0.0.1 ${first.port}`],
  });
  const file = join(folder, 'sentinel.conf');
  writeFileSync(file, `sentinel monitor mymaster 127.0.0.1 ${first.port} 1\n`);
  const sentinel = await startRedis(t, { folder, args: [file, '--sentinel'] });
  const ask = async (...words: string[]) => String(await sentinel.admin.call('SENTINEL', ...words));
  await eventually(async () => assert.match(await ask('REPLICAS', 'mymaster'), /master-link-status,ok/));
  const line = await openProxy(sentinel.port);
  atEnd(t, () => line.close());
  const url = `redis-sentinel://127.0.0.1:${line.port}/mymaster`;
  return { first, second, sentinel, line, url, ask };
}

test('a failover that is told of while the master is asked for ends no connection', async (t) => {
  const { first, second, sentinel, line, url, ask } = await openScene(t);
  const redis = await openRedis({
    target: parseRedisUrl(url),
    role: 'worker',
    connectionName: 'test',
    log: quiet,
  });
  atEnd(t, () => closeRedis(redis));
  assert.equal(await redis.incr('count'), 1);
  // A replica is told of a write after it was answered; a busy one hears of it later than of the failover.
  await eventually(async () => assert.equal(await second.admin.get('count'), '1'));
  // BullMQ waits for jobs over a connection that it makes itself.
  const done = Promise.withResolvers<unknown>();
  const worker = new Worker('test', async (job) => done.resolve(job.data), { connection: redis });
  worker.on('error', () => undefined);
  atEnd(t, () => worker.close());
  await worker.waitUntilReady();
  await eventually(async () => {
    const listening = String(await sentinel.admin.call('CLIENT', 'LIST')).match(/sub=1 /g);
    assert.ok((listening?.length ?? 0) >= 2, 'either is told of failovers');
  });

  const observer = new Redis({ port: sentinel.port, host: '127.0.0.1' });
  atEnd(t, async () => observer.disconnect());
  await observer.subscribe('+switch-master');

  // Whoever listens goes on listening; whoever asks gets no answer.
  line.part(() => false);
  await first.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually(() => assert.notEqual(redis.status, 'ready'));
  const written = redis.incr('count');
  // The sentinel names the new master earlier than it tells of it.
  const told = once(observer, 'message');
  await ask('FAILOVER', 'mymaster');
  await told;
  // What came to whoever listens has been read by then.
  await sentinel.admin.ping();
  line.heal();
  assert.equal(await written, 2);
  assert.equal(await second.admin.get('count'), '2');
  await second.admin.call('LPUSH', 'bull:test:wait', 'x');
  await second.admin.hset('bull:test:x', { name: 'job', data: '{"n":1}', opts: '{}', timestamp: Date.now() });
  await second.admin.call('ZADD', 'bull:test:marker', '0', '0');
  assert.deepEqual(await done.promise, { n: 1 });
});
