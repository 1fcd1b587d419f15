import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { messageOf } from '../../src/base/errors.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { keysFor } from '../../src/store/keys.ts';
import { GREATEST_ID } from '../../src/store/redis/entry-id.ts';
import { isNotPermitted } from '../../src/store/redis/failure.ts';
import { sampled, scrape } from '../ops/metrics/scrape.ts';
import { commandsOf, documentedRules, ROLES, type Role } from '../support/acl.ts';
import type { Command } from '../support/command.ts';
import { watchUse } from '../support/redis-use.ts';
import { eventually } from '../support/wait.ts';
import { type Estate, openEstate, type Producer, succeeded } from './acl-support.ts';

/**
 * What the play may come to or not: old slots are forgotten at every 64th, which may be anybody's; the inbox' group is set back only
 * where it has read an entry from the future.
 */
const SOMETIMES = ['zremrangebyscore', 'xgroup|setid'];

/** What the play does not come to, and why it is permitted all the same. */
const RARE: Partial<Record<Role, Readonly<Record<string, string>>>> = {
  worker: {
    lpos: "a job that a broken script of BullMQ's lost is put back",
    ping: 'a worker that hears nothing asks so whether Redis answers others',
    sismember: 'the console that a worker serves shows a request',
    xread: 'what is urgent in the inbox is looked for past what a full lane has no room for',
    xrevrange: 'the console that a worker serves shows the history of a campaign',
  },
  operator: {
    lpos: 'a job that was waited for longer than a minute is looked for in its lane',
    zscore: "Redis' clock jumped while doctor or select was calling",
  },
  producer: {
    llen: 'how long a lane is, before it is searched',
    lpos: 'a job that was waited for longer than a minute is looked for in its lane',
  },
};

test('each user does its work, and is permitted just what that takes', async (t) => {
  const rules = await documentedRules();
  const estate = await openEstate(t, rules, 100);
  const use = await watchUse(estate.redis.admin, (name) => {
    if (name === 'standdown-command' || name === 'standdown-doctor') return estate.running;
    return ROLES.find((role) => name.startsWith(role)) ?? 'worker';
  });
  t.after(() => use.stop());
  await play(estate);
  assert.deepEqual(await estate.redis.refusals(), []);
  for (const role of ROLES) {
    const used = use.commands.get(role) ?? new Set();
    const idle = commandsOf(rules[role]).filter((command) => !used.has(command));
    t.diagnostic(`${role} used ${used.size} commands, and could have used ${idle.join(' ') || 'no other'}`);
    const never = idle.filter((command) => !SOMETIMES.includes(command));
    assert.deepEqual(never, Object.keys(RARE[role] ?? {}), `${role} is permitted what it does not need`);
  }
});

