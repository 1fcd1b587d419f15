import { Queue } from 'bullmq';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { createFeeder, LANE_OF } from '../worker/feeder.ts';
import type { Tenant } from './tenant.ts';

/** How many ids are handed out at once; a worker feeds the rest. */
const FIRST = 100;

/** What feeding takes of a tenant. */
export type Feedable = Pick<Tenant, 'redis' | 'keys' | 'ledger' | 'timings'>;

/** Puts the first ids of urgent campaigns into their lane: they should not wait for a worker's next look. */
export async function feedUrgent(tenant: Feedable, log: Logger): Promise<void> {
  const { redis, keys } = tenant;
  const lane = LANE_OF.urgent;
  // The workers say how much a lane keeps; a queue opened with other options would change that.
  const queue = new Queue(lane, { connection: redis, prefix: keys.prefix, skipMetasUpdate: true });
  queue.on('error', (err) => log.debug({ queue: lane, err }, 'queue'));
  const feeder = createFeeder({
    ...tenant,
    supplies: [{ lane, queue, demand: () => FIRST }],
    precheck: null,
    monotonic: systemClock.monotonic,
    log,
  });
  try {
    await feeder.feed();
  } finally {
    await queue.close();
  }
}
