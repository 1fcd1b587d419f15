import type { Keys } from '../keys.ts';
import type { OfOther } from '../ledger/submit.ts';
import type { RecordState } from '../outcome.ts';
import type { RedisClient } from '../script.ts';

/** Ids of another campaign. */
export interface OtherCount {
  campaign: string;
  /** Its outcome there, or `open`. */
  outcome: RecordState;
  count: number;
}

/** Adds up what comes in parts, by campaign and outcome. */
export function createOthersCounter({ redis, keys }: { redis: RedisClient; keys: Keys }) {
  const entries = new Map<string, OfOther>();

  async function named({ campaign, state, count }: OfOther): Promise<OtherCount> {
    const name = await redis.hget(keys.campaign(campaign), 'name');
    return { campaign: name ?? `#${campaign}`, outcome: state, count };
  }

  return {
    add: ({ campaign, state, count }: OfOther): void => {
      const place = `${campaign} ${state}`;
      const known = entries.get(place)?.count ?? 0;
      entries.set(place, { campaign, state, count: known + count });
    },
    result: (): Promise<OtherCount[]> => Promise.all([...entries.values()].map(named)),
  };
}
