import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { TIMINGS } from '../../src/config/timings.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { openField } from '../end-to-end/support.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { addAll, startPlainWorker } from './drain.ts';
import { type AtRest, watchAtRest } from './measure.ts';
import { emptyRedis } from './submit.ts';

/** The window is full after these, for an hour. */
const CALLS = 3;
const IDS = 50;

/** What it does once at the beginning of a wait is over by then. */
const SETTLE_MS = 5_000;
const MEASURED_MS = 15_000;

/** A worker whose window is full for an hour, with more to do. */
export async function holdStanddown(): Promise<AtRest> {
  const redis = await emptyRedis();
  const field = await openField(redis, { timings: TIMINGS, limits: `${CALLS}/1h`, ids: IDS });
  try {
    const worker = field.startWorker();
    const left = async () => assert.equal((await field.campaign()).open, IDS - CALLS, worker.stderr);
    await eventually(left, 20_000);
    await delay(SETTLE_MS);
    return await watchAtRest(worker, field.redis, MEASURED_MS);
  } finally {
    await field.close();
    await redis.close();
  }
}

/** The same with BullMQ's limiter. */
export async function holdBullmq(): Promise<AtRest> {
  const redis = await emptyRedis();
  const client = await redis.connect();
  const { actions, ids } = makeActions({ count: IDS });
  const simulator = await startSimulatorProcess(`${CALLS}/1h`, {});
  await simulator.addActions(actions);
  const name = newLabel();
  const queue = new Queue(name, { connection: client });
  const worker = await startPlainWorker(
    { redis, limits: `${CALLS}/3600s`, concurrency: 10 },
    name,
    simulator,
  );
  try {
    await addAll(queue, ids);
    await eventually(async () => assert.equal(await queue.getCompletedCount(), CALLS), 20_000);
    await delay(SETTLE_MS);
    return await watchAtRest(worker, client, MEASURED_MS);
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
    await queue.close();
    await simulator.stop();
    await redis.close();
  }
}