test('what is not permitted', async (t) => {
  // One for all of them: each leaves it to the next as it was.
  const estate = await openEstate(t, await documentedRules(), 4);

  await t.test('what others own, and what only an administrator does, is refused to all', async () => {
    const other = keysFor('other');
    const near = keysFor(`${estate.tenant}s`);
    await estate.redis.admin.hset(other.state, 'buckets', 1);
    const forbidden: string[][] = [
      ['HGET', other.state, 'buckets'],
      ['HGET', near.state, 'buckets'],
      ['HGET', `x${estate.keys.state}`, 'buckets'],
      ['HSET', other.state, 'buckets', '2'],
      ['EVAL', "return redis.call('HGET', KEYS[1], 'buckets')", '1', other.state],
      // A key that was not declared is looked at, too.
      [
        'EVAL',
        "return redis.call('HGET', ARGV[1], 'buckets')",
        '1',
        estate.keys.lane('cancel', 'x'),
        other.state,
      ],
      ...[
        'CONFIG GET requirepass',
        'CONFIG SET dir /',
        'CONFIG REWRITE',
        'FLUSHALL',
        'FLUSHDB',
        'KEYS *',
        'SCAN 0',
      ],
      ...['SHUTDOWN NOSAVE', 'ACL LIST', 'ACL SETUSER me +@all', 'MONITOR', 'CLIENT LIST'],
      ...[
        'CLIENT KILL TYPE normal',
        'SCRIPT FLUSH',
        'FUNCTION LIST',
        'REPLICAOF NO ONE',
        'SAVE',
        'SLOWLOG GET',
      ],
      ...['SWAPDB 0 1', 'DBSIZE', 'RANDOMKEY', 'MODULE LIST', 'SUBSCRIBE x', 'PUBLISH x y', 'SELECT 1'],
    ].map((words) => (typeof words === 'string' ? words.split(' ') : words));
    for (const role of ROLES) {
      const redis = estate.connect(role);
      for (const words of forbidden) await assertRefused(redis, role, words);
    }
    assert.equal(await estate.redis.admin.hget(other.state, 'buckets'), '1');
    await estate.redis.admin.del(other.state);
    assert.notEqual((await estate.redis.refusals()).length, 0, 'Redis has noted it');
  });

  await t.test(
    'a producer comes to its lanes and to nothing else, and a reader changes nothing',
    async () => {
      const { keys, connect, redis } = estate;
      const foreign = [
        ...[keys.state, keys.bucket(0), keys.campaigns, keys.campaign(1), keys.holds, keys.checking],
        ...[keys.lane('cancel-campaign', 'meta'), keys.lane('cancel-campaign', '1')],
      ];
      const producer = connect('producer');
      for (const key of foreign) {
        await assertRefused(producer, 'producer', ['HSET', key, 'a', 'b']);
        await assertRefused(producer, 'producer', ['HGET', key, 'a']);
        await assertRefused(producer, 'producer', [
          'EVAL',
          "redis.call('HSET', KEYS[1], 'a', 'b')",
          '1',
          key,
        ]);
      }
      for (const key of [keys.running, keys.expiries, keys.slots('cancel')]) {
        await assertRefused(producer, 'producer', ['ZADD', key, '1', 'a']);
      }
      await assertRefused(producer, 'producer', ['LPUSH', keys.lane('cancel-campaign', 'wait'), '1']);
      await assertRefused(producer, 'producer', ['XREAD', 'STREAMS', keys.results(1), '0']);

      const inbox = connect('inbox');
      for (const key of [
        ...foreign,
        keys.outcomes,
        keys.rejected,
        keys.outcome('x'),
        keys.lane('cancel', 'events'),
      ]) {
        await assertRefused(inbox, 'inbox', ['XADD', key, '*', 'a', 'b']);
      }
      for (const key of [...foreign, keys.inbox, keys.lane('cancel', 'x')]) {
        await assertRefused(inbox, 'inbox', ['GET', key]);
        await assertRefused(inbox, 'inbox', ['XREAD', 'STREAMS', key, '0']);
      }

      const reader = connect('reader');
      for (const words of WRITES) {
        const [name = '', ...args] = words.split(' ');
        for (const key of [...foreign, keys.lane('cancel', 'wait')]) {
          await assertRefused(reader, 'reader', [name, key, ...args]);
          const called = [`'${name}'`, 'KEYS[1]', ...args.map((word) => `'${word}'`)].join(', ');
          await assertRefused(reader, 'reader', ['EVAL', `return redis.call(${called})`, '1', key]);
        }
      }
      assert.equal(await redis.admin.dbsize(), 1, 'nothing but what the tenant began with');
      assert.notEqual((await redis.refusals()).length, 0, 'Redis has noted it');
    },
  );

  await t.test(
    'nobody comes in without a name, without TLS, or past a certificate that is not trusted',
    async () => {
      const { command, run, redis } = estate;
      const url = redis.url('reader');
      const nameless = url.replace(/\/\/.*@/, '//');
      const without: [env: Record<string, string>, says: RegExp][] = [
        [{ REDIS_URL: nameless }, /requires a password \(NOAUTH\)/],
        [{ REDIS_URL: url.replace(/:[0-9a-f]{48}@/, ':wrong-password@') }, /wrong user name or password/],
        [{ REDIS_URL: url.replace('rediss:', 'redis:') }, /if it uses TLS|whether the server uses TLS/],
        [{ NODE_EXTRA_CA_CERTS: '' }, /certificate is not trusted .*NODE_EXTRA_CA_CERTS/],
        [{ REDIS_URL: url.replace('localhost', '127.0.0.1') }, /certificate is for another host name/],
      ];
      for (const [env, says] of without) {
        // What a process trusts is its own.
        const start = 'NODE_EXTRA_CA_CERTS' in env ? run : command;
        const { code, stderr } = await start('reader', ['status'], '', env);
        assert.equal(code, 1);
        assert.match(stderr, says);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
      }
      assert.deepEqual(await redis.refusals(), ['standdown-reader: auth hello (toplevel)']);
    },
  );

  await t.test(
    'a producer reads and holds up what is in its queues, and holds up no other campaign',
    async () => {
      const { keys, connect, ids } = estate;
      const producer = connect('producer');
      const service = estate.openProducer();
      const jobs: Job[] = [];
      for (const [i, lane] of (['cancel', 'cancel-urgent'] as const).entries()) {
        await producer.hset(keys.lane(lane, 'meta'), 'paused', 1);
        jobs.push(await service.add({ machineActionId: ids[i], comment: 'x' }, {}, lane));
      }
      const worker = estate.startWorkerHere();
      await submit(estate, 'others', ids.slice(2, 3));
      await submit(estate, 'first', ids.slice(3, 4), '--urgent');
      await eventually(async () =>
        assert.match(await command(estate, 'reader', 'status others --json'), /"state": ?"done"/),
      );
      for (const job of jobs) assert.equal((await service.read(job)).result, null);
      assert.match(
        await command(estate, 'operator', 'doctor'),
        /The queue "cancel-urgent" is paused[\s\S]*HDEL/,
      );
      for (const [i, lane] of (['cancel', 'cancel-urgent'] as const).entries()) {
        await assertRefused(producer, 'producer', ['HDEL', keys.lane(lane, 'meta'), 'paused']);
        await connect('operator').hdel(keys.lane(lane, 'meta'), 'paused');
        await producer.zadd(keys.lane(lane, 'marker'), 0, '0');
        assert.equal((await service.result(jobs[i] as Job)).outcome, 'cancelled');
      }
      worker.stop();
      assert.equal(await worker.exited, 0);
    },
  );

  await t.test('a right that is missing is said in one line, and a worker without one ends', async () => {
    const { command, redis } = estate;
    const advice =
      /^standdown: cannot use Redis at rediss:\/\/localhost:\d+\/0: the Redis user lacks a permission \(NOPERM\); give .*docs\/redis\.md \(ACL LOG .*\n$/;
    const submitted = await command(
      'reader',
      ['submit', '-', '--campaign', 'a', '--comment', 'x', '--yes'],
      estate.ids[0],
    );
    assert.deepEqual([submitted.code, submitted.stdout], [1, '']);
    assert.match(submitted.stderr, advice);
    assert.match((await command('producer', ['status'])).stderr, advice);
    const { stdout } = await command('reader', ['doctor']);
    assert.match(
      stdout,
      /problem +redis +Redis at rediss:.*lacks a permission \(NOPERM\)\n.*\n.*→ Give the user .*docs\/redis\.md/,
    );

    await redis.admin.call('ACL', 'SETUSER', 'standdown-worker', '-rpoplpush');
    const worker = estate.startWorker();
    assert.equal(await worker.exited, 1);
    const said = worker.stderr.trim().split('\n');
    assert.match(`${said.at(-1)}\n`, advice);
    assert.ok(said.length < 8, worker.stderr);

    await redis.admin.call('ACL', 'SETUSER', 'standdown-worker', '-info', '+rpoplpush');
    const blind = estate.startWorker();
    assert.equal(await blind.exited, 1);
    assert.match(blind.stderr, /standdown: the Redis user has no permission to run INFO.*docs\/redis\.md\n$/);
    assert.ok((await redis.refusals()).includes('standdown-worker: command rpoplpush (lua)'));
  });
});

const WRITES = [
  'HSET a b',
  'HINCRBY a 1',
  'HDEL a',
  'ZADD 1 a',
  'LPUSH a',
  'RPUSH a',
  'SADD a',
  'XADD * a b',
  'SET a',
  'DEL',
  'UNLINK',
  'EXPIRE 1',
  'RENAME b',
  'RESTORE 0 x',
];

/** Whatever a server calls it: of what a script met, some say nothing but this. */
async function assertRefused(
  redis: Redis,
  role: Role,
  [name = '', ...args]: readonly string[],
): Promise<void> {
  const said = await redis.call(name, ...args).then(
    (reply) => assert.fail(`${role} may: ${[name, ...args].join(' ')}: ${JSON.stringify(reply)}`),
    (error: unknown) => error,
  );
  assert.ok(isNotPermitted(said), `${role}: ${[name, ...args].join(' ')}: ${messageOf(said)}`);
}

/** Everything that a tenant's users do in some weeks, in seconds. */
async function play(estate: Estate): Promise<void> {
  const ids = [...estate.ids];
  const take = (count: number) => ids.splice(0, count);
  await leaveStalled(estate, take(1));
  const worker = estate.startWorkerHere(['--verify'], { HEALTH_PORT: '0', ...NOTIFIED });
  await submit(estate, 'big', take(20));
  await submit(estate, 'first', take(2), '--urgent');
  await askForSingles(estate, take(20));
  await useInbox(estate, take(5));
  await steer(estate, take(30), worker);
  await beWatched(estate, worker);
  worker.stop();
  assert.equal(await worker.exited, 0, worker.stderr);
  await lookAround(estate, take(10));
  await forgetAll(estate);
}

/** Nobody listens there: notices are put off. */
const NOTIFIED = {
  NOTIFY_URL: 'http://127.0.0.1:9/',
  NOTIFY_SECRET: 'a-secret-of-16-c',
  NOTIFY_ALLOW_PRIVATE: 'true',
};

/** Its metrics are read, and somebody is to be told that a campaign has ended. */
async function beWatched({ redis, keys, tenant }: Estate, worker: Command): Promise<void> {
  const [, port] = /"port":(\d+)/.exec(worker.stderr) ?? [];
  assert.equal(sampled(await scrape(port), 'standdown_redis_read_ok', { tenant }), 1);
  await eventually(async () => assert.notEqual(await redis.admin.hlen(keys.outbox), 0));
  await eventually(() => assert.match(worker.stderr, /notice not delivered; retrying/));
}

/** A job of a worker that was killed. */
async function leaveStalled({ redis, keys }: Estate, [machineActionId]: readonly string[]): Promise<void> {
  const lane = (suffix: string) => keys.lane('cancel', suffix);
  const data = JSON.stringify({ machineActionId, comment: 'x' });
  await redis.admin.hset(lane('left'), { name: 'cancel', data, opts: '{}', timestamp: Date.now() });
  await redis.admin.lpush(lane('active'), 'left');
  await redis.admin.sadd(lane('stalled'), 'left');
}

async function submit(estate: Estate, campaign: string, ids: readonly string[], ...more: string[]) {
  const args = ['submit', '-', '--campaign', campaign, '--comment', 'x', '--yes', ...more];
  succeeded(await estate.command('operator', args, ids.join('\n')));
}

/** What services do, and what befalls them. */
async function askForSingles({ openProducer, simulator }: Estate, ids: string[]): Promise<void> {
  const producer = openProducer();
  const wish = (more: object = {}) => ({ machineActionId: ids.pop(), comment: 'x', ...more });
  const outcome = async (...added: Parameters<Producer['add']>) =>
    (await producer.result(await producer.add(...added))).outcome;
  const first = wish();
  assert.equal(await outcome(first), 'cancelled');
  assert.equal(await outcome(first), 'cancelled', 'the outcome that there is already');
  assert.equal(await outcome({ ...first, again: true }), 'already_final');
  assert.equal(await outcome(wish(), {}, 'cancel-urgent'), 'cancelled');
  assert.equal(await outcome(wish({ expiresAt: Date.now() + 60_000 })), 'cancelled');
  assert.equal(await outcome(wish(), { delay: 200 }), 'cancelled');
  assert.equal(await outcome(wish(), { priority: 3 }), 'cancelled');
  assert.equal(await outcome(wish(), { removeOnComplete: true }), 'cancelled');
  const read = await producer.add(wish());
  await producer.result(read);
  const { state, result } = await producer.read(read);
  assert.deepEqual([state, result?.outcome], ['completed', 'cancelled'], 'without having waited for it');
  const own = wish();
  assert.equal(await outcome(own, { jobId: 'own' }), 'cancelled');
  assert.equal(await outcome(own, { jobId: 'own' }), 'cancelled');
  for (const job of await producer.addAll([wish(), wish()])) {
    assert.equal((await producer.result(job)).outcome, 'cancelled');
  }
  const fault = (status: number, retryAfter?: number) =>
    simulator.addFault({
      operation: 'cancel',
      times: 1,
      fault: { kind: 'status', status, ...(retryAfter !== undefined && { retryAfter }) },
    });
  await fault(429, 2);
  assert.equal(await outcome(wish()), 'cancelled', 'after a wait');
  await fault(500);
  assert.equal(await outcome(wish()), 'cancelled', 'at another attempt');
}

/** What services without BullMQ do, as docs/inbox.md says. */
async function useInbox({ connect, keys }: Estate, ids: readonly string[]): Promise<void> {
  const redis = connect('inbox');
  const add = (...fields: string[]) => redis.call('XADD', keys.inbox, '*', 'comment', 'x', ...fields);
  const outcomeOf = async (id: string) => JSON.parse((await redis.get(keys.outcome(id))) ?? 'null')?.outcome;
  const [single = '', urgent = '', inCampaign = '', again = '', numbered = ''] = ids;
  await add('machineActionId', single);
  await add('machineActionId', urgent, 'priority', 'urgent');
  await add('machineActionId', inCampaign, 'campaign', 'inbox');
  await add('machineActionId', again, 'again', 'true');
  await redis.call('XADD', keys.inbox, GREATEST_ID, 'machineActionId', numbered, 'comment', 'x');
  for (const id of ids) await eventually(async () => assert.equal(await outcomeOf(id), 'cancelled'));
  await eventually(() => add('machineActionId', 'no guid'));
  const rejected = await redis.xread('BLOCK', 60_000, 'STREAMS', keys.rejected, '0');
  assert.equal(rejected?.length, 1);
  assert.equal((await redis.xread('COUNT', 1, 'STREAMS', keys.outcomes, '0'))?.length, 1);
}

/** What operators do while a worker runs. */
async function steer(estate: Estate, ids: string[], worker: Command): Promise<void> {
  const as = (words: string) => command(estate, 'operator', words);
  const producer = estate.openProducer();
  const held = ids.splice(0, 10);
  await submit(estate, 'held', held, '--priority', '7', '--expires-in', '1h');
  await as('pause held');
  await submit(estate, 'overlap', [...held.slice(0, 2), ...ids.splice(0, 2)]);
  const waiting = await producer.add({ machineActionId: held[0], comment: 'x' });
  await as('resume held');
  assert.ok((await producer.result(waiting)).outcome);
  await as('priority held 2');
  // More than one hash of the ledger holds, and over before the worker comes to the last of them.
  await submit(estate, 'late', makeActions({ count: 3_000, seed: 7 }).ids, '--expires-in', '1s');
  await as('verify big');
  await as('retry big --outcome cancelled --yes');
  await eventually(() => assert.match(worker.stderr, /"campaign":"late","outcome":"expired"/));
  await eventually(async () => assert.match(await as('status big --json'), /"open": ?0/));
}

/** What is looked at while no worker runs, and what an operator does alone. */
async function lookAround(estate: Estate, ids: string[]): Promise<void> {
  const { keys, redis } = estate;
  // No worker hands out the first of it.
  await submit(estate, 'open', ids, '--urgent');
  // A worker has taken in an entry of the inbox for one of them.
  await redis.admin.set(keys.outcome(ids[0] ?? ''), '{"outcome":null}');
  // Each 64th slot clears away old ones; the next is one.
  const slot = Number(await redis.admin.hget(keys.state, 'seq'));
  await redis.admin.hincrby(keys.state, 'seq', 63 - (slot % 64));
  await command(estate, 'operator', 'doctor');
  await command(estate, 'operator', 'select --where status=Pending');
  for (const role of ['reader', 'operator'] as const) {
    for (const words of [...LOOKING, `history open ${ids[0]}`]) await command(estate, role, words);
    await followResults(estate.connect(role), estate);
  }
  await command(estate, 'operator', 'abort open --yes');
  assert.match((await redis.admin.get(keys.outcome(ids[0] ?? ''))) ?? '', /"outcome":"withdrawn"/);
  await command(estate, 'operator', 'delete open --yes');
}

const LOOKING = [
  'status',
  'list',
  'status open',
  'report open',
  'report overlap',
  'budget',
  'history big',
  'watch big',
  'watch overlap --json',
];

/** As docs/contract.md says. */
async function followResults(redis: Redis, { keys }: Estate): Promise<void> {
  const number = Number(await redis.hget(keys.campaigns, 'big'));
  const found = await redis.xread('COUNT', 1, 'BLOCK', 1_000, 'STREAMS', keys.results(number), '0');
  assert.equal(found?.length, 1);
}

async function forgetAll(estate: Estate): Promise<void> {
  const worker = estate.startWorkerHere([], { RESULT_RETENTION: '1ms' });
  await eventually(async () => {
    // Single cancels that still waited are called, and have a campaign again.
    const left = await command(estate, 'reader', 'list');
    assert.doesNotMatch(left, /^(?!campaign |direct-|No campaigns)./m, worker.stderr);
  });
}

async function command(estate: Estate, role: Role, words: string): Promise<string> {
  return succeeded(await estate.command(role, words.split(' ')));
}
