import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkRedis } from '../../src/redis/check.ts';
import { closeRedis } from '../../src/redis/connect.ts';
import { client, connect, embedded, GRACE_MS, keepers, only, servers } from './support/embedded.ts';
import {
  endProcess,
  eventually,
  INSTALL_DIR,
  processesIn,
  redisServer,
  testFolder,
} from './support/machine.ts';

const gone = (folder: string) => eventually(() => assert.deepEqual(processesIn(folder), []));

test('it starts, keeps its files to its user, and passes the check', async (t) => {
  await redisServer();
  const folder = testFolder(t);
  const cold = performance.now();
  const running = await embedded(folder);
  t.diagnostic(`started in ${Math.round(performance.now() - cold)} ms`);
  const warm = performance.now();
  await embedded(folder);
  t.diagnostic(`found running in ${Math.round(performance.now() - warm)} ms`);

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
  t.diagnostic(`four at once: ${said.map(({ upMs }) => Math.round(Number(upMs))).join(', ')} ms`);
  assert.equal(new Set(said.map(({ runId }) => runId)).size, 1);
  only(servers(folder));
  await eventually(() => only(keepers(folder)));
});

test('it stays while somebody is there, and goes when the last one has left', async (t) => {
  const folder = testFolder(t);
  const [one, two] = [client(t, folder), client(t, folder)];
  await Promise.all([one.next(), two.next()]);
  const server = only(servers(folder));
  one.say('close');
  await once(one.child, 'close');
  const since = performance.now();
  await eventually(() => assert(performance.now() - since > 4 * GRACE_MS));
  assert.equal(only(servers(folder)), server);
  two.say('incr');
  assert.deepEqual(await two.next(), { count: 1 });
  two.say('close');
  await once(two.child, 'close'); // Nothing of it is held by the keeper, or this would not come.
  const left = performance.now();
  assert.equal(only(servers(folder)), server);
  await gone(folder);
  t.diagnostic(
    `gone ${Math.round(performance.now() - left)} ms after its last client (grace ${GRACE_MS} ms)`,
  );
});

test('it goes when its last client was killed, with the default grace of 3 s', async (t) => {
  const folder = testFolder(t);
  const one = client(t, folder, 3000);
  await one.next();
  await endProcess(one.child, 'SIGKILL');
  const left = performance.now();
  await gone(folder);
  t.diagnostic(`gone ${Math.round(performance.now() - left)} ms after its last client was killed`);
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
  // Each takes a millisecond to load.
  const slow = 'local n = 0 for i = 1, 100000 do n = n + i end';
  const entry = ['*3', '$4', 'EVAL', `$${slow.length}`, slow, '$1', '0', ''].join('\r\n');
  appendFileSync(join(folder, 'redis/appendonlydir/appendonly.aof.1.incr.aof'), entry.repeat(4000));
  const at = performance.now();
  const again = await connect(t, await embedded(folder, { graceMs: 100 }), 'command');
  const ms = Math.round(performance.now() - at);
  t.diagnostic(`loaded in ${ms} ms`);
  assert(ms > 500, 'it has to be slow for the test to say anything');
  assert.equal(await again.get('key'), 'value');
  assert.match(await again.info('server'), /uptime_in_seconds:[^0]/, 'the first one that was started');
});

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
      /^no redis-server or valkey-server \(6\.2 or newer\) was found; install it with "brew install redis"/,
  });
  await assert.rejects(embedded(folder, { platform: 'win32' }), { code: 'REDIS_MISSING', message: /WSL/ });
});

test('a data folder that cannot be used', async (t) => {
  const folder = testFolder(t);
  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(embedded(join(folder, 'file')), {
    code: 'REDIS_MISSING',
    message: /file\/redis cannot be used \(.*\); set STANDDOWN_DATA_DIR/,
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
