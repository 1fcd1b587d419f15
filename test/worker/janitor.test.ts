import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Job } from 'bullmq';
import type { LaneName } from '../../src/store/keys.ts';
import { GREATEST_ID } from '../../src/store/redis/entry-id.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { keepingLog, openStack, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { hashOf, pushRaw, type WriteKey } from './raw-jobs.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const DATA = JSON.stringify({ machineActionId: ID, comment: 'x' });
const GOOD = {
  name: 'cancel',
  data: DATA,
  opts: '{}',
  timestamp: '1700000000000',
  delay: '0',
  priority: '0',
};

/** By what is wrong: how the job's key looks, and what its waiter is told. */
const BROKEN: readonly [what: string, write: WriteKey, told: RegExp][] = [
  ['data that is cut off', hashOf({ ...GOOD, data: DATA.slice(0, 40) }), /^data: not valid JSON/],
  ['data that is no JSON', hashOf({ ...GOOD, data: 'undefined' }), /^data: not valid JSON/],
  ['no data', hashOf({ name: 'cancel', opts: '{}' }), /machineActionId/],
  ['no name', hashOf({ data: DATA, opts: '{}' }), /the job name is missing/],
  ['options that are no JSON', hashOf({ ...GOOD, opts: '{' }), /^opts: not valid JSON/],
  ['options of null', hashOf({ ...GOOD, opts: 'null' }), /^opts: not an object/],
  ['options in a list', hashOf({ ...GOOD, opts: '[1]' }), /^opts: not an object/],
  ['options of a number', hashOf({ ...GOOD, opts: '7' }), /^opts: not an object/],
  ['progress that is no JSON', hashOf({ ...GOOD, progress: 'half' }), /^progress: not valid JSON/],
  ['a parent that is no JSON', hashOf({ ...GOOD, parent: '{id' }), /^parent: not valid JSON/],
  ['a start count of words', hashOf({ ...GOOD, ats: 'two' }), /^ats: not a whole number/],
  ['an attempt count of words', hashOf({ ...GOOD, atm: '1.5' }), /^atm: not a whole number/],
  ['a stall count of words', hashOf({ ...GOOD, stc: 'x' }), /^stc: not a whole number/],
  ['a priority of words', hashOf({ ...GOOD, priority: 'inf' }), /^priority: not a number/],
  ['no key', hashOf({}), /the job name is missing/],
  ['a text', write((key, { redis }) => redis.set(key, DATA)), /is not a hash/],
  ['a list', write((key, { redis }) => redis.rpush(key, DATA)), /is not a hash/],
  ['a set', write((key, { redis }) => redis.sadd(key, DATA)), /is not a hash/],
  ['a sorted set', write((key, { redis }) => redis.zadd(key, 1, DATA)), /is not a hash/],
  ['a stream', write((key, { redis }) => redis.xadd(key, '*', 'data', DATA)), /is not a hash/],
];

function write(act: WriteKey): WriteKey {
  return async (key, stack) => {
    await stack.redis.del(key);
    await act(key, stack);
  };
}

