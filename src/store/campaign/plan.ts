import type { Outcome } from '../../base/outcome.ts';
import type { Limits } from '../../config/limits.ts';
import { viewBudget } from '../budget/view.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, URGENT } from '../ledger/place.ts';
import { redisTime } from '../redis/time.ts';
import type { RedisClient } from '../script.ts';
import { completion, hasForecast, NO_FORECAST, readAhead, readNeighbours } from './forecast.ts';
import { createOthersCounter, type OtherCount } from './others.ts';
import { assertAccepts, type Campaign, readCampaign } from './registry.ts';
import { statusOf } from './status.ts';
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
   * ISO 8601 UTC: when the last call would have been made, for what it follows as well, or the campaign expires; null: no call would be
   * made, the campaign or an owner of what it follows is paused, or no worker can call.
   */
  etaAt: string | null;
  /** How many of the campaign's actions would expire before their turn; null where `etaAt` is. */
  expiring: number | null;
}

/** What is asked for, of a campaign that is new. */
interface Wanted {
  name: string;
  priority: number;
  /** From now on; null: never. */
  expiresInMs: number | null;
}

/**
 * Asks the script that submits what it would do, and writes nothing.
 *
 * @param ids 16 bytes each, in parts of any number of them, none of them twice.
 * @throws StanddownError CAMPAIGN_CLOSED
 */
export async function planSubmit(
  deps: PlanDeps,
  wanted: Wanted,
  ids: AsyncIterable<Buffer>,
): Promise<SubmitPlan> {
  const { redis, keys, ledger } = deps;
  const known = await redis.hget(keys.campaigns, wanted.name);
  const number = known === null ? null : Number(known);
  const name = number === null ? '' : wanted.name;
  const campaign = number === null ? null : await readCampaign(redis, keys, number);
  if (campaign) assertAccepts(campaign, keys, await redisTime(redis));
  const tracked = createOthersCounter(deps);
  const takenOver = createOthersCounter(deps);
  const total = { accepted: 0, already: 0 };
  const ending = await readEnding(deps);
  for await (const part of ids) {
    const done = await ledger.plan(number, part, name);
    total.accepted += done.accepted;
    total.already += done.already;
    for (const of of done.tracked) {
      const outcome = of.state === 'open' ? ending.get(of.campaign) : undefined;
      if (outcome === undefined) tracked.add(of);
      else {
        total.accepted += of.count;
        takenOver.add({ ...of, state: outcome });
      }
    }
    done.takenOver.forEach(takenOver.add);
  }
  const counts = { ...total, tracked: await tracked.result(), takenOver: await takenOver.result() };
  return { created: number === null, ...counts, ...(await forecastSubmit(deps, wanted, counts)) };
}

/** What the open ids of campaigns end as that are aborted or whose time has passed, by number: a submit ends them first, see `sweepNow`. */
async function readEnding({ redis, keys }: PlanDeps): Promise<Map<number, Outcome>> {
  const now = await redisTime(redis);
  const [ending, due] = await Promise.all([
    redis.smembers(keys.ending),
    redis.zrangebyscore(keys.expiries, '-inf', now),
  ]);
  // The others are single cancels, and what of them is due is not known from here.
  const overdue = due.flatMap((member) => /^c(\d+)$/.exec(member)?.[1] ?? []);
  const campaigns = await Promise.all(
    [...ending, ...overdue].map((number) => readCampaign(redis, keys, Number(number))),
  );
  return new Map(
    campaigns.flatMap((campaign) =>
      campaign ? [[campaign.number, campaign.state === 'aborted' ? 'withdrawn' : 'expired']] : [],
    ),
  );
}

/** How many actions of the campaign would be open with so many more, and when the last one would have been called; as `SubmitPlan` has it. */
export async function forecastSubmit(
  deps: PlanDeps,
  wanted: Wanted,
  { accepted, tracked }: Pick<SubmitPlan, 'accepted' | 'tracked'>,
): Promise<Pick<SubmitPlan, 'open' | 'etaAt' | 'expiring'>> {
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
        ...numbers.flatMap((number) => (number === null ? [] : Number(number))),
        ...(before?.openIn ?? []),
      ]),
    ],
  };
  return { open, ...(await forecastOf(deps, campaign, wanted, { open, following })) };
}

/** What a campaign would follow: how many calls are still to come for it, and the campaigns that own it, by number. */
interface Following {
  open: number;
  owners: readonly number[];
}

/** As `status` will have it: what is followed is called when its owners' turn comes; an urgent campaign has it called in its own. */
async function forecastOf(
  deps: PlanDeps,
  campaign: Campaign | null,
  wanted: Wanted,
  { open, following }: { open: number; following: Following },
): Promise<Pick<SubmitPlan, 'etaAt' | 'expiring'>> {
  const { redis, keys, limits } = deps;
  if (open + following.open === 0 || campaign?.state === 'paused') return NO_FORECAST;
  const priority = campaign?.priority ?? wanted.priority;
  const isUrgent = priority === URGENT;
  // A new campaign comes last of its priority.
  const place = campaign ? feedingPlace(priority, campaign.number) : feedingPlace(priority + 1, -1);
  const [budget, ahead, ...owners] = await Promise.all([
    viewBudget(redis, keys, limits),
    readNeighbours(deps, place).then((neighbours) => readAhead(deps, place, campaign, neighbours)),
    ...following.owners.map((number) => readCampaign(redis, keys, number)),
  ]);
  // No action is called whose owner is paused, for any campaign.
  if (!hasForecast(budget) || owners.some((owner) => owner?.state !== 'running')) return NO_FORECAST;
  const expiry = wanted.expiresInMs === null ? null : budget.now + wanted.expiresInMs;
  const waiting = {
    open: isUrgent ? open + following.open : open,
    expiresAt: campaign ? campaign.expiresAt : expiry,
  };
  const own = completion(limits, budget, ahead, waiting, isUrgent);
  const others = isUrgent
    ? []
    : await Promise.all(owners.map((owner) => owner && statusOf(deps, owner, budget)));
  const ends = others.map((status) => (status?.etaAt ? Date.parse(status.etaAt) : null));
  if (ends.includes(null)) return NO_FORECAST;
  const last = Math.max(...(waiting.open > 0 ? [own.endAt] : []), ...ends.map(Number));
  return { etaAt: new Date(Math.ceil(last)).toISOString(), expiring: own.expiring };
}
