import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Queue } from 'bullmq';
import { viewBudget } from '../../src/budget/view.ts';
import { JOB_NAME } from '../../src/keys.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { ROOT } from '../support/processes.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { makeCredential } from './rotation-credential.ts';
import { type Field, openField } from './support.ts';

const MINUTE_MS = 60_000;
const LIMITS = '12/1s,40/3s';
const IDS = 80;

/** The settings of a worker on a machine whose clock is so far off. */
function off(minutes: number): Record<string, string> {
  const preload = join(ROOT, 'test/end-to-end/clock-shift.ts');
  return { NODE_OPTIONS: `--import ${preload}`, CLOCK_SHIFT_MS: String(minutes * MINUTE_MS) };
}

describe("a machine's clock is wrong", { concurrency: 2 }, () => {
  let server: TestRedis;
  const folder = join(TEST_DIR, 'clock', newLabel());

  before(async () => {
    server = await openTestRedis();
    await mkdir(folder, { recursive: true });
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await server.close();
  });

  async function assertWithinLimits({ simulator }: Field): Promise<void> {
    assert.equal((await simulator.refusals()).length, 0);
    for (const { max, windowMs } of quotas(LIMITS))
      assert.ok((await simulator.peak('cancel', windowMs)) <= max);
  }

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
        assert.deepEqual([outcome, attempts], ['cancelled', failing.includes(machineActionId) ? 2 : 1]);
      }
      await assertWithinLimits(field);
    } finally {
      await queue.close();
      await field.close();
    }
  });

  async function openSigned(): Promise<Field> {
    const credential = await makeCredential();
    const path = join(folder, `${newLabel()}.pem`);
    await writeFile(path, credential.pem, { mode: 0o600 });
    return openField(server, {
      limits: LIMITS,
      ids: IDS,
      simulator: { clientCertificate: credential.certificate },
      env: { AZURE_CLIENT_SECRET: '', AZURE_CLIENT_CERTIFICATE_PATH: path },
    });
  }

  for (const [minutes, how] of [
    [10, '10 min ahead of'],
    [-20, '20 min behind'],
  ] as const) {
    it(`${how} the sign-in service's, and signs with a certificate: it is held, says why, and goes on`, async (t) => {
      const field = await openSigned();
      const { simulator, tenant, redis } = field;
      try {
        const worker = field.startWorker(off(minutes));
        await eventually(async () => {
          const tries = (await simulator.calls()).filter(({ operation }) => operation === 'token');
          assert.ok(tries.length >= 3, worker.stderr);
          const [hold] = (await viewBudget(redis, tenant.keys, tenant.config.limits)).holds;
          assert.equal(hold?.reason, 'sign-in');
          assert.match(hold.detail, /AADSTS700024.*not within its valid time range/);
          assert.match(
            hold.detail,
            new RegExp(`this machine's clock is ${how} the sign-in service's: set it right`),
          );
          assert.ok(
            Math.abs((hold.until ?? 0) - Date.now()) < MINUTE_MS,
            'until when is told by the right clock',
          );
        });
        assert.match(worker.stderr, new RegExp(how));
        assert.equal((await field.campaign()).open, IDS);
        worker.kill('SIGUSR2');
        const rightAt = Date.now();
        await eventually(async () => assert.ok((await field.campaign()).open < IDS), 62_000);
        t.diagnostic(`goes on ${Date.now() - rightAt} ms after the clock was set right`);
        await field.untilDone();
        for (const { outcome, attempts } of (await field.assertComplete()).values()) {
          assert.deepEqual([outcome, attempts], ['cancelled', 1]);
        }
        await assertWithinLimits(field);
      } finally {
        await field.close();
      }
    });
  }
});
