import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { Queue, Worker } from 'bullmq';
import pino from 'pino';
import { generate } from 'selfsigned';
import { messageOf } from '../../../src/base/errors.ts';
import {
  closeRedis,
  isBehind,
  isCutOff,
  type OpenParams,
  openRedis,
} from '../../../src/store/redis/connect.ts';
import { redisUnanswered, redisUnreachable } from '../../../src/store/redis/failure.ts';
import { COMMAND_LIMITS, type CommandLimits, type RedisRole } from '../../../src/store/redis/options.ts';
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { trust } from '../../support/certificate.ts';
import { freePort } from '../../support/port.ts';
import { atEnd, eventually, quiet, testFolder } from './support/machine.ts';
import { startRedis } from './support/plain-redis.ts';

async function open(
  t: TestContext,
  url: string,
  role: RedisRole,
  more: Partial<Pick<OpenParams, 'log' | 'limits' | 'readsOnly' | 'roleLookMs'>> = {},
): Promise<RedisClient> {
  const params = { target: parseRedisUrl(url), role, connectionName: 'test', log: quiet };
  const redis = await openRedis({ ...params, ...more });
  atEnd(t, () => closeRedis(redis));
  return redis;
}

/** Long enough for a machine that is busy with something else. */
const PATIENT: CommandLimits = { openMs: 60_000, connectMs: 60_000, answerMs: 60_000, outageMs: 60_000 };

/** Opens as a command, with time enough for a refusal to come from elsewhere than a limit; returns the error's message. */
async function refused(t: TestContext, url: string, limits: Partial<CommandLimits> = {}): Promise<string> {
  try {
    await open(t, url, 'command', { limits: { ...PATIENT, ...limits } });
  } catch (error) {
    t.diagnostic(messageOf(error));
    assert(error instanceof Error && 'code' in error);
    assert.equal(error.code, 'REDIS_UNREACHABLE');
    assert.doesNotMatch(error.message, /hunter2|\n/);
    return error.message;
  }
  return assert.fail('it was opened');
}

test('a command gives up within 5 s, whichever limit ends it', () => {
  for (const [name, ms] of Object.entries(COMMAND_LIMITS)) assert.ok(ms < 5_000, name);
});

test('nobody listens', async (t) => {
  const port = await freePort();
  const message = await refused(t, `redis://:hunter2@127.0.0.1:${port}/2`);
  assert.equal(
    message,
    `cannot use Redis at redis://127.0.0.1:${port}/2: nothing is listening there (ECONNREFUSED); start Redis, or correct REDIS_URL`,
  );
  assert.match(await refused(t, `redis-cluster://:hunter2@127.0.0.1:${port}`), /check the address/);
  assert.match(
    await refused(t, `redis-sentinel://:hunter2@127.0.0.1:${port}/mymaster`),
    /failed to connect to sentinel.*check REDIS_URL and its server/,
  );
  assert.match(await refused(t, 'unix:///nowhere/redis.sock'), /the socket does not exist \(ENOENT\)/);
});

test('a name that does not exist', async (t) => {
  assert.match(await refused(t, 'redis://no-such-host.invalid'), /ENOTFOUND|EAI_AGAIN/);
});

test('a wrong password, none, and one too many', async (t) => {
  const folder = testFolder(t);
  const { port } = await startRedis(t, {
    folder,
    args: ['--requirepass', 'right'],
    admin: { password: 'right' },
  });
  assert.match(
    await refused(t, `redis://:hunter2@127.0.0.1:${port}`),
    /wrong user name or password \(WRONGPASS\)/,
  );
  assert.match(await refused(t, `redis://127.0.0.1:${port}`), /requires a password \(NOAUTH\)/);
  const redis = await open(t, `redis://:right@127.0.0.1:${port}`, 'command');
  assert.equal(await redis.ping(), 'PONG');
});

test('a database that does not exist', async (t) => {
  const { url } = await startRedis(t, { folder: testFolder(t) });
  assert.match(
    await refused(t, `${url}/99`),
    /Redis answered "ERR DB index is out of range"; check REDIS_URL/,
  );
});

test('a server that takes connections and never answers', async (t) => {
  const { url, child, port } = await startRedis(t, { folder: testFolder(t) });
  const early = await open(t, url, 'command', { limits: { ...PATIENT, answerMs: 2_000 } });
  child.kill('SIGSTOP');
  const soon = { openMs: 300 };
  assert.match(await refused(t, url, soon), /no answer in time/);
  assert.match(
    await refused(t, `redis-cluster://127.0.0.1:${port}`, soon),
    /redis-cluster.*no answer in time/,
  );
  // A sentinel has a second, so that there is time to ask the next one.
  assert.match(
    await refused(t, `redis-sentinel://127.0.0.1:${port}/m`),
    /redis-sentinel.*failed to connect to sentinel/,
  );
  const error = await early.get('key').then(
    () => assert.fail('answered'),
    (thrown: unknown) => thrown,
  );
  const told = redisUnreachable({ target: parseRedisUrl(url), error });
  assert.match(told.message, /no answer in time/);
});

