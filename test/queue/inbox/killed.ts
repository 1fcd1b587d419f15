import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Timings } from '../../../src/config/timings.ts';
import { makeActions } from '../../../src/simulator/index.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { reportCampaign } from '../../../src/store/campaign/report.ts';
import { recount } from '../../support/ledger.ts';
import { type Process, startCli } from '../../support/processes.ts';
import type { TestRedis } from '../../support/redis.ts';
import { startSimulatorProcess } from '../../support/simulator.ts';
import { FREE_LIMITS } from '../../support/stack.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';
import { addFromPython, findPython, NO_PYTHON } from './clients.ts';
import { readStream } from './support.ts';

export interface KilledOptions {
  entries: number;
  kills: number;
  withinMs: number;
  timings: Timings;
}

/** Of ten entries six are for a campaign, one is urgent. */
function fieldsOf(machineActionId: string, i: number): Record<string, string> {
  const fields = { machineActionId, comment: 'x', requestedBy: 'python' };
  if (i % 10 < 6) return { ...fields, campaign: i % 2 === 0 ? 'even' : 'odd' };
  return i % 10 === 9 ? { ...fields, priority: 'urgent' } : fields;
}

/** Python adds entries; workers are killed in the middle of them; nothing is lost, and nothing happens twice. */
export async function drainThroughKills(
  t: TestContext,
  server: TestRedis,
  { entries, kills, withinMs, timings }: KilledOptions,
): Promise<void> {
  const python = await findPython();
  if (python === null) return t.skip(NO_PYTHON);
  const made = makeActions({ count: entries, seed: entries });
  const simulator = await startSimulatorProcess(FREE_LIMITS);
  await simulator.addActions(made.actions);
  const redis = await server.connect();
  const env = { RATE_LIMITS: FREE_LIMITS, URGENT_RESERVE: 'none', CONCURRENCY: '20' };
  const tenant = await newTenant(redis, env);
  const { keys } = tenant;
  const workers: Process[] = [];
  const startWorker = () => {
    const worker = startCli(['worker'], {
      timings,
      env: {
        ...simulator.settings,
        ...env,
        REDIS_URL: server.url,
        STANDDOWN_TENANT: tenant.label,
        PRECHECK: 'off',
        LOG_LEVEL: 'warn',
        CALL_TIMEOUT: '2s',
      },
    });
    workers.push(worker);
    return worker;
  };
  const decided = async () => Number(await redis.call('XLEN', keys.outcomes));
  try {
    const wanted = made.ids.map(fieldsOf);
    const added = await addFromPython(python, { url: server.url, inbox: keys.inbox }, wanted);
    assert.deepEqual([added.code, added.stdout], [0, `${entries}\n`], added.stderr);
    // What a worker held that died before it did anything with it.
    await redis.call('XGROUP', 'CREATE', keys.inbox, 'workers', '0');
    const group = ['GROUP', 'workers', 'worker', 'COUNT', '300', 'STREAMS', keys.inbox, '>'];
    await redis.call('XREADGROUP', ...group);
    const began = performance.now();
    for (let kill = 1; kill <= kills; kill++) {
      const pair = [startWorker(), startWorker()];
      const enough = (entries * kill) / (kills + 2);
      await eventually(async () => assert.ok((await decided()) >= enough, pair[0]?.stderr), withinMs);
      for (const worker of pair) worker.kill('SIGKILL');
      await Promise.all(pair.map((worker) => worker.exited));
    }
    const killedAt = performance.now();
    const last = startWorker();
    await eventually(async () => assert.equal(await redis.xlen(keys.inbox), 0, last.stderr), withinMs);
    const takenAfterMs = performance.now() - killedAt;
    await eventually(async () => assert.equal(await openIn(tenant), 0, last.stderr), withinMs);
    const drainedMs = performance.now() - began;
    await assertSettled(tenant, made.ids, await simulator.calls());
    t.diagnostic(
      `${entries} entries, ${2 * kills} workers killed: inbox empty ${(takenAfterMs / 1_000).toFixed(1)} s after the last kill, all decided after ${(drainedMs / 1_000).toFixed(1)} s`,
    );
    last.kill('SIGTERM');
    assert.equal(await last.exited, 0, last.stderr);
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
    await Promise.all(workers.map((worker) => worker.exited));
    await simulator.stop();
  }
}

async function names({ redis, keys }: TestTenant): Promise<string[]> {
  return redis.hkeys(keys.campaigns);
}

async function openIn(tenant: TestTenant): Promise<number> {
  const { redis, keys } = tenant;
  const lanes = ['wait', 'active', 'delayed'].flatMap((name) =>
    (['cancel', 'cancel-urgent'] as const).map((lane) => keys.lane(lane, name)),
  );
  let open = 0;
  for (const name of await names(tenant)) open += (await findCampaign(redis, keys, name)).open;
  for (const key of lanes) {
    open += key.endsWith('delayed') ? await redis.zcard(key) : await redis.llen(key);
  }
  return open;
}

/** By the simulator's own record, by what was told, by the ledger, and by what is left. */
async function assertSettled(
  tenant: TestTenant,
  ids: readonly string[],
  calls: readonly { operation: string | null; id: string | null }[],
): Promise<void> {
  const { redis, keys } = tenant;
  const called = new Map<string, number>();
  for (const { operation, id } of calls) {
    if (operation === 'cancel' && id !== null) called.set(id, (called.get(id) ?? 0) + 1);
  }
  const told = new Map<string, string>();
  for (const { machineActionId = '', outcome = '' } of await readStream(tenant, keys.outcomes)) {
    assert.ok(!told.has(machineActionId), `${machineActionId} was told twice`);
    told.set(machineActionId, outcome);
  }
  assert.equal(told.size, ids.length);
  let reported = 0;
  for (const name of await names(tenant)) {
    const campaign = await findCampaign(redis, keys, name);
    await recount(tenant, campaign.number);
    for await (const line of reportCampaign(tenant, campaign)) {
      reported++;
      assert.equal(told.get(line.machineActionId), line.outcome);
      const times = called.get(line.machineActionId) ?? 0;
      assert.ok(times >= 1, `${line.machineActionId} was not called`);
      // A call of a worker that was killed is made again, and that is said.
      if (times > 1) assert.ok(line.uncertain, `${line.machineActionId} was called ${times} times`);
    }
  }
  assert.equal(reported, ids.length);
  const pending = (await redis.call('XPENDING', keys.inbox, 'workers')) as [number];
  assert.deepEqual([await redis.xlen(keys.inbox), pending[0]], [0, 0]);
  assert.equal(await redis.exists(keys.rejected), 0);
  const sample = ids.filter((_, i) => i % Math.ceil(ids.length / 500) === 0);
  for (const id of sample) {
    assert.equal(JSON.parse((await redis.get(keys.outcome(id))) ?? 'null')?.outcome, told.get(id));
  }
}
