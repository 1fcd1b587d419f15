import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { createTenant } from '../../src/app/tenant.ts';
import { guidsToBytes } from '../../src/base/guid.ts';
import { readConfig } from '../../src/config/config.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { peakOf } from '../../src/simulator/summary.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { plainServer } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { openEstate } from './support.ts';

export interface Many {
  seconds: number;
  /** The worker's, in MiB: before there was anything to do, and at most. */
  idleMiB: number;
  mostMiB: number;
  /** Of the worker to Redis, for each tenant. */
  connections: number;
  refused: number;
  /** The worst of all tenants: calls in a window over its limit, 1: just used up. */
  fullest: number;
}

/** One worker for so many tenants with so many requests each; checks each one's limits by the simulator's record. */
export async function drainMany(
  t: TestContext,
  count: number,
  requests: number,
  limits: string,
): Promise<Many> {
  const estate = await openEstate(t, count, limits, { latencyMs: { min: 5, max: 50 }, apart: true });
  const { labels, entry, simulator } = estate;
  await estate.write(labels.map((_, index) => entry(index)));
  const server = plainServer({ url: estate.redis.url });
  const redis = await server.connect('worker');
  t.after(() => server.close());
  const tenants = labels.map((label) =>
    createTenant(readConfig({ RATE_LIMITS: limits, URGENT_RESERVE: 'none', STANDDOWN_TENANT: label }), redis),
  );
  const worker = estate.startWorkerProcess({ LOG_LEVEL: 'warn', HEALTH_PORT: '0' });
  await eventually(async () => {
    const alive = await Promise.all(tenants.map(({ keys }) => redis.hlen(keys.workers)));
    assert.equal(alive.filter((isAlive) => isAlive === 1).length, count, worker.stderr);
  });
  const idleMiB = await memoryOf(worker.pid, 'VmRSS');
  const started = performance.now();
  for (const [index, tenant] of tenants.entries()) {
    const { actions, ids } = makeActions({ count: requests, seed: index + 1 });
    await simulator.addActions(actions);
    const parts = (async function* () {
      yield guidsToBytes(ids);
    })();
    await submitCampaign(tenant, { name: 'undo', comment: 'x', now: Date.now() }, parts);
  }
  await eventually(async () => {
    const open = await Promise.all(
      tenants.map(async (tenant) => (await findCampaign(redis, tenant.keys, 'undo')).open),
    );
    assert.equal(
      open.reduce((sum, its) => sum + its, 0),
      0,
      worker.stderr.slice(-2_000),
    );
  }, 600_000);
  const seconds = (performance.now() - started) / 1_000;
  const calls = (await simulator.calls()).filter(({ operation }) => operation === 'cancel');
  const byTenant = Map.groupBy(calls, ({ tenantId }) => tenantId);
  assert.equal(byTenant.size, count);
  let fullest = 0;
  for (const its of byTenant.values()) {
    assert.ok(its.length >= requests);
    for (const { max, windowMs } of quotas(limits))
      fullest = Math.max(fullest, peakOf(its, 'cancel', windowMs) / max);
  }
  const refused = calls.filter(({ verdict }) => verdict === 'refused').length;
  // Those that BullMQ makes of the lanes' are called after their queues.
  const clients = String(await redis.client('LIST'));
  const connections = (clients.match(/name=(standdown-|\{standdown:)/g)?.length ?? 0) / count;
  const mostMiB = await memoryOf(worker.pid, 'VmHWM');
  worker.kill('SIGTERM');
  assert.equal(await worker.exited, 0, worker.stderr.slice(-2_000));
  return { seconds, idleMiB, mostMiB, connections, refused, fullest };
}

/** From /proc, in MiB. */
async function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
}
