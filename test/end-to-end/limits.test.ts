import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { openField } from './support.ts';

/** Both windows are filled several times. */
const LIMITS = '20/500ms,60/2500ms';
const IDS = 150;
const WORKERS = 4;

describe('four workers in processes of their own, over real HTTP', { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  for (const mode of ['sliding', 'fixed', 'token-bucket'] as const) {
    it(`never exceed a window of a server that counts by ${mode}`, async (t) => {
      const field = await openField(server, {
        limits: LIMITS,
        ids: IDS,
        simulator: { latencyMs: { min: 2, max: 120 }, limits: { mode } },
        env: { CONCURRENCY: '5' },
      });
      try {
        const workers = Array.from({ length: WORKERS }, () => field.startWorker());
        const { outcomes } = await field.untilDone();
        assert.deepEqual(outcomes, { cancelled: IDS });
        await field.assertComplete();
        const refused = await field.simulator.refusals();
        assert.equal(refused.length, 0, `${refused.length} calls were refused`);
        for (const { max, windowMs } of quotas(LIMITS)) {
          const peak = await field.simulator.peak('cancel', windowMs);
          assert.ok(peak <= max, `${peak} calls within ${windowMs} ms`);
          t.diagnostic(`at most ${peak} of ${max} calls within ${windowMs} ms`);
        }
        const calls = (await field.simulator.calls()).filter(({ operation }) => operation === 'cancel');
        assert.equal(calls.length, IDS, 'each id was called once');
        for (const worker of workers) assert.equal(worker.stderr, '', 'nothing to warn of');
      } finally {
        await field.close();
      }
    });
  }
});
