import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { checkRedis } from '../../../src/store/redis/check.ts';
import { closeRedis, openRedis } from '../../../src/store/redis/connect.ts';
import type { RedisRole } from '../../../src/store/redis/options.ts';
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts';
import { commandsOf, documented, documentedRules } from '../../support/acl.ts';
import { ROOT } from '../../support/processes.ts';
import { atEnd, eventually, quiet, testFolder } from './support/machine.ts';
import { startRedis } from './support/plain-redis.ts';

/* Rights that docs/redis.md gives and that end-to-end/acl.long.ts does not come to. */

const TENANT = 't';

async function open(t: TestContext, url: string, role: RedisRole) {
  const redis = await openRedis({ target: parseRedisUrl(url), role, connectionName: 'test', log: quiet });
  atEnd(t, () => closeRedis(redis));
  return redis;
}

async function addUser(admin: Redis, rule: readonly string[]): Promise<void> {
  const words = rule.map((word) => word.replace('<tenant>', TENANT));
  await admin.call('ACL', 'SETUSER', 'standdown-worker', 'on', '>secret', ...words);
}

async function refused(admin: Redis): Promise<number> {
  return ((await admin.call('ACL', 'LOG')) as unknown[]).length;
}

test("a worker's user in a cluster", async (t) => {
  const args = ['--appendonly', 'yes', '--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
  const { admin, port } = await startRedis(t, { folder: testFolder(t), args });
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  await eventually(async () => assert.match(String(await admin.call('CLUSTER', 'INFO')), /cluster_state:ok/));
  const more = (await documented('acl-cluster')).trim().split(' ');
  await addUser(admin, [...(await documentedRules()).worker, ...more]);
  const url = `redis-cluster://standdown-worker:secret@127.0.0.1:${port}`;
  assert.deepEqual((await checkRedis(await open(t, url, 'command'))).warnings, []);
  await assertBullMQ(t, url);
  assert.equal(await refused(admin), 0);
  for (const right of more) {
    await admin.call('ACL', 'SETUSER', 'standdown-worker', right.replace('+', '-'));
    await assert.rejects(open(t, url, 'command'), { code: 'REDIS_UNREACHABLE' }, right);
    await admin.call('ACL', 'SETUSER', 'standdown-worker', right);
  }
});

async function assertBullMQ(t: TestContext, url: string): Promise<void> {
  const options = { connection: await open(t, url, 'worker'), prefix: `{standdown:${TENANT}}` };
  const queue = new Queue('cancel-campaign', options);
  const done = Promise.withResolvers<unknown>();
  const worker = new Worker('cancel-campaign', async (job) => done.resolve(job.data), options);
  atEnd(t, async () => {
    await worker.close();
    await queue.close();
  });
  await queue.add('job', { n: 1 });
  assert.deepEqual(await done.promise, { n: 1 });
}

test("a sentinel's user", async (t) => {
  const folder = testFolder(t);
  const master = await startRedis(t, { folder, args: ['--appendonly', 'yes'] });
  await addUser(master.admin, (await documentedRules()).worker);
  const file = join(folder, 'sentinel.conf');
  const user = (await documented('acl-sentinel')).replace('<password>', 'guarded');
  writeFileSync(file, `sentinel monitor mymaster 127.0.0.1 ${master.port} 1\n${user}`);
  const sentinel = await startRedis(t, { folder, args: [file, '--sentinel'] });
  const query = 'sentinelUsername=standdown-sentinel&sentinelPassword=guarded';
  const url = `redis-sentinel://standdown-worker:secret@127.0.0.1:${sentinel.port}/mymaster?${query}`;
  for (const role of ['command', 'worker'] as const) {
    assert.deepEqual((await checkRedis(await open(t, url, role))).warnings, []);
  }
  // The worker's failover detector listens on a connection of its own.
  await eventually(async () => {
    const clients = String(await sentinel.admin.call('CLIENT', 'LIST'));
    assert.match(clients, /sub=1 .*user=standdown-sentinel/);
  });
  assert.equal(await refused(sentinel.admin), 0);
});

/** Where the scripts are that only workers run; the inbox submits to campaigns as operators do. */
const OF_WORKERS = /^(worker\/|queue\/inbox\/|store\/ledger\/(begin|finish)\.ts|store\/budget\/glance\.ts)/;
/** What `renew`, beside `reopen` in its file, asks of a service's job: that is a worker's, too. */
const OF_RENEW = ['hexists'];

test('workers and operators may run all that our own scripts come to', async () => {
  const rules = await documentedRules();
  const [worker, operator] = [commandsOf(rules.worker), commandsOf(rules.operator)];
  const source = join(ROOT, 'src');
  const files = (await readdir(source, { recursive: true })).filter((name) => name.endsWith('.ts'));
  let scripts = 0;
  for (const name of files) {
    const text = await readFile(join(source, name), 'utf8');
    const commands = [...text.matchAll(/redis\.p?call\('(\w+)'/g)].map(([, word = '']) => word.toLowerCase());
    const names = (rule: readonly string[]) => rule.map((right) => right.replace(/\|.*/, ''));
    const lacking = (rule: readonly string[]) => commands.filter((command) => !names(rule).includes(command));
    assert.deepEqual(lacking(worker), [], `a worker needs more for ${name}`);
    const allowed = name === 'store/ledger/reopen.ts' ? [...operator, ...OF_RENEW] : operator;
    if (!OF_WORKERS.test(name)) assert.deepEqual(lacking(allowed), [], `an operator needs more for ${name}`);
    if (commands.length > 0) scripts++;
  }
  assert.ok(scripts > 10, `${scripts} files with scripts`);
});

/** Those of BullMQ's scripts that a worker runs, by its own doing or a job's. */
const OF_A_WORKER = [
  ...[
    'addStandardJob',
    'moveToActive',
    'moveToFinished',
    'moveToDelayed',
    'moveJobFromActiveToWait',
    'retryJob',
  ],
  ...[
    'moveStalledJobsToWait',
    'extendLocks',
    'promote',
    'saveStacktrace',
    'getRateLimitTtl',
    'updateJobScheduler',
  ],
];

/** What they run only for jobs that are not ours to add: deduplicated ones, metrics, markers of old versions. */
const NEVER = ['persist', 'ltrim', 'lpop'];

test("a worker may run what BullMQ's scripts come to in rare cases", async () => {
  const rule = commandsOf((await documentedRules()).worker);
  const folder = join(dirname(createRequire(import.meta.url).resolve('bullmq')), 'scripts');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  for (const script of OF_A_WORKER) {
    const file = files.find((name) => name.startsWith(`${script}-`));
    assert(file, script);
    const lua = await readFile(join(folder, file), 'utf8');
    const commands = [...lua.matchAll(/call\(\s*["'](\w+)["']/g)].map(([, name = '']) => name.toLowerCase());
    assert.notEqual(commands.length, 0, script);
    const lacking = commands.filter((name) => !rule.includes(name) && !NEVER.includes(name));
    assert.deepEqual(lacking, [], script);
  }
});
