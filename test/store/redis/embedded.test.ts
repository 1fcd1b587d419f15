import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { createTenant } from '../../../src/app/tenant.ts';
import { readConfig } from '../../../src/config/config.ts';
import { pulse } from '../../../src/store/budget/epoch.ts';
import { checkRedis } from '../../../src/store/redis/check.ts';
import { closeRedis } from '../../../src/store/redis/connect.ts';
import { REDIS_LOG } from '../../../src/store/redis/embedded-files.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { newWorker } from '../../support/epoch.ts';
import { newLabel } from '../../support/tenant.ts';
import { client, connect, embedded, keepers, only, servers, written } from './support/embedded.ts';
import {
  endProcess,
  eventually,
  INSTALL_DIR,
  processesIn,
  redisServer,
  testFolder,
} from './support/machine.ts';

/** A tenant as it is in this Redis: nothing is prepared. */
async function newTenantOf(redis: RedisClient, label: string) {
  const config = readConfig({ STANDDOWN_TENANT: label });
  return { config, ...createTenant(config, redis) };
}

const gone = (folder: string) => eventually(() => assert.deepEqual(processesIn(folder), []));

test('it starts, keeps its files to its user, and passes the check', async (t) => {
  await redisServer();
  const folder = testFolder(t);
  const running = await embedded(folder);
  await embedded(folder);
  const redis = await connect(t, running, 'command');
  const { warnings, server } = await checkRedis(redis);
  assert.deepEqual({ warnings, server }, { warnings: [], server: 'redis' });
  assert.equal(statSync(join(folder, 'redis')).mode & 0o777, 0o700);
  assert.equal(statSync(running.socketPath).mode & 0o777, 0o600);
  assert.equal(running.target.path, join(folder, 'redis/redis.sock'));
});

test('clients that start it at once get one server', async (t) => {
  const folder = testFolder(t);
  const clients = Array.from({ length: 4 }, () => client(t, folder));
  const said = await Promise.all(clients.map((each) => each.next()));
  assert.equal(new Set(said.map(({ runId }) => runId)).size, 1);
  only(servers(folder));
  await eventually(() => only(keepers(folder)));
});

test('it stays while somebody is there, and goes when the last one has left', async (t) => {
  const folder = testFolder(t);
  const one = client(t, folder);
  await one.next();
  const redis = await connect(t, await embedded(folder));
  assert(redis instanceof Redis);
  assert.equal(await redis.incr('count'), 1);
  const server = only(servers(folder));
  one.say('close');
  await once(one.child, 'close'); // Nothing of it is held by the keeper, or this would not come.
  // No two looks are further apart than the grace, so after these it would have gone.
  const monitor = await redis.monitor();
  let looks = 0;
  monitor.on('monitor', (_time: string, words: string[]) => {
    if (words.join(' ').toLowerCase() === 'info clients') looks += 1;
  });
  await eventually(() => assert(looks >= 4));
  monitor.disconnect();
  assert.equal(only(servers(folder)), server);
  assert.equal(await redis.incr('count'), 2);
  await closeRedis(redis);
  await gone(folder);
});

test('it goes when its last client was killed', async (t) => {
  const folder = testFolder(t);
  const one = client(t, folder);
  await one.next();
  await endProcess(one.child, 'SIGKILL');
  await gone(folder);
});

test('what was written is there the next time', async (t) => {
  const folder = testFolder(t);
  for (const count of [1, 2, 3]) {
    const redis = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
    assert.equal(await redis.incr('count'), count);
    await closeRedis(redis);
    await gone(folder);
  }
});

test('after an end in order nothing was lost, so nobody waits; after a kill something may be', async (t) => {
  const folder = testFolder(t);
  const label = newLabel();
  const why = async () => {
    const redis = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
    const { context } = newWorker(await newTenantOf(redis, label), 5_000);
    const seen = await pulse(context, ['cancel']);
    return { redis, seen };
  };
  const first = await why();
  assert.deepEqual(first.seen, { kind: 'reopened', why: 'new' });
  await closeRedis(first.redis);
  await gone(folder);
  const second = await why();
  assert.equal(second.seen.kind, 'steady', 'it ended by itself');
  await closeRedis(second.redis);
  await gone(folder);
  const looked = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
  await closeRedis(looked);
  await gone(folder);
  const again = await why();
  assert.equal(again.seen.kind, 'steady', 'one that nobody called from was between');
  await written(again.redis);
  process.kill(only(servers(folder)), 'SIGKILL');
  await closeRedis(again.redis);
  await gone(folder);
  const third = await why();
  assert.deepEqual(third.seen, { kind: 'reopened', why: 'restarted' });
  await closeRedis(third.redis);
});

test('a half-written command at the end of the append-only file does no harm', async (t) => {
  const folder = testFolder(t);
  const redis = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
  await redis.set('kept', 'yes');
  await redis.set('last', 'gone');
  await closeRedis(redis);
  await gone(folder);
  const file = join(folder, 'redis/appendonlydir/appendonly.aof.1.incr.aof');
  writeFileSync(file, readFileSync(file).subarray(0, -7));
  const again = await connect(t, await embedded(folder), 'command');
  assert.equal(await again.get('kept'), 'yes');
  assert.equal(await again.get('last'), null);
});

