import { OUTCOMES, type Outcome } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import type { OfOther } from '../ledger/submit.ts';
import { redisTime } from '../redis/time.ts';
import type { RedisClient } from '../script.ts';
import { type DisplayState, displayState, readCampaign } from './registry.ts';

/** Ids of another campaign. */
export interface OtherCount {
  campaign: string;
  /** Their outcome there; null: pending. */
  outcome: Outcome | null;
  /** That campaign's; null: it was deleted. */
  state: DisplayState | null;
  count: number;
}

/** The same by the campaign's number. */
type Counted = Omit<OtherCount, 'campaign' | 'state'> & { campaign: number };

/** Adds up what comes in parts, by campaign and outcome. */
export function createOthersCounter({ redis, keys }: { redis: RedisClient; keys: Keys }) {
  const entries = new Map<string, Counted>();

  async function named({ campaign, ...of }: Counted): Promise<OtherCount> {
    const found = await readCampaign(redis, keys, campaign);
    // One that has expired is shown so, also while no worker has noted it.
    const state = found && displayState(found, await redisTime(redis));
    return { campaign: found?.name ?? `#${campaign}`, state, ...of };
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
