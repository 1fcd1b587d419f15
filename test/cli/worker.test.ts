import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { campaignStatus } from '../../src/campaign/status.ts';
import { TIMINGS } from '../../src/timings.ts';
import { withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { CAMPAIGN, CONCURRENCY, itStops, useWorkers } from './worker-scene.ts';

describe('a worker process', () => {
  const scene = useWorkers();
  const { startWorker, startWorkerHere, submit, cancels, inFlight, logOf } = scene;

  itStops(scene, 'SIGTERM', 'SIGINT');

  for (const [first, second, code] of [
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
  ] as const) {
    it(`${first}, then ${second} while a call hangs: exits at once with ${code}`, async () => {
      await scene.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'hang' } }]);
      await submit(CONCURRENCY);
      const worker = startWorker();
      await inFlight();
      worker.kill(first);
      await eventually(() => assert.match(worker.stderr, /worker stops/));
      worker.kill(second);
      assert.equal(await worker.exited, code);
      assert.doesNotMatch(worker.stderr, /worker stopped/, 'it waits for nothing');
      logOf(worker);
    });
  }

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
