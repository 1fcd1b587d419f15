import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Queue, Worker } from 'bullmq';
import { silentLog } from '../../src/base/log.ts';
import { type Keys, keysFor } from '../../src/store/keys.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { createJanitor } from '../../src/worker/janitor.ts';
import { LaneWorker } from '../../src/worker/lane-worker.ts';
import { temporaryFolder } from '../files/in/reading.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { openTestRedis, plainServer, type TestRedis } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

describe('a lane’s worker', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('tells when its loop has ended with an error, also one that began again after a pause', async () => {
    const worker = new LaneWorker(newLabel(), async () => undefined, {
      connection: await server.connect('worker'),
      autorun: false,
    });
    const told: unknown[] = [];
    worker.onBroken = (error) => told.push(error);
    try {
      const running = worker.run();
      await worker.waitUntilReady();
      await worker.pause(true);
      await running;
      assert.deepEqual(told, [], 'a pause is no end');
      const failure = new Error('the loop is broken');
      Reflect.set(worker, 'mainLoop', () => Promise.reject(failure));
      await worker.resume();
      await eventually(() => assert.deepEqual(told, [failure]));
    } finally {
      await worker.close();
    }
  });

  it('never fails a job that is decided while Redis takes nothing', async (t) => {
    await using folder = await temporaryFolder();
    const own = plainServer(await startRedis(t, { folder: folder.path }));
    const redis = await own.connect('worker');
    const keys = keysFor(newLabel());
    const entered = Promise.withResolvers<void>();
    const decide = Promise.withResolvers<void>();
    let runs = 0;
    const worker = new LaneWorker(
      'cancel',
      async () => {
        runs++;
        entered.resolve();
        await decide.promise;
        return 'decided';
      },
      {
        connection: redis,
        prefix: keys.prefix,
        autorun: false,
        lockDuration: 500,
        stalledInterval: 500,
      },
    );
    worker.janitor = janitorOf(worker, redis, keys);
    const errors: Error[] = [];
    worker.on('error', (error) => errors.push(error));
    const queue = new Queue('cancel', { connection: redis, prefix: keys.prefix });
    try {
      const job = await queue.add('cancel', {});
      void worker.run();
      await entered.promise;
      await redis.config('SET', 'min-replicas-to-write', '1');
      decide.resolve();
      await eventually(() => assert.ok(errors.some(({ message }) => message.startsWith('NOREPLICAS'))));
      await redis.config('SET', 'min-replicas-to-write', '0');
      await eventually(async () => assert.notEqual(await job.getState(), 'active'));
      await eventually(async () => assert.equal(await job.getState(), 'completed'));
      assert.ok(runs >= 1);
      assert.equal(await redis.zcard(keys.lane('cancel', 'failed')), 0);
    } finally {
      await worker.close();
      await queue.close();
      await own.close();
    }
  });

  it('takes up a dead worker’s job although Redis’ clock was set back', async () => {
    const redis = await server.connect('worker');
    const keys = keysFor(newLabel());
    const key = (suffix: string) => keys.lane('cancel', suffix);
    const done = Promise.withResolvers<string | undefined>();
    const options = { connection: redis, prefix: keys.prefix, autorun: false };
    const locks = { lockDuration: 500, stalledInterval: 500 };
    const dead = new Worker('cancel', null, { ...options, ...locks });
    const worker = new LaneWorker('cancel', async ({ id }) => done.resolve(id), { ...options, ...locks });
    worker.janitor = janitorOf(worker, redis, keys);
    const queue = new Queue('cancel', options);
    try {
      const { id } = await queue.add('cancel', {});
      assert.equal((await dead.getNextJob('dead'))?.id, id);
      // What ends by that clock ends later by as much as it goes back.
      assert.equal(await redis.pexpire(key(`${id}:lock`), 600_000), 1);
      await redis.set(key('stalled-check'), '1', 'PX', 600_000);
      void worker.run();
      assert.equal(await done.promise, id);
    } finally {
      await worker.close();
      await dead.close();
      await queue.close();
    }
  });
});

function janitorOf(worker: { id: string }, redis: RedisClient, keys: Keys) {
  return createJanitor({
    redis,
    keys,
    lane: 'cancel',
    owner: worker.id,
    lockMs: 500,
    max: 100,
    kept: 100,
    resultOf: null,
    wall: Date.now,
    log: silentLog,
  });
}
