import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import pino from 'pino';
import { closeRedis, openRedis } from '../../../src/store/redis/connect.ts';
import { probe } from '../../../src/store/redis/probe.ts';
import { client, connect, embedded, guards, keepers, only, servers, written } from './support/embedded.ts';
import {
  atEnd,
  endProcess,
  eventually,
  INSTALL_DIR,
  processesIn,
  redisServer,
  testFolder,
} from './support/machine.ts';

const gone = (folder: string) => eventually(() => assert.deepEqual(processesIn(folder), []));

test('kill -9 of the server in use: the client goes on, with the data', async (t) => {
  const folder = testFolder(t);
  const redis = await connect(t, await embedded(folder));
  assert.equal(await redis.incr('count'), 1);
  await written(redis);
  const killed = only(servers(folder));
  process.kill(killed, 'SIGKILL');
  assert.equal(await redis.incr('count'), 2);
  assert.notEqual(only(servers(folder)), killed);
  await eventually(() => only(keepers(folder)));
});

test('a command is served, too, when the server was killed under it', async (t) => {
  const folder = testFolder(t);
  const redis = await connect(t, await embedded(folder), 'command');
  assert.equal(await redis.incr('count'), 1);
  await written(redis);
  process.kill(only(servers(folder)), 'SIGKILL');
  assert.equal(await redis.incr('count'), 2);
});

test('several clients whose server is killed again and again share one server each time', async (t) => {
  const folder = testFolder(t);
  const clients = [client(t, folder), client(t, folder), client(t, folder)];
  await Promise.all(clients.map((each) => each.next()));
  const own = await connect(t, await embedded(folder));
  for (let round = 1; round <= 3; round += 1) {
    await written(own);
    process.kill(only(servers(folder)), 'SIGKILL');
    for (const each of clients) each.say('incr');
    const counts = await Promise.all(clients.map((each) => each.next()));
    assert.deepEqual(
      counts.map(({ count }) => Number(count)).sort((a, b) => a - b),
      [1, 2, 3].map((n) => n + 3 * (round - 1)),
    );
    only(servers(folder));
  }
});

test('kill -9 of the server with nobody there: nothing stays behind', async (t) => {
  const folder = testFolder(t);
  await embedded(folder, { graceMs: 60_000 });
  process.kill(only(servers(folder)), 'SIGKILL');
  await gone(folder);
});

for (const [name, victims] of [
  ['the keeper', keepers],
  ['the shell between keeper and server', (folder: string) => guards(folder).slice(0, 1)],
] as const) {
  test(`kill -9 of ${name}: the client goes on, and the server goes after it`, async (t) => {
    const folder = testFolder(t);
    const one = client(t, folder);
    await one.next();
    const server = only(servers(folder));
    process.kill(only([...victims(folder)]), 'SIGKILL');
    await eventually(() => assert(!servers(folder).includes(server)));
    one.say('incr');
    assert.deepEqual(await one.next(), { count: 1 });
    one.say('close');
    await once(one.child, 'close');
    await gone(folder);
  });

  test(`kill -9 of ${name} and of the last client: the server goes`, async (t) => {
    const folder = testFolder(t);
    const one = client(t, folder, 60_000);
    await one.next();
    await endProcess(one.child, 'SIGKILL');
    process.kill(only([...victims(folder)]), 'SIGKILL');
    await gone(folder);
  });
}

test('a server that does not answer is waited for, and no second one is started', async (t) => {
  const folder = testFolder(t);
  const running = await embedded(folder);
  const redis = await connect(t, running);
  await redis.set('key', 'value');
  const server = only(servers(folder));
  process.kill(server, 'SIGSTOP');
  let back = false;
  const ensured = running.ensure().then(() => {
    back = true;
  });
  // As it looks itself, and begun later: it has looked in vain by now.
  for (const _ of [1, 2]) assert.equal(await probe(running.socketPath), 'silent');
  assert.equal(back, false);
  assert.equal(only(servers(folder)), server);
  process.kill(server, 'SIGCONT');
  await ensured;
  assert.equal(await redis.get('key'), 'value');
  assert.equal(only(servers(folder)), server);
});

test('a server that cannot be started again: the worker says why, and goes on when it can', async (t) => {
  const { command } = await redisServer();
  if (!command.startsWith(INSTALL_DIR)) return t.skip('the server is one of the system');
  const folder = testFolder(t);
  const link = join(folder, 'redis-root');
  symlinkSync(join(INSTALL_DIR, 'redis-root'), link);
  const { target, ensure } = await embedded(folder, { path: '', installDir: folder, platform: 'linux' });
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const redis = await openRedis({ target, ensure, role: 'worker', connectionName: 'test', log });
  atEnd(t, () => closeRedis(redis));
  assert.equal(await redis.incr('count'), 1);
  await written(redis);
  rmSync(link);
  process.kill(only(servers(folder)), 'SIGKILL');
  const counted = redis.incr('count');
  await eventually(() =>
    assert.match(lines.join(''), /no redis-server or valkey-server \(6\.2 or later\) found/),
  );
  symlinkSync(join(INSTALL_DIR, 'redis-root'), link);
  assert.equal(await counted, 2);
  await eventually(() => assert.match(lines.at(-1) ?? '', /reconnected to Redis/));
  assert(lines.length < 6, lines.join(''));
});

test('clients that come just when the server goes: every write is done exactly once', async (t) => {
  const folder = testFolder(t);
  const graceMs = 250;
  const runIds = new Set<string | undefined>();
  // Where the server goes differs from machine to machine: the pause is sought that just meets it, from either side.
  let pauseMs = 150;
  let visits = 0;
  while (visits < 16 || runIds.size < 3) {
    const redis = await connect(t, await embedded(folder, { graceMs }), 'command');
    visits += 1;
    assert.equal(await redis.incr('count'), visits);
    const known = runIds.size;
    runIds.add(/run_id:(\w+)/.exec(await redis.info('server'))?.[1]);
    await closeRedis(redis);
    pauseMs = runIds.size === known ? pauseMs + 40 : Math.max(0, pauseMs - 25);
    await delay(pauseMs);
  }
  t.diagnostic(`${visits} visits, ${runIds.size} servers`);
});

test('a BullMQ worker on it survives the death of the server', async (t) => {
  const folder = testFolder(t);
  const connection = await connect(t, await embedded(folder));
  const queue = new Queue('test', { connection });
  const seen: number[] = [];
  const worker = new Worker('test', async (job) => seen.push(Number(job.data.n)), {
    connection,
    concurrency: 4,
    // A job that was handed out in an answer that got lost comes back by the stall check.
    lockDuration: 2000,
    stalledInterval: 1000,
    maxStalledCount: 10,
  });
  worker.on('error', () => undefined);
  queue.on('error', () => undefined);
  atEnd(t, async () => {
    await worker.close();
    await queue.close();
  });
  const add = (from: number) =>
    queue.addBulk(Array.from({ length: 100 }, (_, n) => ({ name: 'job', data: { n: from + n } })));
  await add(0);
  await written(connection);
  await eventually(() => assert(seen.length > 10));
  process.kill(only(servers(folder)), 'SIGKILL');
  await add(100);
  await eventually(async () => assert.equal(await queue.getCompletedCount(), 200));
  assert.equal(new Set(seen).size, 200);
});
