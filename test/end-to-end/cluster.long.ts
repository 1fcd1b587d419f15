import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Redis } from 'ioredis';
import { createTenant } from '../../src/app/tenant.ts';
import { guidsToBytes } from '../../src/base/guid.ts';
import { readConfig } from '../../src/config/config.ts';
import type { Call } from '../../src/simulator/calls.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { peakOf } from '../../src/simulator/summary.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { type Keys, keysFor } from '../../src/store/keys.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { atEnd, testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { recount } from '../support/ledger.ts';
import { type Process, startCli } from '../support/processes.ts';
import { plainServer } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { quotas } from '../support/stack.ts';
import { newLabel, skipGrace, type TestTenant } from '../support/tenant.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

/** Of each tenant; the requests take two of the longer windows. */
const LIMITS = '5/1s,15/4s';
const REQUESTS = 23;
const PER_MASTER = 2;
const RANGES = ['0-5460', '5461-10922', '10923-16383'].map((text) => text.split('-').map(Number));
const MASTERS = RANGES.length;
const CAMPAIGN = 'undo';

/** Three masters without replicas, in the order of RANGES. */
async function openMasters(t: TestContext): Promise<{ admins: Redis[]; url: string }> {
  const args = ['--appendonly', 'yes', '--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
  const folder = testFolder(t);
  const nodes = await Promise.all(RANGES.map(() => startRedis(t, { folder, args })));
  for (const [index, { admin }] of nodes.entries()) {
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', ...(RANGES[index] ?? []).map(String));
    // Two nodes with the same epoch would first have to settle which is the newer.
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  for (const { port } of nodes) await nodes[0]?.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(port));
  for (const { admin } of nodes)
    await eventually(async () => {
      const info = String(await admin.call('CLUSTER', 'INFO'));
      assert.match(info, /cluster_state:ok[\s\S]*cluster_known_nodes:3/);
    });
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return { admins: nodes.map(({ admin }) => admin), url: `redis-cluster://${hosts}` };
}

const slotOf = async (admin: Redis, key: string) => Number(await admin.call('CLUSTER', 'KEYSLOT', key));

/** Labels whose slots are spread evenly, with the master that each one's data belong to. */
async function spreadLabels(admin: Redis): Promise<{ label: string; master: number }[]> {
  const found: { label: string; master: number }[] = [];
  while (found.length < MASTERS * PER_MASTER) {
    const label = newLabel();
    const slot = await slotOf(admin, keysFor(label).state);
    const master = RANGES.findIndex(([from = 0, to = 0]) => from <= slot && slot <= to);
    if (found.filter((other) => other.master === master).length < PER_MASTER) found.push({ label, master });
  }
  return found.sort((a, b) => a.master - b.master);
}

/** Every key that is written on a node from now on, however short it lives. */
async function watchKeys(t: TestContext, admin: Redis): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  await admin.config('SET', 'notify-keyspace-events', 'EA');
  const listener = admin.duplicate();
  atEnd(t, async () => listener.disconnect());
  listener.on('pmessage', (_pattern, _event, key: string) => keys.add(key));
  await listener.psubscribe('__keyevent@0__:*');
  return keys;
}

/**
 * Every key there was belongs to a tenant, and lies in its one slot, and so on its one master.
 *
 * @returns how many each has.
 */
async function assertPlaced(
  admin: Redis,
  written: readonly ReadonlySet<string>[],
  places: readonly { keys: Keys; master: number }[],
) {
  const counts = places.map(() => 0);
  for (const [master, keys] of written.entries()) {
    for (const key of keys) {
      const index = places.findIndex((place) => key.startsWith(`${place.keys.prefix}:`));
      const place = places[index];
      assert(place, `${key} is nobody's`);
      assert.equal(place.master, master, `${key} is elsewhere`);
      assert.equal(await slotOf(admin, key), await slotOf(admin, place.keys.prefix), key);
      counts[index] = (counts[index] ?? 0) + 1;
    }
  }
  return counts;
}

async function submit(tenant: TestTenant, ids: readonly string[]): Promise<void> {
  const parts = (async function* () {
    yield guidsToBytes(ids);
  })();
  await submitCampaign(tenant, { name: CAMPAIGN, comment: 'test', now: Date.now() }, parts);
}

/** Which tenants' requests a worker decided, by its log. */
function decidedBy(worker: Process): Map<string, number> {
  const lines = worker.stderr.split('\n').filter((line) => line.startsWith('{'));
  const said = lines.map((line) => JSON.parse(line) as { msg: string; tenant?: string });
  const decided = said.filter(({ msg }) => msg === 'action finished');
  return new Map(
    [...Map.groupBy(decided, ({ tenant = '' }) => tenant)].map(([tenant, its]) => [tenant, its.length]),
  );
}

interface Place extends TestTenant {
  tenantId: string;
  master: number;
}

