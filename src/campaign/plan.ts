import { viewBudget } from '../budget/view.ts';
import type { Limits } from '../budget/windows.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, URGENT } from '../ledger/place.ts';
import type { Outcome } from '../outcome.ts';
import { redisTime } from '../redis/time.ts';
import type { RedisClient } from '../script.ts';
import { completion, hasForecast, NO_FORECAST, readAhead, readNeighbours } from './forecast.ts';
import { createOthersCounter, type OtherCount } from './others.ts';
import { type Campaign, readCampaign } from './registry.ts';

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
  /** ISO 8601 UTC: when the last call would have been made or the campaign expires; null: no call would be made, the campaign is paused, or nobody is there who can call. */
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
  return {
    created: number === null,
    ...total,
    tracked: await tracked.result(),
    takenOver: await takenOver.result(),
    ...(await forecastSubmit(deps, wanted, total.accepted)),
  };
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
  accepted: number,
): Promise<Pick<SubmitPlan, 'open' | 'etaAt' | 'expiring'>> {
  const { redis, keys } = deps;
  const known = await redis.hget(keys.campaigns, wanted.name);
  const campaign = known === null ? null : await readCampaign(redis, keys, Number(known));
  const open = (campaign?.open ?? 0) + accepted;
  return { open, ...(await forecastOf(deps, campaign, wanted, open)) };
}

async function forecastOf(
  deps: PlanDeps,
  campaign: Campaign | null,
  { priority, expiresInMs }: Wanted,
  open: number,
): Promise<Pick<SubmitPlan, 'etaAt' | 'expiring'>> {
  if (open === 0 || campaign?.state === 'paused') return NO_FORECAST;
  // A new campaign comes last of its priority.
  const place = campaign ? feedingPlace(campaign.priority, campaign.number) : feedingPlace(priority + 1, -1);
  const isUrgent = (campaign?.priority ?? priority) === URGENT;
  const [budget, ahead] = await Promise.all([
    viewBudget(deps.redis, deps.keys, deps.limits),
    readNeighbours(deps, place).then((neighbours) => readAhead(deps, place, campaign, neighbours)),
  ]);
  if (!hasForecast(budget)) return NO_FORECAST;
  const wanted = expiresInMs === null ? null : budget.now + expiresInMs;
  const waiting = { open, expiresAt: campaign ? campaign.expiresAt : wanted };
  const { endAt, expiring } = completion(deps.limits, budget, ahead, waiting, isUrgent);
  return { etaAt: new Date(Math.ceil(endAt)).toISOString(), expiring };
}
