import { StanddownError } from '../../base/errors.ts';
import type { Keys } from '../keys.ts';
import { BATCH_IDS, type Batch, ID_BYTES, makeBatch } from './batch.ts';
import { bucketOf, FIRST_BUCKETS } from './record.ts';

/** Keys built from an outdated view are built again; this often, as buckets may be splitting under us. */
const MOST_TRIES = 100;

/** An answer of a script to keys that were built from an outdated view; `buckets` is the present number of them. */
interface Again {
  kind: string;
  buckets?: number;
}

export type View = ReturnType<typeof createView>;

/** What this process believes of the ledger's shape, corrected by what the scripts answer. */
export function createView(keys: Keys) {
  let buckets = FIRST_BUCKETS;

  /** Repeats a script until it accepts its keys; `learn` takes in whatever else an `again` says. */
  async function settled<R extends { kind: string }>(
    attempt: () => Promise<R>,
    learn?: (again: R) => void,
  ): Promise<Exclude<R, { kind: 'again' }>> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const reply = await attempt();
      if (reply.kind !== 'again') return reply as Exclude<R, { kind: 'again' }>;
      buckets = (reply as Again).buckets ?? buckets;
      learn?.(reply);
    }
    throw new StanddownError('REDIS_FAILED', 'the ledger kept changing under a script');
  }

  /** Runs a script over any number of ids, a batch at a time. */
  async function* overBatches<R extends { kind: string }>(
    ids: Buffer,
    run: (batch: Batch) => Promise<R>,
    learn?: (again: R) => void,
  ): AsyncGenerator<Exclude<R, { kind: 'again' }>> {
    for (let at = 0; at < ids.length; at += BATCH_IDS * ID_BYTES) {
      const part = ids.subarray(at, at + BATCH_IDS * ID_BYTES);
      yield await settled(() => run(makeBatch(keys, part, buckets)), learn);
    }
  }

  return {
    get buckets() {
      return buckets;
    },
    set buckets(count: number) {
      buckets = count;
    },
    bucketKey: (id: Buffer) => keys.bucket(bucketOf(id, buckets)),
    settled,
    overBatches,
  };
}
