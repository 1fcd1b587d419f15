import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { viewBudget } from '../../src/store/budget/view.ts';
import { ROOT } from '../support/processes.ts';
import { TEST_DIR, type TestRedis } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { makeCredential } from './rotation-credential.ts';
import { type Field, openField } from './support.ts';

export const MINUTE_MS = 60_000;
export const LIMITS = '12/1s,40/3s';
export const IDS = 80;

/** The settings of a worker on a machine whose clock is so far off. */
export function off(minutes: number): Record<string, string> {
  const preload = join(ROOT, 'test/end-to-end/clock-shift.ts');
  return { NODE_OPTIONS: `--import ${preload}`, CLOCK_SHIFT_MS: String(minutes * MINUTE_MS) };
}

export async function assertWithinLimits({ simulator }: Field): Promise<void> {
  assert.equal((await simulator.refusals()).length, 0);
  for (const { max, windowMs } of quotas(LIMITS))
    assert.ok((await simulator.peak('cancel', windowMs)) <= max);
}

/** A certificate, and a worker whose clock says that it is not valid: it is held, says why, and goes on once it is. */
export async function signWhileOff(
  t: TestContext,
  server: TestRedis,
  minutes: number,
  how: string,
): Promise<void> {
  const folder = join(TEST_DIR, 'clock', newLabel());
  await mkdir(folder, { recursive: true });
  t.after(() => rm(folder, { recursive: true, force: true }));
  const field = await openSigned(server, folder);
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
        new RegExp(`the clock of this machine is ${how} the sign-in service's; correct it`),
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
}

async function openSigned(server: TestRedis, folder: string): Promise<Field> {
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
