import { viewBudget } from '../budget/view.ts';
import type { Limits } from '../budget/windows.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, URGENT } from '../ledger/place.ts';
import type { RedisClient } from '../script.ts';
import { createOthersCounter, type OtherCount } from './others.ts';
import { type Campaign, readCampaign } from './registry.ts';
import { completion, hasForecast, openAhead, statusOf } from './status.ts';
import { readTracked } from './tracked.ts';

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
  /**
   * ISO 8601 UTC: when the last call would have been made, for what it follows as well; null: none would be, the campaign or an owner of what it
   * follows is paused, or nobody is there who can call.
   */
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
  const counts = { ...total, tracked: await tracked.result(), takenOver: await takenOver.result() };
  return { created: number === null, ...counts, ...(await forecastSubmit(deps, wanted, counts)) };
}

/** How many actions of the campaign would be open with so many more, and when the last one would have been called; as `SubmitPlan` has it. */
export async function forecastSubmit(
  deps: PlanDeps,
  wanted: { name: string; priority: number },
  { accepted, tracked }: Pick<SubmitPlan, 'accepted' | 'tracked'>,
): Promise<Pick<SubmitPlan, 'open' | 'etaAt'>> {
  const { redis, keys } = deps;
  const known = await redis.hget(keys.campaigns, wanted.name);
  const campaign = known === null ? null : await readCampaign(redis, keys, Number(known));
  const open = (campaign?.open ?? 0) + accepted;
  const pending = tracked.filter(({ outcome }) => outcome === null);
  const numbers = await Promise.all(pending.map((of) => redis.hget(keys.campaigns, of.campaign)));
  const before = campaign && (await readTracked(deps, campaign.number));
  const following = {
    open: pending.reduce((sum, { count }) => sum + count, before?.open ?? 0),
    owners: [
      ...new Set([
        ...numbers.flatMap((known) => (known === null ? [] : Number(known))),
        ...(before?.openIn ?? []),
      ]),
    ],
  };
  return { open, etaAt: await etaOf(deps, campaign, { priority: wanted.priority, open, following }) };
}

/** What a campaign would follow: how many calls are still to come for it, and the campaigns that own it, by number. */
interface Following {
  open: number;
  owners: readonly number[];
}

/** As `status` will have it: what is followed is called when its owners' turn comes; an urgent campaign has it called in its own. */
async function etaOf(
  deps: PlanDeps,
  campaign: Campaign | null,
  planned: { priority: number; open: number; following: Following },
): Promise<string | null> {
  const { redis, keys, limits } = deps;
  const { open, following } = planned;
  if (open + following.open === 0 || campaign?.state === 'paused') return null;
  const priority = campaign?.priority ?? planned.priority;
  const isUrgent = priority === URGENT;
  // A new campaign comes last of its priority.
  const place = campaign ? feedingPlace(priority, campaign.number) : feedingPlace(priority + 1, -1);
  const [budget, ahead, ...owners] = await Promise.all([
    viewBudget(redis, keys, limits),
    openAhead(deps, place),
    ...following.owners.map((number) => readCampaign(redis, keys, number)),
  ]);
  // Nobody calls what is paused where it is owned, for whomever.
  if (!hasForecast(budget) || owners.some((owner) => owner?.state !== 'running')) return null;
  const calls = isUrgent ? open + following.open : open;
  const own = calls > 0 ? [completion(limits, budget, ahead + calls, isUrgent)] : [];
  const others = isUrgent
    ? []
    : await Promise.all(owners.map((owner) => owner && statusOf(deps, owner, budget)));
  const ends = others.map((status) => (status?.etaAt ? Date.parse(status.etaAt) : null));
  if (ends.includes(null)) return null;
  return new Date(Math.ceil(Math.max(...own, ...ends.map(Number)))).toISOString();
}