test('a server that closes the connection instead of answering', async (t) => {
  const args = ['--client-output-buffer-limit', 'normal 2kb 1kb 1'];
  const { url, admin } = await startRedis(t, { folder: testFolder(t), args });
  await admin.setrange('large', 300_000, 'x');
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(line) });
  const [redis, worker] = [await open(t, url, 'command'), await open(t, url, 'worker', { log })];
  const error = await redis.get('large').catch((thrown: unknown) => thrown);
  const told = redisUnanswered({ target: parseRedisUrl(url), error, isCutOff: isCutOff(redis) });
  assert.equal(told?.code, 'REDIS_UNREACHABLE');
  assert.match(told?.message ?? '', /instead of answering; raise "client-output-buffer-limit normal"/);
  const waiting = worker.get('large').catch(() => undefined);
  await eventually(() => assert.match(lines.join(''), /again and again/));
  await closeRedis(worker);
  await waiting;
  assert.equal(lines.length, 1, lines.join(''));
});

test('something that is no Redis', async (t) => {
  const server: Server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  await refused(t, `redis://127.0.0.1:${address.port}`);
});

test('TLS: a certificate that is not trusted, a server without TLS, and plain text to one with it', async (t) => {
  const folder = testFolder(t);
  const pems = await generate([{ name: 'commonName', value: '127.0.0.1' }], { keySize: 2048 });
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(cert, pems.cert);
  writeFileSync(key, pems.private);
  const tls = [
    '--tls-port',
    '--tls-cert-file',
    cert,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no',
    '--tls-ca-cert-file',
    cert,
  ];
  const secured = await startRedis(t, { folder, args: tls, admin: { tls: { rejectUnauthorized: false } } });
  assert.match(await refused(t, `rediss://127.0.0.1:${secured.port}`), /self-signed.*NODE_EXTRA_CA_CERTS/);
  assert.match(await refused(t, `redis://127.0.0.1:${secured.port}`), /TLS/);
  const plain = await startRedis(t, { folder });
  assert.match(await refused(t, `rediss://127.0.0.1:${plain.port}`, { connectMs: 500 }), /TLS/);
});

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  test(`a server that requires a client certificate, over ${version}: advice that was not followed already`, async (t) => {
    const folder = testFolder(t);
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
      keyType: 'ec',
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
      ],
    });
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(cert, pems.cert);
    writeFileSync(key, pems.private);
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
    const { port } = await startRedis(t, {
      folder,
      args: ['--tls-port', ...files, '--tls-auth-clients', 'yes', '--tls-protocols', version],
      admin: { tls: { ca: pems.cert, cert: pems.cert, key: pems.private, servername: 'localhost' } },
    });
    const distrust = trust(pems.cert);
    t.after(distrust);
    const message = await refused(t, `rediss://localhost:${port}`);
    assert.match(message, /requires a client certificate\b.*tls-auth-clients no/);
    assert.doesNotMatch(message, /rediss:\/\/ in REDIS_URL|NODE_EXTRA_CA_CERTS/);
  });
}

test('a command bridges a short outage and soon gives up a long one', async (t) => {
  const folder = testFolder(t);
  const first = await startRedis(t, { folder, args: ['--appendonly', 'yes'] });
  const patient = await open(t, first.url, 'command', { limits: PATIENT });
  const hasty = await open(t, first.url, 'command', { limits: { ...PATIENT, outageMs: 100 } });
  assert.equal(await patient.incr('count'), 1);
  await first.stop();
  await assert.rejects(hasty.incr('count'));
  await eventually(() => assert.equal(hasty.status, 'end'));
  const counted = patient.incr('count');
  const second = await startRedis(t, { folder, port: first.port, args: ['--appendonly', 'yes'] });
  assert.equal(await counted, 2);
  await assert.rejects(hasty.incr('count'), /closed/, 'it has given up, whatever came back');
  await second.stop();
});

test('a worker waits for a Redis that is not there yet, and says so once', async (t) => {
  const folder = testFolder(t);
  const port = await freePort();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const redis = await open(t, `redis://:hunter2@127.0.0.1:${port}`, 'worker', { log });
  const counted = redis.incr('count');
  await eventually(() => assert.equal(redis.status, 'reconnecting'));
  const server = await startRedis(t, {
    folder,
    port,
    args: ['--requirepass', 'hunter2'],
    admin: { password: 'hunter2' },
  });
  assert.equal(await counted, 1);
  await eventually(() => assert.equal(lines.length, 2));
  assert.match(String(lines[0]?.['cause']), /ECONNREFUSED/);
  assert.equal(lines[0]?.['level'], 40);
  assert.equal(lines[1]?.['msg'], 'reconnected to Redis');
  assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
  await server.stop();
});