describe('the janitor', () => {
  let server: TestRedis;
  let stack: Stack;
  let kept: Awaited<ReturnType<typeof keepingLog>>;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    kept = await keepingLog();
    stack = await openStack(server, { log: kept.log });
  });
  afterEach(() => stack.close());
  after(() => server.close());

  const cancels = () => stack.simulator.calls().filter(({ operation }) => operation === 'cancel').length;
  const laneKey = (suffix: string, lane: LaneName = 'cancel') => stack.tenant.keys.lane(lane, suffix);

  /** A job as its producer holds it, not in any list yet. */
  async function held(jobId?: string): Promise<Job> {
    const options = { delay: 600_000, ...(jobId !== undefined && { jobId }) };
    const job = await stack.enqueue(JSON.parse(DATA), 'cancel', 'cancel', options);
    await stack.redis.zrem(laneKey('delayed'), job.id ?? '');
    return job;
  }

  async function waiting(writeKey: WriteKey): Promise<Job> {
    const job = await held();
    await pushRaw(stack, 'cancel', job.id ?? '', writeKey);
    return job;
  }

  async function nothingIsLeft(lane: LaneName = 'cancel'): Promise<void> {
    await eventually(async () => {
      for (const list of ['wait', 'active'])
        assert.equal(await stack.redis.llen(laneKey(list, lane)), 0, list);
    });
    assert.equal(await stack.redis.zcard(laneKey('failed', lane)), 0);
  }

  const loud = () => kept.lines.filter((line) => /"level":"(error|fatal)"/.test(line));

  it('tells the producer of a job that cannot be read, at once, and the others go on', async () => {
    const [id = ''] = stack.addActions(1);
    const jobs: Job[] = [];
    for (const [, writeKey] of BROKEN) jobs.push(await waiting(writeKey));
    const good = await stack.enqueue({ machineActionId: id, comment: 'x' });
    await stack.startWorker();
    assert.equal((await stack.result(good)).outcome, 'cancelled');
    for (const [index, job] of jobs.entries()) {
      const [what = '', , told = /$^/] = BROKEN[index] ?? [];
      const result = await stack.result(job).catch((error) => assert.fail(`${what}: ${error}`));
      assert.equal(result.outcome, 'invalid', what);
      assert.match(result.errorMessage ?? '', told, what);
      assert.equal(await job.getState(), 'completed', what);
    }
    assert.equal(cancels(), 1);
    await nothingIsLeft();
    assert.deepEqual(loud(), []);
  });

  it('leaves of a bad job what can be read, and names its id', async () => {
    await stack.startWorker();
    const job = await waiting(hashOf({ ...GOOD, opts: '{' }));
    const result = await stack.result(job);
    assert.deepEqual([result.machineActionId, result.requestedAt], [ID, '2023-11-14T22:13:20.000Z']);
    assert.match(result.campaign, /^direct-/);
    const again = await stack.redis.hgetall(laneKey(job.id ?? ''));
    assert.equal(again['data'], DATA);
    assert.deepEqual(JSON.parse(again['opts'] ?? ''), {}, 'whoever looks at the job can read it');
  });

  it('clears the events of a queue to which nobody can add after the greatest id', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.redis.call('XADD', laneKey('events'), GREATEST_ID, 'event', 'added');
    const wish = { machineActionId: id, comment: 'x' };
    await assert.rejects(stack.enqueue(wish), /last possible ID/);
    await stack.startWorker();
    await eventually(() => stack.enqueue(wish));
    await eventually(() => assert.equal(cancels(), 1));
    assert.ok(kept.lines.some((line) => /"lane":"cancel".*cleared the events of the queue/.test(line)));
  });

  it('ends thousands of them without wearing out the lane’s limiter or keeping more than are to be kept', async () => {
    await stack.startWorker({ RATE_LIMITS: '20/1h' });
    const jobs = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        pushRaw(stack, 'cancel', `bad${index}`, hashOf({ ...GOOD, data: '{' })),
      ),
    );
    const [id = ''] = stack.addActions(1);
    const good = await stack.enqueue({ machineActionId: id, comment: 'x' });
    assert.equal((await stack.result(good)).outcome, 'cancelled');
    await eventually(async () =>
      assert.equal(await stack.redis.zcard(laneKey('completed')), jobs.length + 1),
    );
  });

  it('completes a decided job over whose hash BullMQ’s script breaks', async () => {
    const hashes: Record<string, string>[] = [
      { parent: 'null', parentKey: 'x:y' },
      { parent: '7', parentKey: 'x:y' },
      { parentKey: 'no-colon' },
      { parent: '[]', parentKey: '' },
      { parent: `{"id":"1","a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`, parentKey: 'x:1' },
      { deid: 'broken' },
    ];
    await stack.redis.hset(laneKey('dn:broken'), { name: 'cancel', data: '{}', opts: 'no json' });
    const ids = stack.addActions(hashes.length);
    const jobs: Job[] = [];
    for (const [index, hash] of hashes.entries()) {
      const data = JSON.stringify({ machineActionId: ids[index], comment: 'x' });
      jobs.push(await waiting(hashOf({ ...GOOD, data, ...hash })));
    }
    await stack.startWorker();
    for (const [index, job] of jobs.entries()) {
      const words = JSON.stringify(hashes[index]).slice(0, 80);
      const result = await stack.result(job).catch((error) => assert.fail(`${words}: ${error}`));
      assert.equal(result.outcome, 'cancelled', words);
    }
    assert.equal(cancels(), ids.length, 'each once');
    await nothingIsLeft();
  });

  it('lets neither a failed nor a waiting child fail a cancel, nor a hash that says another id', async () => {
    const ids = stack.addActions(4);
    const data = (index: number) => JSON.stringify({ machineActionId: ids[index], comment: 'x' });
    const deferred = await waiting(hashOf({ ...GOOD, data: data(0), defa: 'child failed' }));
    const pending = await held();
    await stack.redis.sadd(laneKey(`${pending.id}:dependencies`), 'some:child');
    await pushRaw(stack, 'cancel', pending.id ?? '', hashOf({ ...GOOD, data: data(1) }));
    const failed = await held();
    await stack.redis.zadd(laneKey(`${failed.id}:unsuccessful`), 1, 'some:child');
    await pushRaw(stack, 'cancel', failed.id ?? '', hashOf({ ...GOOD, data: data(2) }));
    const misnamed = await waiting(hashOf({ ...GOOD, data: data(3), id: pending.id ?? '' }));
    await stack.startWorker();
    for (const job of [deferred, pending, failed, misnamed]) {
      assert.equal((await stack.result(job)).outcome, 'cancelled');
    }
    assert.equal(cancels(), 4);
    await nothingIsLeft();
  });

  it('works on a job whose schedule is broken', async () => {
    const ids = stack.addActions(2);
    const jobs: Job[] = [];
    for (const [index, opts] of ['{}', '{"repeat":{"pattern":"no cron"}}'].entries()) {
      const data = JSON.stringify({ machineActionId: ids[index], comment: 'x' });
      jobs.push(await waiting(hashOf({ ...GOOD, data, opts, rjk: 'a schedule' })));
    }
    await stack.startWorker();
    for (const job of jobs) assert.equal((await stack.result(job)).outcome, 'cancelled');
    await nothingIsLeft();
  });

  it('lets no job stand where a key of BullMQ’s own belongs', async () => {
    await stack.startWorker();
    const names = [
      'limiter',
      'failed',
      'prioritized',
      'repeat',
      'stalled',
      'paused',
      'waiting-children',
      'pc',
    ];
    for (const jobId of names) {
      await stack.redis.del(laneKey(jobId));
      await stack.enqueue(JSON.parse(DATA), 'cancel', 'cancel', { jobId });
      await eventually(async () => assert.notEqual(await stack.redis.type(laneKey(jobId)), 'hash', jobId));
      const [id = ''] = stack.addActions(1);
      const good = await stack.enqueue({ machineActionId: id, comment: 'x' });
      assert.equal((await stack.result(good)).outcome, 'cancelled', `after ${jobId}`);
      // Asking for its state goes through the very key that was in the way; whoever listens has heard of it.
      const events = JSON.stringify(await stack.redis.xrange(laneKey('events'), '-', '+'));
      assert.match(
        events,
        new RegExp(`"completed","jobId","${jobId}","returnvalue"[^\\]]*the job id .* is reserved by BullMQ`),
        jobId,
      );
    }
    assert.equal(cancels(), names.length);
    await nothingIsLeft();
  });

  it('never deletes a key of BullMQ’s own, nor another job’s lock, for a job that is named like it', async () => {
    await stack.startWorker({}, {});
    const [id = ''] = stack.addActions(1);
    for (const jobId of ['meta', 'events', 'id', 'completed']) {
      const before_ = await stack.redis.type(laneKey(jobId));
      await stack.redis.lpush(laneKey('wait'), jobId);
      await stack.redis.zadd(laneKey('marker'), 0, '0');
      await eventually(async () => {
        assert.equal(await stack.redis.llen(laneKey('wait')), 0);
        assert.equal(await stack.redis.llen(laneKey('active')), 0);
      });
      if (before_ !== 'none') assert.equal(await stack.redis.type(laneKey(jobId)), before_, jobId);
    }
    await stack.redis.set(laneKey('other:lock'), 'somebody');
    await stack.redis.lpush(laneKey('wait'), 'other:lock');
    await stack.redis.zadd(laneKey('marker'), 0, '0');
    const good = await stack.enqueue({ machineActionId: id, comment: 'x' });
    assert.equal((await stack.result(good)).outcome, 'cancelled');
    await nothingIsLeft();
    assert.equal(await stack.redis.get(laneKey('other:lock')), 'somebody');
  });

  it('takes nothing from those that wait, for a job that is named like their list', async () => {
    const ids = stack.addActions(3);
    const jobs = await Promise.all(
      ids.map((machineActionId) => stack.enqueue({ machineActionId, comment: 'x' })),
    );
    await stack.redis.rpush(laneKey('wait'), 'wait');
    await stack.startWorker();
    for (const job of jobs) assert.equal((await stack.result(job)).outcome, 'cancelled');
    await eventually(async () => assert.equal(await stack.redis.llen(laneKey('active')), 0));
    await nothingIsLeft();
  });

  it('ends a job whose id is no text, and works on one that only looks like it', async () => {
    const [one = '', other = ''] = stack.addActions(2);
    const wish = (machineActionId: string) => ({ machineActionId, comment: 'x' });
    await stack.startWorker();
    await stack.enqueue(wish(one), 'cancel', 'cancel', { jobId: 'a\ud800b' });
    const good = await stack.enqueue(wish(other), 'cancel', 'cancel', { jobId: 'a\ufffdb' });
    assert.equal((await stack.result(good)).outcome, 'cancelled');
    await nothingIsLeft();
    const events = JSON.stringify(await stack.redis.xrange(laneKey('events'), '-', '+'));
    assert.match(events, /the job id is not valid UTF-8/);
    assert.equal(cancels(), 1);
    assert.deepEqual(loud(), []);
  });

  it('loses no delayed job where one in its way makes BullMQ break off', async () => {
    const ids = stack.addActions(20);
    const jobs: Job[] = [];
    for (const machineActionId of ids) {
      jobs.push(await stack.enqueue({ machineActionId, comment: 'x' }, 'cancel', 'cancel', { delay: 1_000 }));
    }
    await stack.redis.set(laneKey('text'), 'x');
    await stack.redis.zadd(laneKey('delayed'), (Date.now() + 1_000) * 0x1000, 'text');
    await stack.redis.hset(laneKey(jobs[3]?.id ?? ''), { priority: 'nan' });
    await stack.startWorker();
    await stack.enqueue(JSON.parse(DATA), 'cancel', 'cancel', { jobId: 'wait' }).catch(() => undefined);
    for (const job of jobs) assert.equal((await stack.result(job)).outcome, 'cancelled');
    assert.equal(await stack.redis.zcard(laneKey('delayed')), 0);
    await nothingIsLeft();
  });

  it('drops what the feeder’s own lane holds of that kind', async () => {
    await stack.startWorker();
    await stack.redis.set(laneKey('text', 'cancel-campaign'), 'x');
    await pushRaw(stack, 'cancel-campaign', 'bad', hashOf({ ...GOOD, data: '{' }));
    await pushRaw(stack, 'cancel-campaign', 'text', async () => undefined);
    await nothingIsLeft('cancel-campaign');
    assert.equal(await stack.redis.exists(laneKey('bad', 'cancel-campaign')), 0);
    await stack.submit(stack.addActions(5));
    assert.deepEqual((await stack.untilDone()).outcomes, { cancelled: 5 });
  });

  it('looks after what a killed worker left, and after what is delayed', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.redis.set(laneKey('left'), 'x');
    await stack.redis.lpush(laneKey('active'), 'left');
    await stack.redis.sadd(laneKey('stalled'), 'left');
    const stalled = await held();
    await stack.redis.hset(laneKey(stalled.id ?? ''), {
      data: JSON.stringify({ machineActionId: id, comment: 'x' }),
    });
    await stack.redis.lpush(laneKey('active'), stalled.id ?? '');
    await stack.redis.sadd(laneKey('stalled'), stalled.id ?? '');
    await stack.redis.set(laneKey('late'), 'x');
    await stack.redis.zadd(laneKey('delayed'), Date.now() * 0x1000, 'late');
    await stack.startWorker();
    assert.equal((await stack.result(stalled)).outcome, 'cancelled');
    await nothingIsLeft();
    assert.equal(await stack.redis.zcard(laneKey('delayed')), 0);
    for (const jobId of ['left', 'late']) {
      const value = await stack.redis.hget(laneKey(jobId), 'returnvalue');
      assert.match(value ?? '', /"outcome":"invalid","errorMessage":"the job is not a hash/, jobId);
    }
    assert.deepEqual(loud(), []);
  });

  it('does not touch what another worker holds', async () => {
    const job = await held();
    await stack.redis.set(laneKey(`${job.id}:lock`), 'another worker', 'PX', 60_000);
    await stack.redis.hset(laneKey(job.id ?? ''), { data: '{', ats: 'x' });
    await stack.redis.lpush(laneKey('active'), job.id ?? '');
    await stack.startWorker();
    const bad = await waiting(hashOf({ ...GOOD, data: '{' }));
    const text = await waiting(write((key, { redis }) => redis.set(key, 'x')));
    await stack.result(bad);
    await stack.result(text);
    assert.equal(await stack.redis.hget(laneKey(job.id ?? ''), 'data'), '{');
    assert.deepEqual(await stack.redis.lrange(laneKey('active'), 0, -1), [job.id]);
  });
});
