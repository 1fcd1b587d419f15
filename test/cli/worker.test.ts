import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TIMINGS } from '../../src/config/timings.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { CAMPAIGN, CONCURRENCY, itExitsAtOnce, itStops, useWorkers } from './worker-scene.ts';

describe('a worker process', () => {
  const scene = useWorkers();
  const { startWorker, startWorkerHere, submit, cancels } = scene;

  itStops(scene, 'SIGTERM', 'SIGINT');

  itExitsAtOnce(scene, 'SIGTERM', 'SIGINT', 130);

  it('of a Redis that might evict says so once, in its log', async (t) => {
    const args = ['--appendonly', 'yes', '--maxmemory-policy', 'allkeys-lru'];
    const { url, admin } = await startRedis(t, { folder: testFolder(t), args });
    const worker = startWorker({ REDIS_URL: url });
    // Those of the lanes that wait.
    await eventually(async () =>
      assert.ok((String(await admin.client('LIST')).match(/cmd=bzpopmin/g) ?? []).length >= 3),
    );
    worker.kill('SIGTERM');
    assert.equal(await worker.exited, 0);
    const lines = worker.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(lines.filter(({ msg }) => /evict/i.test(msg)).length, 1, worker.stderr);
  });

  it('that is refused a token says why, and does not ask again and again', async () => {
    await submit(CONCURRENCY);
    // Precheck as by default: it wants a token before any job does.
    startWorkerHere({ AZURE_CLIENT_SECRET: 'not-the-secret', PRECHECK: 'auto' });
    const { hold } = await eventually(async () => {
      const status = await campaignStatus(scene.shell.tenant, CAMPAIGN);
      assert.equal(status.hold?.reason, 'sign-in');
      return status;
    });
    assert.match(hold?.detail ?? '', /AADSTS7000215/);
    const asked = (await scene.calls()).filter((call) => call.operation === 'token');
    assert.ok(asked.length <= 10, `${asked.length} requests for a token`);
  });

  // BullMQ's close wakes only a lane that sleeps already: one that is about to sleep does so for 30 s.
  it('that waits for a window ends at once', async () => {
    await submit(CONCURRENCY);
    // The time for a stop as in production: half of what BullMQ would sleep.
    const worker = startWorker({ RATE_LIMITS: '2/1h' }, withTimings({ stopGraceMs: TIMINGS.stopGraceMs }));
    await eventually(async () => {
      const calls = await cancels();
      assert.equal(calls.filter((call) => call.answeredAtMs !== null).length, 2);
      const { redis, keys } = scene.shell.tenant;
      assert.ok((await redis.pttl(keys.lane('cancel-campaign', 'limiter'))) > 60_000, 'the lane is held');
    });
    worker.kill('SIGTERM');
    assert.equal(await worker.exited, 0);
    // One that slept would be left behind when the time for a stop is over.
    assert.match(worker.stderr, /worker stopped"/);
    assert.equal((await cancels()).length, 2);
  });
});