test('a worker leaves a server that has become a replica, and its write is done when it may be', async (t) => {
  const { url, admin } = await startRedis(t, { folder: testFolder(t) });
  const redis = await open(t, url, 'worker');
  await redis.set('key', 'old');
  await admin.replicaof('127.0.0.1', '1');
  let attempts = 0;
  redis.on('close', () => {
    attempts += 1;
  });
  const written = redis.set('key', 'new');
  await eventually(() => assert(attempts >= 2));
  await admin.replicaof('NO', 'ONE');
  assert.equal(await written, 'OK');
  assert(attempts < 6, 'no storm');
});

test('who only reads leaves it, too, and says so until the master is there', async (t) => {
  const { url, admin } = await startRedis(t, { folder: testFolder(t) });
  const lines: string[] = [];
  const log = { warn: (_facts: object, words: string) => void lines.push(words), info: () => undefined };
  const redis = await open(t, url, 'worker', {
    readsOnly: true,
    roleLookMs: 50,
    log: log as unknown as OpenParams['log'],
  });
  assert.equal(await redis.get('key'), null);
  assert.equal(isBehind(redis), false);
  let closings = 0;
  redis.on('close', () => {
    closings += 1;
  });
  await admin.replicaof('127.0.0.1', '1');
  await eventually(() => assert.ok(isBehind(redis) && closings > 0));
  assert.match(lines[0] ?? '', /^this Redis has become a replica/);
  await admin.replicaof('NO', 'ONE');
  await eventually(() => assert.equal(isBehind(redis), false));
  assert.equal(await redis.get('key'), null);
});

test('a replica that was asked for is read', async (t) => {
  const { url, admin } = await startRedis(t, { folder: testFolder(t) });
  await admin.replicaof('127.0.0.1', '1');
  const redis = await open(t, url, 'worker', { readsOnly: true, roleLookMs: 10 });
  let looks = 0;
  const info = redis.info.bind(redis) as (section: string) => Promise<string>;
  Reflect.set(redis, 'info', async (section: string) => {
    const said = await info(section);
    if (section === 'replication') looks += 1;
    return said;
  });
  let closings = 0;
  redis.on('close', () => {
    closings += 1;
  });
  await eventually(() => assert.ok(looks >= 3));
  assert.deepEqual([isBehind(redis), closings], [false, 0]);
});

for (const form of ['redis://HOST', 'redis-cluster://HOST', 'redis-sentinel://HOST/mymaster']) {
  test(`closing does not wait for a Redis that is away, and what waited fails: ${form}`, async (t) => {
    const redis = await open(t, form.replace('HOST', `127.0.0.1:${await freePort()}`), 'worker');
    const waiting = assert.rejects(redis.get('key'));
    let attempts = 0;
    redis.on('error', () => {
      attempts += 1;
    });
    await eventually(() => assert(attempts >= 2));
    await closeRedis(redis);
    await closeRedis(redis);
    await waiting;
    await eventually(() => assert.equal(redis.status, 'end'));
  });
}

test('closing a connection does not wait for a server that is stopped', async (t) => {
  const { url, child } = await startRedis(t, { folder: testFolder(t) });
  const redis = await open(t, url, 'worker');
  await redis.ping();
  let errors = 0;
  redis.on('error', () => {
    errors += 1;
  });
  child.kill('SIGSTOP');
  await closeRedis(redis);
  assert.equal(errors, 0, 'it was ended before it counted as dead');
});

test('BullMQ takes the connection, for queue and worker', async (t) => {
  const { url } = await startRedis(t, { folder: testFolder(t), args: ['--maxmemory-policy', 'noeviction'] });
  const connection = await open(t, url, 'worker');
  const queue = new Queue('test', { connection });
  const done = Promise.withResolvers<unknown>();
  const worker = new Worker('test', async (job) => done.resolve(job.data), { connection });
  atEnd(t, async () => {
    await worker.close();
    await queue.close();
  });
  await queue.add('job', { n: 1 });
  assert.deepEqual(await done.promise, { n: 1 });
});

test('what was under way when the server died: a worker sends it again, for a ledger it fails', async (t) => {
  const folder = testFolder(t);
  const first = await startRedis(t, { folder });
  const worker = await open(t, first.url, 'worker');
  const ledger = await open(t, first.url, 'ledger');
  await Promise.all([worker.ping(), ledger.ping()]);
  first.child.kill('SIGSTOP');
  const counted = worker.incr('count');
  const failed = Promise.all([1, 2, 3].map(() => assert.rejects(ledger.incr('count'), /closed/)));
  await first.stop('SIGKILL');
  const second = await startRedis(t, { folder, port: first.port });
  assert.equal(await counted, 1);
  assert.equal(await ledger.get('count'), '1', 'the connection itself is back');
  await failed;
  await second.stop();
});
