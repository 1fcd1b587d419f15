import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Call } from '../../src/simulator/calls.ts';
import { createLimiter } from '../../src/simulator/limiter.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { openField } from './support.ts';

/** Both windows are filled several times. */
const LIMITS = '10/1s,30/5s';
const IDS = 75;
const WORKERS = 4;

describe('four workers in processes of their own, over real HTTP', () => {
  let server: TestRedis;
  /** The cancels, by arrival, as a server saw them that counts by sliding windows: the strictest way. */
  let calls: Call[] = [];

  before(async () => {
    server = await openTestRedis();
    const field = await openField(server, {
      limits: LIMITS,
      ids: IDS,
      simulator: { latencyMs: { min: 2, max: 120 }, limits: { mode: 'sliding' } },
      env: { CONCURRENCY: '5' },
    });
    try {
      const workers = Array.from({ length: WORKERS }, () => field.startWorker());
      const { outcomes } = await field.untilDone(120_000);
      assert.deepEqual(outcomes, { cancelled: IDS });
      await field.assertComplete();
      calls = (await field.simulator.calls()).filter(({ operation }) => operation === 'cancel');
      for (const worker of workers) assert.equal(worker.stderr, '', 'nothing to warn of');
    } finally {
      await field.close();
    }
  });
  after(() => server.close());

  for (const mode of ['sliding', 'fixed', 'token-bucket'] as const) {
    it(`never exceed a window of a server that counts by ${mode}`, () => {
      assert.equal(calls.length, IDS, 'each id was called once');
      // Wherever its windows are aligned.
      for (const offsetMs of mode === 'fixed' ? [0, 137, 500, 861] : [0]) {
        const limiter = createLimiter({ mode, quotas: quotas(LIMITS), offsetMs, refusedCallsCount: true });
        const refused = calls.filter(({ arrivedAtMs }) => !limiter.judge(arrivedAtMs).allowed);
        assert.deepEqual(refused, []);
      }
      const served = new Set(calls.map(({ verdict }) => verdict));
      assert.deepEqual([...served], ['served'], 'the server itself refused none');
    });
  }
});
