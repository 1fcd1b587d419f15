import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { makeActions } from '../../src/simulator/index.ts';
import { openField } from '../end-to-end/support.ts';
import type { TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { addAll, startPlainWorker } from './drain.ts';

export interface UrgentOptions {
  redis: TestRedis;
  /** As in RATE_LIMITS; one window. */
  limits: string;
  /** As in URGENT_RESERVE. */
  reserve: string;
  /** How many wait before the urgent ones come. */
  bulk: number;
  /** How many of them, one after the other. */
  urgent: number;
}

/** Each urgent cancel, from enqueueing to the API, in ms. */
export type Waits = number[];

const CONCURRENCY = 10;
const LATENCY_MS = { min: 1, max: 5 };
/** Apart, so that they meet the window at all its times, in ms. */
const APART_MS = 97;

/** Standdown: a campaign waits, its part of the window is used up, and single cancels come into `cancel-urgent`. */
export async function urgentWithStanddown(options: UrgentOptions): Promise<Waits> {
  const { redis, limits, reserve } = options;
  const field = await openField(redis, {
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
    field.startWorker();
    await eventually(async () => assert.ok((await field.simulator.calls()).length > 150), 30_000);
    return await measure(field.simulator, options.urgent, (machineActionId) =>
      queue.add('cancel', { v: 1, machineActionId, comment: 'bench' }),
    );
  } finally {
    await queue.close();
    await field.close();
  }
}

/** BullMQ alone: one limited queue, in which the urgent jobs have the best priority. */
export async function urgentWithBullmq(options: UrgentOptions): Promise<Waits> {
  const { redis, limits } = options;
  const simulator = await startSimulatorProcess(limits, { latencyMs: LATENCY_MS });
  const made = makeActions({ count: options.bulk });
  await simulator.addActions(made.actions);
  const name = newLabel();
  const queue = new Queue(name, { connection: await redis.connect('worker') });
  const worker = await startPlainWorker({ redis, limits, concurrency: CONCURRENCY }, name, simulator);
  try {
    await addAll(queue, made.ids);
    await eventually(async () => assert.ok((await simulator.calls()).length > 150), 30_000);
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

async function measure(
  simulator: SimulatorProcess,
  count: number,
  enqueue: (id: string) => Promise<unknown>,
): Promise<Waits> {
  const made = makeActions({ count, seed: 4_711 });
  await simulator.addActions(made.actions);
  const waits: Waits = [];
  for (const id of made.ids) {
    const at = Date.now();
    await enqueue(id);
    const call = await eventually(async () => {
      const [first] = await simulator.callsFor(id);
      assert.ok(first);
      return first;
    }, 30_000);
    waits.push(Math.max(0, call.wallMs - at));
    await delay(APART_MS);
  }
  return waits;
}