/** Each one's campaign, submitted. */
async function openTenants(
  redis: RedisClient,
  spread: readonly { label: string; master: number; tenantId: string }[],
  simulator: SimulatorProcess,
): Promise<Place[]> {
  const places: Place[] = [];
  for (const [index, place] of spread.entries()) {
    const { label } = place;
    const config = readConfig({ STANDDOWN_TENANT: label, RATE_LIMITS: LIMITS, URGENT_RESERVE: 'none' });
    await skipGrace(redis, keysFor(label));
    const tenant = { ...place, config, ...createTenant(config, redis) };
    const { actions, ids } = makeActions({ count: REQUESTS, seed: index + 1 });
    await simulator.addActions(actions);
    await submit(tenant, ids);
    places.push(tenant);
  }
  return places;
}

/** Of each master's tenants a worker leaves some to the others. */
const worksFor = (worker: number, index: number) => index % MASTERS !== worker;

/** Each works for four of the six, on all masters, so that each tenant has two of them. */
async function startWorkers(
  places: readonly Place[],
  settings: Readonly<Record<string, string>>,
  folder: string,
): Promise<Process[]> {
  const workers: Process[] = [];
  for (let worker = 0; worker < MASTERS; worker++) {
    const file = join(folder, `${worker}.json`);
    const entries = places.map(({ label, tenantId }) => ({
      STANDDOWN_TENANT: label,
      AZURE_TENANT_ID: tenantId,
    }));
    await writeFile(file, JSON.stringify(entries.filter((_entry, index) => worksFor(worker, index))));
    const env = { TENANTS_FILE: file, STANDDOWN_DATA_DIR: folder, CONCURRENCY: '2', URGENT_RESERVE: 'none' };
    workers.push(startCli(['worker'], { env: { ...settings, ...env, PRECHECK: 'off' }, timings: SHORT }));
  }
  return workers;
}

function assertWithinLimits(calls: readonly Call[], places: readonly Place[]): void {
  assert.deepEqual(
    calls.filter(({ verdict }) => verdict !== 'served'),
    [],
  );
  for (const { label, tenantId } of places) {
    const its = calls.filter((call) => call.tenantId === tenantId);
    assert.equal(its.length, REQUESTS);
    for (const { max, windowMs } of quotas(LIMITS)) {
      const peak = peakOf(its, 'cancel', windowMs);
      assert.ok(peak <= max, `${label}: ${peak} calls in ${windowMs} ms`);
    }
  }
}

/** When a tenant's first and its last call came. */
function timesOf(calls: readonly Call[], { tenantId }: Place): [first: number, last: number] {
  const times = calls.filter((call) => call.tenantId === tenantId).map(({ wallMs }) => wallMs);
  return [Math.min(...times), Math.max(...times)];
}

test('many tenants in a cluster of three masters, drained by workers that share them', async (t) => {
  const { admins, url } = await openMasters(t);
  const [admin] = admins as [Redis];
  const written = await Promise.all(admins.map((node) => watchKeys(t, node)));
  const spread = (await spreadLabels(admin)).map((place) => ({ ...place, tenantId: randomUUID() }));
  const [tenantId = '', ...otherTenantIds] = spread.map((place) => place.tenantId);
  const latencyMs = { min: 10, max: 60 };
  const simulator = await startSimulatorProcess(LIMITS, { tenantId, otherTenantIds, latencyMs });
  atEnd(t, () => simulator.stop());
  const server = plainServer({ url });
  atEnd(t, () => server.close());
  const redis = await server.connect('worker');
  const places = await openTenants(redis, spread, simulator);
  const workers = await startWorkers(places, { ...simulator.settings, REDIS_URL: url }, testFolder(t));
  const said = () => workers.map(({ stderr }) => stderr.slice(-1_000)).join('\n');

  for (const place of places) {
    const { outcomes, number } = await eventually(async () => {
      const campaign = await findCampaign(redis, place.keys, CAMPAIGN);
      assert.equal(campaign.open, 0, said());
      return campaign;
    });
    assert.deepEqual(outcomes, { cancelled: REQUESTS });
    await recount(place, number);
  }
  for (const worker of workers) worker.kill('SIGTERM');
  for (const worker of workers) assert.equal(await worker.exited, 0, said());

  const calls = (await simulator.calls()).filter(({ operation }) => operation === 'cancel');
  assertWithinLimits(calls, places);
  const times = places.map((place) => timesOf(calls, place));
  const lastBegun = Math.max(...times.map(([first]) => first));
  const firstDone = Math.min(...times.map(([, last]) => last));
  assert.ok(lastBegun < firstDone, 'one waits until another is done');
  for (const [worker, its] of workers.map(decidedBy).entries())
    for (const [index, { label }] of places.entries())
      assert.equal((its.get(label) ?? 0) > 0, worksFor(worker, index), `worker ${worker}, tenant ${index}`);
  const counts = await assertPlaced(admin, written, places);
  assert.ok(Math.min(...counts) > REQUESTS, `${counts} keys`);
  t.diagnostic(`${counts} keys`);
});
