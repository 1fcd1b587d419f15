import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Queue } from 'bullmq';
import { bytesToGuid } from '../../src/base/guid.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { newIds } from '../support/ledger.ts';
import { startCli } from '../support/processes.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { newLabel, newTenant } from '../support/tenant.ts';
import { median, usedMemory, watchMemory } from './measure.ts';

export interface Submitted {
  /** From the start of the process to its end, in ms. */
  tookMs: number;
  /** The largest resident set of the process that submits, in MiB. */
  peakMiB: number;
  /** Everything that Redis holds for it, per waiting id. */
  bytesPerId: number;
  /** Reading the campaign's status, median of 50, in ms. */
  statusMs: number;
}

/** `standdown submit` of a file with so many ids, on a Redis of its own. */
export async function submitFile(count: number): Promise<Submitted> {
  const redis = await emptyRedis();
  const file = join(TEST_DIR, `bench-${newLabel()}.txt`);
  try {
    await writeIds(file, count);
    const client = await redis.connect();
    const tenant = await newTenant(client, { RATE_LIMITS: '100/1m,1500/1h' });
    const before = await usedMemory(client);
    const started = performance.now();
    const child = startCli(['submit', file, '--campaign', 'bench', '--comment', 'bench', '--yes', '--json'], {
      env: { REDIS_URL: redis.url, STANDDOWN_TENANT: tenant.label, STANDDOWN_DATA_DIR: TEST_DIR },
    });
    const peakMiB = await watchMemory(child);
    const tookMs = performance.now() - started;
    if ((await child.exited) !== 0) throw new Error(`submit failed: ${child.stderr}`);
    const printed = JSON.parse(child.stdout) as { accepted: number };
    if (printed.accepted !== count) throw new Error(`not all accepted: ${child.stdout}${child.stderr}`);
    const bytesPerId = ((await usedMemory(client)) - before) / count;
    const times: number[] = [];
    for (let look = 0; look < 50; look++) {
      const at = performance.now();
      await campaignStatus(tenant, 'bench');
      times.push(performance.now() - at);
    }
    return { tookMs, peakMiB, bytesPerId, statusMs: median(times) };
  } finally {
    await rm(file, { force: true });
    await redis.close();
  }
}

/** What a user would write with BullMQ alone: `addBulk`, 1,000 jobs at once. */
export async function addBulk(count: number): Promise<Pick<Submitted, 'tookMs' | 'bytesPerId'>> {
  const redis = await emptyRedis();
  try {
    const client = await redis.connect();
    const queue = new Queue(newLabel(), { connection: client });
    await queue.waitUntilReady();
    const before = await usedMemory(client);
    const started = performance.now();
    await addJobs(queue, count);
    const tookMs = performance.now() - started;
    const bytesPerId = ((await usedMemory(client)) - before) / count;
    await queue.close();
    return { tookMs, bytesPerId };
  } finally {
    await redis.close();
  }
}

/** Waiting jobs, 1,000 at once. */
export async function addJobs(queue: Queue, count: number): Promise<void> {
  const ids = newIds(count);
  for (let at = 0; at < count; at += 1_000) {
    const part = Array.from({ length: Math.min(1_000, count - at) }, (_, index) => ({
      name: 'cancel',
      data: { id: bytesToGuid(ids.subarray(16 * (at + index), 16 * (at + index + 1))), comment: 'bench' },
    }));
    await queue.addBulk(part);
  }
}

/** Memory is counted for the whole server, so nothing else may be in it. */
export async function emptyRedis(): Promise<TestRedis> {
  const redis = await openTestRedis('bench');
  await (await redis.connect()).flushall();
  return redis;
}

/** A file of made-up ids, one a line. */
export async function writeIds(file: string, count: number): Promise<void> {
  await mkdir(TEST_DIR, { recursive: true });
  const lines = function* () {
    for (let at = 0; at < count; at += 1_000) {
      const ids = newIds(Math.min(1_000, count - at));
      let text = '';
      for (let id = 0; id < ids.length; id += 16) text += `${bytesToGuid(ids.subarray(id, id + 16))}\n`;
      yield text;
    }
  };
  await pipeline(Readable.from(lines()), createWriteStream(file));
}
