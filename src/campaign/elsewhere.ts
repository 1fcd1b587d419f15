import type { Keys } from '../keys.ts';
import type { Elsewhere } from '../ledger/submit.ts';
import type { RecordState } from '../outcome.ts';
import type { RedisClient } from '../script.ts';

/** Ids that another campaign owns. */
export interface ElsewhereCount {
  campaign: string;
  /** Its outcome there, or `open`. */
  outcome: RecordState;
  count: number;
}

/** Adds up what comes in parts, by campaign and outcome. */
export function createElsewhereCounter({ redis, keys }: { redis: RedisClient; keys: Keys }) {
  const entries = new Map<string, Elsewhere>();

  async function named({ campaign, state, count }: Elsewhere): Promise<ElsewhereCount> {
    const name = await redis.hget(keys.campaign(campaign), 'name');
    return { campaign: name ?? `#${campaign}`, outcome: state, count };
  }

  return {
    add: ({ campaign, state, count }: Elsewhere): void => {
      const place = `${campaign} ${state}`;
      const known = entries.get(place)?.count ?? 0;
      entries.set(place, { campaign, state, count: known + count });
    },
    result: (): Promise<ElsewhereCount[]> => Promise.all([...entries.values()].map(named)),
  };
}
