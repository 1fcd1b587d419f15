import { Queue } from 'bullmq';
import { openCampaign, readCampaign } from '../../src/store/campaign/registry.ts';
import { newIds } from '../support/ledger.ts';
import { startCli } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';
import { newLabel, newTenant } from '../support/tenant.ts';
import { addJobs, emptyRedis } from './submit.ts';

export interface Aborted {
  /** From the start of the process (BullMQ: of the call) to its end, in ms. */
  tookMs: number;
}

/** `standdown abort` of a campaign of so many open ids, each of which gets its outcome. */
export async function abortOpen(count: number): Promise<Aborted> {
  const redis = await emptyRedis();
  try {
    const tenant = await newTenant(await redis.connect());
    const wanted = { name: 'bench', comment: 'bench', requestedBy: 'bench', now: Date.now() };
    const { number } = await openCampaign(tenant.redis, tenant.keys, wanted);
    await tenant.ledger.expect(count);
    await tenant.ledger.submit(number, newIds(count));
    const started = performance.now();
    const child = startCli(['abort', 'bench', '--yes'], {
      env: { REDIS_URL: redis.url, STANDDOWN_TENANT: tenant.label, STANDDOWN_DATA_DIR: TEST_DIR },
    });
    if ((await child.exited) !== 0) throw new Error(`abort failed: ${child.stderr}`);
    const tookMs = performance.now() - started;
    const { open, outcomes } = (await readCampaign(tenant.redis, tenant.keys, number)) ?? {};
    if (open !== 0 || outcomes?.withdrawn !== count) throw new Error(`not all withdrawn: ${open} are open`);
    return { tookMs };
  } finally {
    await redis.close();
  }
}

/** The nearest thing BullMQ has: `drain` throws the waiting jobs away, and nobody can say later which they were. */
export async function drainQueue(count: number): Promise<Aborted> {
  const redis = await emptyRedis();
  try {
    const queue = new Queue(newLabel(), { connection: await redis.connect() });
    await queue.waitUntilReady();
    await addJobs(queue, count);
    const started = performance.now();
    await queue.drain();
    const tookMs = performance.now() - started;
    await queue.close();
    return { tookMs };
  } finally {
    await redis.close();
  }
}
