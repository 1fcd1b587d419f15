import { viewBudget } from '../budget/view.ts';
import type { Limits } from '../budget/windows.ts';
import { StanddownError } from '../errors.ts';
import type { Keys } from '../keys.ts';
import { ID_BYTES } from '../ledger/batch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Look } from '../ledger/look.ts';
import { feedingPlace, URGENT } from '../ledger/place.ts';
import { LASTING_OUTCOMES, type RecordState } from '../outcome.ts';
import type { RedisClient } from '../script.ts';
import { createElsewhereCounter, type ElsewhereCount } from './elsewhere.ts';
import { type Campaign, readCampaign } from './registry.ts';
import { completion, hasForecast, openAhead } from './status.ts';

export interface PlanDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  limits: Limits;
}

/** What a submit would do, as things stand. */
export interface SubmitPlan {
  /** Whether the campaign would be new. */
  created: boolean;
  accepted: number;
  already: number;
  elsewhere: ElsewhereCount[];
  /** Ids of the campaign that would be open afterwards. */
  open: number;
  /** ISO 8601 UTC: when the last call would have been made; null: none would be, the campaign is paused, or nobody is there who can call. */
  etaAt: string | null;
}

/** For another campaign these ids stay where they are, as in the submit script. */
const LASTING: ReadonlySet<RecordState> = new Set<RecordState>(['open', 'checking', ...LASTING_OUTCOMES]);

/**
 * Looks up what a submit of these ids would do, by the same rules, and writes nothing.
 *
 * @param wanted.priority of the campaign, if it is new.
 * @param ids 16 bytes each, in parts of any number of them.
 * @throws StanddownError CAMPAIGN_CLOSED
 */
export async function planSubmit(
  deps: PlanDeps,
  wanted: { name: string; priority: number },
  ids: AsyncIterable<Buffer>,
): Promise<SubmitPlan> {
  const { redis, keys } = deps;
  const number = Number((await redis.hget(keys.campaigns, wanted.name)) ?? 0);
  const campaign = number === 0 ? null : await readCampaign(redis, keys, number);
  if (number !== 0) refuseClosed(campaign);
  const elsewhere = createElsewhereCounter(deps);
  const fresh = new Set<string>();
  let already = 0;
  for await (const part of ids) {
    for (const [index, record] of (await deps.ledger.look(part)).entries()) {
      const id = part.toString('latin1', index * ID_BYTES, (index + 1) * ID_BYTES);
      if (record?.campaign === number || fresh.has(id)) already++;
      else if (staysElsewhere(record)) elsewhere.add({ ...record, count: 1 });
      else fresh.add(id);
    }
  }
  const open = (campaign?.open ?? 0) + fresh.size;
  return {
    created: number === 0,
    accepted: fresh.size,
    already,
    elsewhere: await elsewhere.result(),
    open,
    etaAt: await etaOf(deps, campaign, wanted.priority, open),
  };
}

function staysElsewhere(record: Look | null | undefined): record is Look {
  return record !== null && record !== undefined && LASTING.has(record.state);
}

function refuseClosed(campaign: Campaign | null): void {
  const state = campaign?.state ?? 'deleted';
  if (state === 'running' || state === 'paused') return;
  throw new StanddownError('CAMPAIGN_CLOSED', `the campaign is ${state} and takes no more ids`, {
    context: { state },
  });
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
