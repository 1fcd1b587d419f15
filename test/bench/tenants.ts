import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { keysFor } from '../../src/store/keys.ts';
import { startCli } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { newLabel, skipGrace } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { type AtRest, peakRssMiB, watchAtRest } from './measure.ts';
import { emptyRedis } from './submit.ts';

export interface Idle extends AtRest {
  /** The worker's largest resident set, in MiB. */
  peakMiB: number;
  /** To Redis. */
  connections: number;
}

const SETTLE_MS = 5_000;
const MEASURED_MS = 15_000;

/** A worker for so many tenants that have nothing to do. */
export async function idleTenants(count: number): Promise<Idle> {
  const redis = await emptyRedis();
  const labels = Array.from({ length: count }, () => newLabel());
  const file = join(TEST_DIR, `tenants-${newLabel()}.json`);
  const client = await redis.connect('worker');
  for (const label of labels) await skipGrace(client, keysFor(label));
  const tenants = labels.map((label) => ({ STANDDOWN_TENANT: label, AZURE_TENANT_ID: `${label}.example` }));
  await writeFile(file, JSON.stringify(tenants));
  // They sign in when they start.
  const [tenantId = '', ...otherTenantIds] = tenants.map((tenant) => tenant.AZURE_TENANT_ID);
  const simulator = await startSimulatorProcess('100/1m,1500/1h', { tenantId, otherTenantIds });
  const { AZURE_TENANT_ID: _, STANDDOWN_TENANT: __, ...shared } = simulator.settings;
  const worker = startCli(['worker'], {
    env: {
      ...shared,
      TENANTS_FILE: file,
      REDIS_URL: redis.url,
      STANDDOWN_DATA_DIR: TEST_DIR,
      LOG_LEVEL: 'warn',
    },
  });
  try {
    await eventually(async () => {
      const alive = await Promise.all(labels.map((label) => client.hexists(keysFor(label).state, 'alive')));
      assert.equal(alive.filter((isAlive) => isAlive === 1).length, count, worker.stderr);
    }, 60_000);
    await delay(SETTLE_MS);
    const atRest = await watchAtRest(worker, client, MEASURED_MS);
    const clients = String(await client.client('LIST'));
    return {
      peakMiB: await peakRssMiB(worker.pid),
      ...atRest,
      connections: clients.match(/name=(standdown-|\{standdown:)/g)?.length ?? 0,
    };
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
    await simulator.stop();
    await rm(file, { force: true });
    await redis.close();
  }
}
