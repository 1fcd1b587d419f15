import assert from 'node:assert/strict';
import { Queue } from 'bullmq';
import { createTenant } from '../../src/app/tenant.ts';
import { guidToBytes } from '../../src/base/guid.ts';
import { readConfig } from '../../src/config/config.ts';
import { type FaultRule, makeActions, type SeedAction } from '../../src/simulator/index.ts';
import { findCampaign, type NewCampaign } from '../../src/store/campaign/registry.ts';
import { retryCampaign, steer } from '../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { JOB_NAME, type LaneName } from '../../src/store/keys.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis } from '../support/redis.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { skipGrace } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { dump } from './dump.ts';

/*
 * Records what a version leaves in Redis in mid-work: every state that a request, a job or a campaign can be in. Prints the
 * fixture that `upgrade.long.ts` restores. How to run it, also on an older version, is in `test/fixtures/README.md`.
 *
 * It uses only what has been there since the first version, so that it can be put into the folder of any of them.
 */

const LABEL = 'recorded';
const LIMITS = '1000/1s,100000/1h';
const FAR = Date.UTC(2100, 0, 1);
const BY = { by: 'recorder@here', command: 'record' };

const made = makeActions({ count: 160, seed: 1 });
let given = 0;

/** The next ids, in GUID form. */
function ids(count: number): string[] {
  given += count;
  assert.ok(given <= made.ids.length, 'there are not so many ids');
  return made.ids.slice(given - count, given);
}

const simulator = await startSimulatorProcess(LIMITS, { latencyMs: { min: 2, max: 10 } });
const server = await openTestRedis('recording');
const redis = await server.connect();
await redis.flushall();
const env = { ...simulator.settings, REDIS_URL: server.url, STANDDOWN_TENANT: LABEL };
const config = readConfig({ ...env, URGENT_RESERVE: 'none' });
const tenant = { ...createTenant(config, redis), config, label: LABEL };
const { keys } = tenant;
await skipGrace(redis, keys);
const queues = new Map<LaneName, Queue>();
let worker: Process | null = null;

function startWorker(more: Record<string, string> = {}): Process {
  const settings = { URGENT_RESERVE: 'none', PRECHECK: 'off', LOG_LEVEL: 'warn', CONCURRENCY: '12' };
  worker = startCli(['worker'], { env: { ...env, ...settings, ...more } });
  return worker;
}

async function submit(name: string, wanted: readonly string[], more: Partial<NewCampaign> = {}) {
  const parts = (async function* () {
    yield Buffer.concat(wanted.map(guidToBytes));
  })();
  await submitCampaign(tenant, { name, comment: `of ${name}`, now: Date.now(), ...more }, parts);
}

const find = (name: string) => findCampaign(redis, keys, name);

async function untilOpen(name: string, open: number): Promise<void> {
  await eventually(async () => assert.equal((await find(name)).open, open, name));
}

async function enqueue(lane: LaneName, data: object, options: { delay?: number } = {}) {
  const queue = queues.get(lane) ?? new Queue(lane, { connection: redis, prefix: keys.prefix });
  queues.set(lane, queue);
  return queue.add(JOB_NAME, { v: 1, comment: 'a single one', ...data }, options);
}

/** Actions in the simulator; without them an id is answered with 404. */
async function place(wanted: readonly string[], more: Partial<SeedAction> = {}): Promise<void> {
  await simulator.addActions(wanted.map((id) => ({ id, ...more })));
}

async function spoil(wanted: readonly string[], rule: Omit<FaultRule, 'ids'>): Promise<void> {
  await simulator.addFault({ ids: wanted, ...rule });
}

async function calledAll(wanted: readonly string[]): Promise<void> {
  await eventually(async () => {
    const called = new Set((await simulator.calls()).map(({ id }) => id));
    for (const id of wanted) assert.ok(called.has(id), `${id} was not called`);
  });
}

/** Every outcome, some of them after another attempt, some of the second generation. */
async function recordOutcomes(): Promise<string[]> {
  const first = startWorker({ MAX_ATTEMPTS: '2' });
  const [plain, final, unknown] = [ids(8), ids(3), ids(2)];
  const [refused, gone, failing, lost] = [ids(2), ids(1), ids(2), ids(2)];
  await place([...plain, ...refused, ...gone, ...failing, ...lost]);
  await place(final, { status: 'Succeeded' });
  await spoil(refused, { operation: 'cancel', times: 2, fault: { kind: 'status', status: 403 } });
  await spoil(gone, { operation: 'cancel', fault: { kind: 'status', status: 410 } });
  await spoil(failing, { operation: 'cancel', fault: { kind: 'status', status: 500 } });
  await spoil(lost, { operation: 'cancel', times: 1, perId: true, fault: { kind: 'reset', when: 'after' } });
  await submit('done', [...plain, ...final, ...unknown, ...refused, ...gone, ...failing, ...lost]);
  await untilOpen('done', 0);
  await retryCampaign(tenant, 'done', ['forbidden'], BY);
  await untilOpen('done', 0);
  await simulator.setBehaviour({ cancelled: 'later', laterMs: 3_600_000 });
  const accepted = ids(3);
  await place(accepted);
  await submit('accepted', accepted);
  await untilOpen('accepted', 0);
  await simulator.setBehaviour({ cancelled: 'at-once' });
  first.kill('SIGTERM');
  await first.exited;
  return plain;
}

