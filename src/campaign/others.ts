import type { Keys } from '../keys.ts';
import type { OfOther } from '../ledger/submit.ts';
import { OUTCOMES, type Outcome } from '../outcome.ts';
import type { RedisClient } from '../script.ts';

/** Ids of another campaign. */
export interface OtherCount {
  campaign: string;
  /** Their outcome there; null: pending. */
  outcome: Outcome | null;
  count: number;
}

/** The same by the campaign's number. */
type Counted = Omit<OtherCount, 'campaign'> & { campaign: number };

/** Adds up what comes in parts, by campaign and outcome. */
export function createOthersCounter({ redis, keys }: { redis: RedisClient; keys: Keys }) {
  const entries = new Map<string, Counted>();

  async function named({ campaign, ...of }: Counted): Promise<OtherCount> {
    const name = await redis.hget(keys.campaign(campaign), 'name');
    return { campaign: name ?? `#${campaign}`, ...of };
  }

  return {
    add: ({ campaign, state, count }: OfOther): void => {
      const outcome = OUTCOMES.find((known) => known === state) ?? null;
      const place = `${campaign} ${outcome}`;
      const known = entries.get(place)?.count ?? 0;
      entries.set(place, { campaign, outcome, count: known + count });
    },
    result: (): Promise<OtherCount[]> => Promise.all([...entries.values()].map(named)),
  };
}
