import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { LaneWorker } from '../../src/lane/lane-worker.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
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
});
