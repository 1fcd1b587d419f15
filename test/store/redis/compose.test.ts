import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { parse } from 'yaml';
import { checkRedis } from '../../../src/store/redis/check.ts';
import { freePort } from '../../support/port.ts';
import { ROOT } from '../../support/processes.ts';
import { atEnd, endProcess, eventually, redisServer, testFolder } from './support/machine.ts';

interface Service {
  user?: string;
  command?: string[];
  environment: Record<string, string>;
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  ports?: string[];
  ulimits: { core: number };
  pids_limit: number;
  privileged?: boolean;
}

async function services(): Promise<Record<string, Service>> {
  return parse(await readFile(join(ROOT, 'docker-compose.yml'), 'utf8')).services;
}

/* There may be no Docker where this runs: what is written is looked at, and what can be run without Docker is run. */

test('the containers have no more rights than they need', async () => {
  const all = await services();
  assert.deepEqual(Object.keys(all), ['redis', 'worker']);
  for (const [name, service] of Object.entries(all)) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.equal(service.privileged, undefined, name);
    assert.deepEqual([service.ulimits, service.pids_limit > 0], [{ core: 0 }, true], name);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name);
  }
  assert.equal(all['redis']?.user, 'redis');
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  assert.match(dockerfile, /^USER node$[\s\S]*^ENTRYPOINT/m, 'the worker is not root');
  assert.doesNotMatch(dockerfile, /npm (install|i)\b/, 'what is installed is what the lock file says');
});

test('a container is open to no debugger and writes no core file, whatever it is told to run', async (t) => {
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  const [, entry = ''] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? [];
  const script = join(testFolder(t), 'look.mjs');
  writeFileSync(
    script,
    `import { readFileSync } from 'node:fs';
    const [core] = readFileSync('/proc/self/limits', 'utf8').match(/(?<=Max core file size +).*/);
    console.log(JSON.stringify([process.execArgv, process.argv.slice(2), core.trim().split(/ +/).slice(0, 2), process.ppid]));`,
  );
  const [program = '', ...words] = (JSON.parse(entry) as string[]).map((word) =>
    word.replace('/app/dist/cli.js', script),
  );
  const { stdout } = await promisify(execFile)(program, [...words, 'status', 'a "b"']);
  assert.deepEqual(JSON.parse(stdout), [
    ['--disable-sigusr1'],
    ['status', 'a "b"'],
    ['0', '0'],
    // The shell has become it, so that it hears when it is to stop.
    process.pid,
  ]);
});

test('Redis is not started without a password, and wants the one that it is given', async (t) => {
  const { redis, worker } = await services();
  assert(redis && worker);
  const wanted = /\$\{REDIS_PASSWORD:\?[^}]+\}/;
  assert.match(redis.environment['REDIS_PASSWORD'] ?? '', new RegExp(`^${wanted.source}$`));
  assert.equal(redis.environment['REDISCLI_AUTH'], redis.environment['REDIS_PASSWORD']);
  assert.match(worker.environment['REDIS_URL'] ?? '', new RegExp(`^redis://:${wanted.source}@redis:6379$`));

  const [program = '', ...args] = (redis.command ?? []).map((word) => word.replaceAll('$$', '$'));
  const folder = testFolder(t);
  const port = await freePort();
  const server = await redisServer();
  mkdirSync(join(folder, 'bin'));
  symlinkSync(server.command, join(folder, 'bin/redis-server'));
  const onPort = args.map((word) =>
    word.replace('redis-server - ', `redis-server - --port ${port} --bind 127.0.0.1 `),
  );
  const child = spawn(program, onPort, {
    cwd: folder,
    env: {
      ...server.env,
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      LC_ALL: 'C',
      REDIS_PASSWORD: 'c0mp0se',
    },
    stdio: 'ignore',
  });
  atEnd(t, () => endProcess(child));
  const open = (password?: string) => {
    const client = new Redis({ port, ...(password !== undefined && { password }), retryStrategy: () => 20 });
    client.on('error', () => undefined);
    atEnd(t, async () => client.disconnect());
    return client;
  };
  const client = open('c0mp0se');
  await eventually(async () => assert.equal(await client.ping(), 'PONG'));
  assert.deepEqual((await checkRedis(client)).warnings, []);
  await assert.rejects(open().ping(), /NOAUTH/);
  // The shell has become the server, so that it hears when it is to stop.
  const line = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
  assert.match(line, /redis-server/);
  assert.doesNotMatch(line, /c0mp0se/);
});