/** Campaigns that a worker is killed in the middle of. */
async function recordMidway(): Promise<string[]> {
  startWorker();
  const [plain, checked, later, hanging] = [ids(8), ids(3), ids(3), ids(3)];
  await place([...plain, ...later, ...hanging]);
  await place(checked, { status: 'Failed' });
  await spoil(checked, { operation: 'get', fault: { kind: 'status', status: 500 } });
  await spoil(later, { operation: 'cancel', fault: { kind: 'status', status: 503 } });
  await spoil(hanging, { operation: 'cancel', fault: { kind: 'hang', applied: true } });
  await submit('half', [...plain, ...checked, ...later, ...hanging]);

  const paused = ids(4);
  await place(paused);
  await submit('paused', paused);
  await untilOpen('paused', 0);
  await steer(tenant, 'paused', 'pause', BY);
  const waiting = ids(4);
  await submit('paused', waiting);

  const [called, caught, swept] = [ids(3), ids(2), ids(4)];
  await place([...called, ...caught]);
  await spoil(caught, { operation: 'cancel', fault: { kind: 'hang', applied: false } });
  await submit('aborted', [...called, ...caught]);
  await untilOpen('aborted', caught.length);
  await calledAll(caught);
  await steer(tenant, 'aborted', 'pause', BY);
  await submit('aborted', swept);
  await steer(tenant, 'aborted', 'abort', BY);
  await untilOpen('aborted', caught.length);
  await untilOpen('half', checked.length + later.length + hanging.length);
  await calledAll([...checked, ...later, ...hanging]);
  return [...plain.slice(0, 2), ...later.slice(0, 1), ...waiting.slice(0, 1)];
}

/** What services put into the lanes, as far as a worker came with it. */
async function recordSingles(paused: string): Promise<void> {
  const [plain, hanging, expiring] = [ids(3), ids(2), ids(2)];
  await place([...plain, ...hanging, ...expiring]);
  await spoil(hanging, { operation: 'cancel', fault: { kind: 'hang', applied: true } });
  await spoil(expiring, { operation: 'cancel', fault: { kind: 'status', status: 503 } });
  const jobs = [
    await enqueue('cancel', { machineActionId: plain[0], requestedBy: 'portal' }),
    await enqueue('cancel', { machineActionId: plain[1]?.toUpperCase(), requestedBy: 'portal' }),
    await enqueue('cancel-urgent', { machineActionId: plain[2], requestedBy: 'portal' }),
    await enqueue('cancel', { machineActionId: 'not an id' }),
  ];
  await enqueue('cancel', { machineActionId: hanging[0], requestedBy: 'portal' });
  await enqueue('cancel-urgent', { machineActionId: hanging[1], requestedBy: 'portal' });
  await enqueue('cancel', { machineActionId: paused });
  await enqueue('cancel', { machineActionId: expiring[0], expiresAt: Date.now() + 30_000, requestedBy: 'a' });
  await enqueue('cancel', { machineActionId: expiring[1], expiresAt: FAR, requestedBy: 'b' });
  await eventually(async () => {
    for (const job of jobs) assert.ok(await job.isCompleted());
  });
  await calledAll([...hanging, ...expiring]);
}

/** A penalty, and what waits in the lanes because of it. */
async function recordHold(): Promise<void> {
  const [refused, queued] = [ids(1), ids(8)];
  await place([...refused, ...queued]);
  const fault = { kind: 'status', status: 429, retryAfter: 120 } as const;
  await spoil(refused, { operation: 'cancel', fault });
  await submit('held', refused);
  await eventually(async () => assert.ok(await redis.hget(keys.state, 'cancel:penalty')));
  await submit('held', queued);
  await eventually(async () => {
    assert.ok((await redis.llen(keys.lane('cancel-campaign', 'wait'))) >= queued.length);
  });
}

/** What nobody has looked at yet, for no worker runs any more. */
async function recordUntouched(done: readonly string[], half: readonly string[]): Promise<void> {
  await submit('half', ids(10));
  await submit('first in line', ids(3), { priority: 1, expiresAt: FAR });
  await submit('aborted at once', ids(5));
  await steer(tenant, 'aborted at once', 'abort', BY);
  await submit('expired', ids(4), { expiresAt: Date.now() + 1_000 });
  await submit('overlap', [...done.slice(0, 3), ...half, ...ids(2)]);
  for (const lane of ['cancel', 'cancel-urgent'] as const) {
    await enqueue(lane, { machineActionId: ids(1)[0], requestedBy: 'portal' });
    await enqueue(lane, { machineActionId: `{${ids(1)[0]}}`, expiresAt: FAR });
    await enqueue(lane, { machineActionId: ids(1)[0], expiresAt: Date.now() + 1_000 });
  }
  await enqueue('cancel', { machineActionId: done[0] });
  await enqueue('cancel', { machineActionId: done[1], again: true });
  await enqueue('cancel', { machineActionId: ids(1)[0] }, { delay: 60_000 });
}

const done = await recordOutcomes();
const half = await recordMidway();
await recordSingles(half.at(-1) ?? '');
await recordHold();
const last = worker as Process | null;
last?.kill('SIGKILL');
await last?.exited;
await recordUntouched(done, half);
const now = Date.now();
const lines = [JSON.stringify({ recordedAt: now, tenant: LABEL }), ...(await dump(redis, keys.prefix))];
process.stdout.write(`${lines.join('\n')}\n`);
for (const queue of queues.values()) await queue.close();
await simulator.stop();
await server.close();
