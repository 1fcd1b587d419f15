import { viewBudget } from '../budget/view.ts';
import type { Limits } from '../budget/windows.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, URGENT } from '../ledger/place.ts';
import type { RedisClient } from '../script.ts';
import { createOthersCounter, type OtherCount } from './others.ts';
import { type Campaign, readCampaign } from './registry.ts';
import { completion, hasForecast, openAhead } from './status.ts';

export interface PlanDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  limits: Limits;
}

/** What a submit would do, as things stand. The counts are those of `SubmitSummary`. */
export interface SubmitPlan {
  /** Whether the campaign would be new. */
  created: boolean;
  accepted: number;
  already: number;
  tracked: OtherCount[];
  takenOver: OtherCount[];
  /** Ids of the campaign that would be open afterwards. */
  open: number;
  /** ISO 8601 UTC: when the last call would have been made; null: none would be, the campaign is paused, or nobody is there who can call. */
  etaAt: string | null;
}

/**
 * Asks the script that submits what it would do, and writes nothing.
 *
 * @param wanted.priority of the campaign, if it is new.
 * @param ids 16 bytes each, in parts of any number of them, none of them twice.
 * @throws StanddownError CAMPAIGN_CLOSED
 */
export async function planSubmit(
  deps: PlanDeps,
  wanted: { name: string; priority: number },
  ids: AsyncIterable<Buffer>,
): Promise<SubmitPlan> {
  const { redis, keys, ledger } = deps;
  const known = await redis.hget(keys.campaigns, wanted.name);
  const number = known === null ? null : Number(known);
  const name = number === null ? '' : wanted.name;
  const tracked = createOthersCounter(deps);
  const takenOver = createOthersCounter(deps);
  const total = { accepted: 0, already: 0 };
  for await (const part of ids) {
    const done = await ledger.plan(number, part, name);
    total.accepted += done.accepted;
    total.already += done.already;
    done.tracked.forEach(tracked.add);
    done.takenOver.forEach(takenOver.add);
  }
  const { open, etaAt } = await forecastSubmit(deps, wanted, total.accepted);
  return {
    created: number === null,
    ...total,
    tracked: await tracked.result(),
    takenOver: await takenOver.result(),
    open,
    etaAt,
  };
}

/** How many actions of the campaign would be open with so many more, and when the last one would have been called; as `SubmitPlan` has it. */
export async function forecastSubmit(
  deps: PlanDeps,
  wanted: { name: string; priority: number },
  accepted: number,
): Promise<Pick<SubmitPlan, 'open' | 'etaAt'>> {
  const { redis, keys } = deps;
  const known = await redis.hget(keys.campaigns, wanted.name);
  const campaign = known === null ? null : await readCampaign(redis, keys, Number(known));
  const open = (campaign?.open ?? 0) + accepted;
  return { open, etaAt: await etaOf(deps, campaign, wanted.priority, open) };
}

async function etaOf(
  deps: PlanDeps,
  campaign: Campaign | null,
  priority: number,
  open: number,
): Promise<string | null> {
  if (open === 0 || campaign?.state === 'paused') return null;
  // A new campaign comes last of its priority.
  const place = campaign ? feedingPlace(campaign.priority, campaign.number) : feedingPlace(priority + 1, -1);
  const isUrgent = (campaign?.priority ?? priority) === URGENT;
  const [budget, ahead] = await Promise.all([
    viewBudget(deps.redis, deps.keys, deps.limits),
    openAhead(deps, place),
  ]);
  if (!hasForecast(budget)) return null;
  return new Date(Math.ceil(completion(deps.limits, budget, ahead + open, isUrgent))).toISOString();
}
