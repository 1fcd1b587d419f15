import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Queue } from 'bullmq';
import { TAKEN_UP_MS, TIMINGS, type Timings } from '../../src/config/timings.ts';
import { type CancelJob, JOB_NAME } from '../../src/index.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { LANES } from '../../src/store/keys.ts';
import type { TestRedis } from '../support/redis.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { type Field, openField } from './support.ts';

/** When to give up: a multiple of what is promised. */
const PATIENCE_MS = 4 * TAKEN_UP_MS;
/** Calls that each worker is killed in the middle of, in each lane. */
const IN_FLIGHT = 3;

export interface KillOptions {
  /** Workers that are killed, one after the other. */
  kills: number;
  env?: Record<string, string>;
  /** Default: `SHORT`. */
  timings?: Timings;
}

/**
 * Kills one worker after the other in the middle of its calls, campaigns' and services', and then lets one live: whatever
 * the dead ones had claimed goes on, with one outcome each, and as no failed job. How soon is said, and for whoever reads to judge.
 */
export async function killInARow(t: TestContext, server: TestRedis, options: KillOptions): Promise<void> {
  const { kills, timings = SHORT } = options;
  const env = { CONCURRENCY: String(IN_FLIGHT), ...options.env };
  const field = await openField(server, {
    limits: '1000/1s,100000/1h',
    ids: IN_FLIGHT * kills + 5,
    apart: false,
    env,
    timings,
  });
  const { simulator, tenant, redis } = field;
  const queue = new Queue<CancelJob>('cancel', { connection: redis, prefix: tenant.keys.prefix });
  try {
    const singles = makeActions({ count: IN_FLIGHT * kills, seed: 7 });
    await simulator.addActions(singles.actions);
    const jobs = await queue.addBulk(
      singles.ids.map((machineActionId) => ({ name: JOB_NAME, data: { machineActionId, comment: 'one' } })),
    );
    // No call ends before its worker does, however long that takes to be seen and killed.
    await simulator.setFaults([{ operation: 'cancel', fault: { kind: 'hang' } }]);
    const claimed = new Set<string>();
    let killedAt = 0;
    for (let kill = 0; kill < kills; kill++) {
      const worker = field.startWorker();
      const caught = await eventually(async () => {
        const ids = await inFlight(field, claimed);
        assert.equal(ids.length, 2 * IN_FLIGHT, worker.stderr);
        return ids;
      });
      worker.kill('SIGKILL');
      assert.equal(await worker.exited, 'SIGKILL');
      killedAt = Date.now();
      for (const id of caught) claimed.add(id);
    }
    await simulator.setFaults([]);
    // With room for all of them at once: what is measured is how long they lie, not how long they queue.
    field.startWorkerHere({ CONCURRENCY: String(IN_FLIGHT * (kills + 2)) });
    await field.untilDone(PATIENCE_MS);
    const results = await eventually(async () => {
      const found = await Promise.all(jobs.map(({ id }) => queue.getJob(id ?? '')));
      for (const job of found) assert.ok(job?.finishedOn, 'a job has no result');
      return found;
    }, PATIENCE_MS);

    const lines = await field.assertComplete();
    const ended = new Map(
      [...lines.values()].map((line) => [line.machineActionId, Date.parse(line.decidedAt ?? '')]),
    );
    for (const job of results) ended.set(job?.data.machineActionId ?? '', job?.finishedOn ?? Number.NaN);
    const waits = [...claimed].map((id) => (ended.get(id) ?? Number.NaN) - killedAt);
    const [last, promised] = [Math.max(...waits), TAKEN_UP_MS].map((ms) => (ms / 1_000).toFixed(1));
    const whose = timings === TIMINGS ? `promised: ${promised} s` : 'with the locks of a test';
    t.diagnostic(`${claimed.size} were being called; last outcome ${last} s after the last kill (${whose})`);
    assert.equal(claimed.size, 2 * IN_FLIGHT * kills);
    for (const wait of waits) assert.ok(wait > 0, 'nobody but the last worker decided it');
    for (const job of results) assert.ok(job?.returnvalue.outcome, 'a job failed');
    for (const lane of LANES) assert.equal(await redis.zcard(tenant.keys.lane(lane, 'failed')), 0, lane);
    for (const id of claimed) {
      const calls = (await simulator.callsFor(id)).filter(({ operation }) => operation === 'cancel');
      assert.ok(calls.length <= 2, `${id} was called ${calls.length} times`);
    }
  } finally {
    await queue.close();
    await field.close();
  }
}

/** Ids that are being called, but for those that a worker died of before. */
async function inFlight({ simulator }: Field, before: ReadonlySet<string>): Promise<string[]> {
  const calls = await simulator.calls();
  const open = calls.filter((call) => call.operation === 'cancel' && call.answeredAtMs === null);
  return open.flatMap(({ id }) => (id === null || before.has(id) ? [] : [id]));
}