test('data that takes longer to load than the grace is waited for', async (t) => {
  const folder = testFolder(t);
  const redis = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
  await redis.set('key', 'value');
  await closeRedis(redis);
  await gone(folder);
  // From its own data the server takes the order to rest after each command: a second and a half in all.
  const entries = [['CONFIG', 'SET', 'key-load-delay', '300'], ...Array(5_000).fill(['SET', 'key', 'value'])];
  const file = join(folder, 'redis/appendonlydir/appendonly.aof.1.incr.aof');
  appendFileSync(file, entries.map(asRequest).join(''));
  const again = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
  assert.deepEqual(await again.config('GET', 'key-load-delay'), ['key-load-delay', '300']);
  assert.equal(await again.get('key'), 'value');
  const starts = readFileSync(join(folder, 'redis', REDIS_LOG), 'utf8').match(/is starting/g);
  assert.equal(starts?.length, 2, 'one for each time');
});

/** A command as Redis keeps it in its append-only file. */
function asRequest(words: readonly string[]): string {
  return [`*${words.length}`, ...words.flatMap((word) => [`$${word.length}`, word]), ''].join('\r\n');
}

test('neither keeper nor server has the environment of who started them', async (t) => {
  const folder = testFolder(t);
  process.env['STANDDOWN_TEST_SECRET'] = 'hunter2';
  t.after(() => {
    delete process.env['STANDDOWN_TEST_SECRET'];
  });
  await embedded(folder);
  const found = processesIn(folder);
  assert.equal(found.length, 4, 'keeper, server, and two shells between them');
  for (const { pid } of found) assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /hunter2/);
});

test('when its folder is deleted it goes, and can be started anew', async (t) => {
  const folder = testFolder(t);
  const running = await embedded(folder);
  const redis = await connect(t, running);
  await redis.set('key', 'value');
  const first = only(servers(folder));
  rmSync(join(folder, 'redis'), { recursive: true });
  await eventually(async () => assert.notEqual(only(servers(folder)), first));
  assert.equal(await redis.get('key'), null);
});

test('a folder that is deleted while it starts leaves no process behind', async (t) => {
  for (const file of ['start.lock', 'redis.sock', 'appendonlydir']) {
    const folder = testFolder(t);
    const starting = embedded(folder).catch(() => undefined); // Whether it can still be had is all the same here.
    await eventually(() => statSync(join(folder, 'redis', file)));
    // What starts there may make a file meanwhile.
    await eventually(() => rmSync(join(folder, 'redis'), { recursive: true, force: true }));
    await starting;
    await gone(folder);
  }
});

test('a socket that can only be reached by a shorter way, and one that cannot', async (t) => {
  const folder = testFolder(t);
  const deep = join(folder, 'd'.repeat(60));
  mkdirSync(deep);
  await assert.rejects(embedded(join(deep, 'e'.repeat(60))), {
    code: 'REDIS_MISSING',
    message: /too long for a socket .*; set STANDDOWN_DATA_DIR/,
  });
  const script = join(import.meta.dirname, 'support/use-embedded.ts');
  const child = execFile(process.execPath, [script, deep, INSTALL_DIR, '100'], { cwd: deep });
  const [said] = await once(child.stdout ?? assert.fail(), 'data');
  assert.match(String(said), /runId/);
  assert(join(deep, 'redis/redis.sock').length > 103);
  child.stdin?.write('close\n');
  await once(child, 'close');
});

test('no server to be found: how to get one', async (t) => {
  const folder = testFolder(t);
  await assert.rejects(embedded(folder, { path: '', installDir: folder, platform: 'darwin' }), {
    code: 'REDIS_MISSING',
    message:
      /^no redis-server or valkey-server \(6\.2 or later\) found; install it with "brew install redis"/,
  });
  await assert.rejects(embedded(folder, { platform: 'win32' }), { code: 'REDIS_MISSING', message: /WSL/ });
});

test('a data folder that cannot be used', async (t) => {
  const folder = testFolder(t);
  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(embedded(join(folder, 'file')), {
    code: 'REDIS_MISSING',
    message: /cannot use the folder .*file\/redis \(.*\); set STANDDOWN_DATA_DIR/,
  });
});

test('a server that does not start: its own words', async (t) => {
  const folder = testFolder(t);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const lines = [
    '#!/bin/sh',
    '[ "$1" = --version ] && echo "Redis server v=7.4.0" && exit',
    'echo "Bad file format" > redis.log',
    'exit 3',
  ];
  writeFileSync(join(bin, 'redis-server'), lines.join('\n'));
  chmodSync(join(bin, 'redis-server'), 0o755);
  await assert.rejects(embedded(folder, { path: bin }), {
    code: 'REDIS_UNREACHABLE',
    message: /did not start: .*redis-server ended \(code 3\): Bad file format; see the logs there$/,
  });
});
