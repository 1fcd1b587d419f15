import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { TIMINGS } from '../../src/config/timings.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { openField } from '../end-to-end/support.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { addAll, startPlainWorker } from './drain.ts';
import { fixed, percentile, repeat } from './measure.ts';

interface UrgentOptions {
  redis: TestRedis;
  /** As in RATE_LIMITS; one window. */
  limits: string;
  /** As in URGENT_RESERVE. */
  reserve: string;
  /** How many wait before the urgent ones come. */
  bulk: number;
  /** How many of them. */
  urgent: number;
}

/** Each urgent cancel, from enqueueing to the API, in ms. */
type Waits = number[];

/** Of each backlog, the waits of all runs. */
type Compared = Map<number, { ours: Waits; theirs: Waits }>;

/** How many others wait. */
const BACKLOGS = [0, 1_000, 100_000];
const RUNS = 3;
const CONCURRENCY = 10;
const LATENCY_MS = { min: 1, max: 5 };
/** Apart: 20 in 3 s, at all times of the window. In ms. */
const APART_MS = 151;

export async function compareUrgent(): Promise<Compared> {
  const redis = await openTestRedis('bench');
  const compared: Compared = new Map();
  try {
    for (const bulk of BACKLOGS) {
      const options = { redis, limits: '100/3s', reserve: '30/3s', bulk, urgent: 100 };
      const ours = await repeat(RUNS, () => urgentWithStanddown(options));
      const theirs = await repeat(RUNS, () => urgentWithBullmq(options));
      compared.set(bulk, { ours: ours.flat(), theirs: theirs.flat() });
    }
    return compared;
  } finally {
    await redis.close();
  }
}

export function urgentRows(compared: Compared): string[][] {
  return [...compared].flatMap(([bulk, { ours, theirs }]) =>
    [50, 99].map((percent) => {
      const [own, other] = [percentile(ours, percent), percentile(theirs, percent)];
      return [
        `${fixed(bulk, 0)} others: from enqueueing to the API, p${percent}, ms`,
        fixed(own, 0),
        fixed(other, 0),
        fixed(own / other, 3),
        percent === 50 ? '< 50' : '< 1,000',
      ];
    }),
  );
}

/** Standdown: a campaign waits, its part of the window is used up, and single cancels come into `cancel-urgent`. */
async function urgentWithStanddown(options: UrgentOptions): Promise<Waits> {
  const { redis, limits, reserve } = options;
  const field = await openField(redis, {
    timings: TIMINGS,
    limits,
    ids: options.bulk,
    simulator: { latencyMs: LATENCY_MS },
    env: { URGENT_RESERVE: reserve, CONCURRENCY: String(CONCURRENCY) },
  });
  const queue = new Queue('cancel-urgent', {
    connection: await redis.connect('worker'),
    prefix: field.tenant.keys.prefix,
  });
  try {
    const worker = field.startWorker({ LOG_LEVEL: 'info' });
    await eventually(() => assert.match(worker.stderr, /worker started/), 60_000);
    await untilBusy(field.simulator, options.bulk);
    return await measure(field.simulator, options.urgent, (machineActionId) =>
      queue.add('cancel', { v: 1, machineActionId, comment: 'bench' }),
    );
  } finally {
    await queue.close();
    await field.close();
  }
}

/** BullMQ alone: one limited queue, in which the urgent jobs have the best priority. */
async function urgentWithBullmq(options: UrgentOptions): Promise<Waits> {
  const { redis, limits } = options;
  const simulator = await startSimulatorProcess(limits, { latencyMs: LATENCY_MS });
  const made = makeActions({ count: options.bulk });
  await simulator.addActions(made.actions);
  const name = newLabel();
  const queue = new Queue(name, { connection: await redis.connect('worker') });
  const worker = await startPlainWorker({ redis, limits, concurrency: CONCURRENCY }, name, simulator);
  try {
    await addAll(queue, made.ids);
    await untilBusy(simulator, options.bulk);
    // Without a priority goes before any, so that is the urgent one's.
    return await measure(simulator, options.urgent, (id) =>
      queue.add('cancel', { id, comment: 'bench' }, { lifo: true }),
    );
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
    await queue.close();
    await simulator.stop();
  }
}

/**
 * At set times, whether those before are through or not: one that is held up must not keep the next ones from being counted
 * as late.
 */
async function measure(
  simulator: SimulatorProcess,
  count: number,
  enqueue: (id: string) => Promise<unknown>,
): Promise<Waits> {
  const made = makeActions({ count, seed: 4_711 });
  await simulator.addActions(made.actions);
  const enqueued = new Map<string, number>();
  const started = performance.now();
  for (const [at, id] of made.ids.entries()) {
    await delay(Math.max(0, started + at * APART_MS - performance.now()));
    enqueued.set(id, Date.now());
    await enqueue(id);
  }
  const firsts = await eventually(async () => {
    const arrivals = new Map<string, number>();
    for (const { id, wallMs } of await simulator.calls()) {
      if (id !== null && enqueued.has(id) && !arrivals.has(id)) arrivals.set(id, wallMs);
    }
    assert.equal(arrivals.size, count);
    return arrivals;
  }, 60_000);
  return made.ids.map((id) => Math.max(0, (firsts.get(id) ?? Number.NaN) - (enqueued.get(id) ?? 0)));
}

/** Until the bulk's part of the window has been used up. */
async function untilBusy(simulator: SimulatorProcess, bulk: number): Promise<void> {
  if (bulk === 0) return;
  await eventually(async () => assert.ok((await simulator.calls()).length > 150), 60_000);
}
