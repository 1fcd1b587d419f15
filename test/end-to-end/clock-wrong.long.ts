import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Queue } from 'bullmq';
import { makeActions } from '../../src/simulator/index.ts';
import { JOB_NAME } from '../../src/store/keys.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { assertWithinLimits, IDS, LIMITS, MINUTE_MS, off } from './clock-support.ts';
import { openField } from './support.ts';

describe("a machine's clock is wrong", { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(async () => {
    await server.close();
  });

  it('ten minutes ahead on one, behind on another, set right and off again: as if it were right', async () => {
    const startedAt = Date.now();
    const field = await openField(server, {
      limits: LIMITS,
      ids: IDS,
      simulator: { latencyMs: { min: 20, max: 200 }, tokenLifetimeMs: 4_000 },
    });
    const { simulator, tenant, redis } = field;
    const queue = new Queue('cancel', { connection: redis, prefix: tenant.keys.prefix });
    try {
      const failing = field.ids.slice(0, 5);
      const fault = { kind: 'status', status: 503 } as const;
      await simulator.addFault({ operation: 'cancel', ids: failing, times: 1, perId: true, fault });
      const singles = makeActions({ count: 2, seed: 5 });
      await simulator.addActions(singles.actions);
      const [timely = '', late = ''] = singles.ids;
      const add = (data: object) => queue.add(JOB_NAME, { comment: 'one', ...data });
      const jobs = [
        await add({ machineActionId: timely, expiresAt: Date.now() + 2 * MINUTE_MS }),
        await add({ machineActionId: late, expiresAt: Date.now() - MINUTE_MS }),
        await add({ machineActionId: 'none' }),
      ];
      const workers = [field.startWorker(off(10)), field.startWorker(off(-10))];
      for (const share of [0.3, 0.6]) {
        await eventually(async () => assert.ok((await field.campaign()).open < (1 - share) * IDS));
        for (const worker of workers) worker.kill('SIGUSR2');
      }
      await field.untilDone();
      const lines = [...(await field.assertComplete()).values()];
      const results = await eventually(async () => {
        const found = await Promise.all(jobs.map(({ id }) => queue.getJob(id ?? '')));
        for (const job of found) assert.ok(job?.returnvalue);
        return found.map((job) => job?.returnvalue);
      });
      assert.deepEqual(
        results.map(({ outcome }) => outcome),
        ['cancelled', 'expired', 'invalid'],
      );
      for (const { machineActionId, decidedAt } of [...lines, ...results]) {
        const at = Date.parse(decidedAt ?? '');
        assert.ok(at >= startedAt - 1_000 && at <= Date.now() + 1_000, `${machineActionId} at ${decidedAt}`);
      }
      for (const { machineActionId, outcome, attempts } of lines) {
        assert.equal(outcome, 'cancelled');
        // A failed call is charged only if one that was sent after it succeeded first.
        assert.ok(
          attempts === 1 || (attempts === 2 && failing.includes(machineActionId)),
          `${attempts} attempts`,
        );
      }
      await assertWithinLimits(field);
    } finally {
      await queue.close();
      await field.close();
    }
  });
});
