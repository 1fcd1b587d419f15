import { type ForecastInput, forecast } from '../budget/forecast.ts';
import { pacedWindows } from '../budget/pace.ts';
import { canSomeoneCall } from '../budget/roster.ts';
import { type BudgetView, type Hold, viewBudget } from '../budget/view.ts';
import { type Limits, windowsFor } from '../budget/windows.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, isUrgentPlace, URGENT } from '../ledger/place.ts';
import type { Outcome } from '../outcome.ts';
import type { RedisClient } from '../script.ts';
import { type Campaign, type DisplayState, displayState, findCampaign, readCampaign } from './registry.ts';

/** What `status --json` prints of a campaign. */
export interface CampaignStatus {
  campaign: string;
  state: DisplayState;
  /** Ids of its own. */
  total: number;
  open: number;
  /** Ids that it names and another campaign owns. */
  elsewhere: number;
  outcomes: Partial<Record<Outcome, number>>;
  /** Why nothing of it goes out now. Times in ISO 8601 UTC; null: not known. */
  hold: { reason: string; until: string | null; detail: string } | null;
  /** When its last call will have been made, as things stand; null: nothing left, not running, or nobody who can call. */
  etaAt: string | null;
}

export interface StatusDeps {
  redis: RedisClient;
  keys: Keys;
  limits: Limits;
}

/** @throws StanddownError CAMPAIGN_UNKNOWN */
export async function campaignStatus(deps: StatusDeps, name: string): Promise<CampaignStatus> {
  return (await lookAtCampaign(deps, name)).status;
}

/** How far a campaign is, and the budget its forecast goes by. @throws StanddownError CAMPAIGN_UNKNOWN */
export async function lookAtCampaign(deps: StatusDeps, name: string): Promise<WithBudget> {
  return lookAt(deps, await findCampaign(deps.redis, deps.keys, name));
}

/** A campaign and how far it is. */
export interface CampaignLook {
  campaign: Campaign;
  status: CampaignStatus;
}

type WithBudget = CampaignLook & { budget: BudgetView };

/** The same of one that was found; as near to one moment as several reads come. */
export async function lookAt(deps: StatusDeps, found: Campaign): Promise<WithBudget> {
  const { redis, keys, limits } = deps;
  const place = feedingPlace(found.priority, found.number);
  const before = await numbersBefore(deps, place);
  // Sent in one go: what was answered between the one and the other would count twice, or not at all, and a call more or
  // less can be a whole turn of a window.
  const [read, budget, ahead] = await Promise.all([
    readCampaign(redis, keys, found.number),
    viewBudget(redis, keys, limits),
    openOf(deps, before, place),
  ]);
  const campaign = read ?? found;
  return { campaign, status: await statusOf(deps, campaign, budget, ahead), budget };
}

/** ahead: how many calls go before; looked up when it is not known. */
export async function statusOf(
  deps: StatusDeps,
  campaign: Campaign,
  budget: BudgetView,
  ahead?: number,
): Promise<CampaignStatus> {
  const { redis, keys } = deps;
  const isRunning = campaign.state === 'running' && campaign.open > 0;
  const [elsewhere, first] = await Promise.all([
    redis.scard(keys.elsewhere(campaign.number)),
    isRunning ? (ahead ?? openAhead(deps, feedingPlace(campaign.priority, campaign.number))) : 0,
  ]);
  return {
    campaign: campaign.name,
    state: displayState(campaign),
    total: campaign.total,
    open: campaign.open,
    elsewhere,
    outcomes: campaign.outcomes,
    hold: holdOf(campaign, budget.holds),
    etaAt:
      isRunning && hasForecast(budget)
        ? toIso(completion(deps.limits, budget, first + campaign.open, campaign.priority === URGENT))
        : null,
  };
}

/** Holds of which nobody knows the end: what is shown beside them is when it is tried again. */
const ENDLESS: readonly string[] = ['sign-in', 'unauthorized', 'upstream'];

/** Whether there is anything to forecast: a worker that can call, now or at a time that is known. */
export function hasForecast(budget: BudgetView): boolean {
  return (
    canSomeoneCall(budget.workers, budget.now) &&
    budget.holds.every(({ reason }) => !ENDLESS.includes(reason))
  );
}

/** When so many further calls will have been made, in ms of Redis' clock. */
export function completion(limits: Limits, budget: BudgetView, calls: number, isUrgent: boolean): number {
  const { input, left } = outlook(limits, budget, calls, isUrgent);
  return forecast(input, left) + budget.latencyMs;
}

/** What a forecast of so many further calls goes by, and how many of them are not in flight yet. */
export function outlook(
  limits: Limits,
  budget: BudgetView,
  calls: number,
  isUrgent: boolean,
): { input: ForecastInput; left: number } {
  const windows = pacedWindows(windowsFor(limits, isUrgent ? 'urgent' : 'bulk'), budget.pace?.share ?? 1);
  const notBefore = Math.max(0, ...budget.holds.filter(isExact).map((hold) => hold.until ?? 0));
  const { now, latencyMs } = budget;
  // A slot in flight is stamped when its answer comes: soon. Its request is among the open ones still.
  const stamps = budget.stamps.map((stamp) => Math.min(stamp, now));
  const inFlight = budget.stamps.filter((stamp) => stamp > now).length;
  return { input: { now, stamps, windows, notBefore, latencyMs }, left: Math.max(0, calls - inFlight) };
}

/** What the forecast knows from the slots themselves is not counted twice. */
function isExact(hold: Hold): boolean {
  return hold.reason !== 'window';
}

/**
 * How many calls go before those of a campaign at this place: open ids of running campaigns that are fed before it, and
 * what services wait for; before an urgent one only what is urgent.
 */
export async function openAhead(deps: Pick<StatusDeps, 'redis' | 'keys'>, place: number): Promise<number> {
  return openOf(deps, await numbersBefore(deps, place), place);
}

/** The running campaigns that are fed before this place, by number. */
async function numbersBefore(
  { redis, keys }: Pick<StatusDeps, 'redis' | 'keys'>,
  place: number,
): Promise<number[]> {
  return (await redis.zrangebyscore(keys.running, '-inf', `(${place}`)).map(Number);
}

/** What is open of these campaigns, and what services wait for before this place. */
async function openOf(
  { redis, keys }: Pick<StatusDeps, 'redis' | 'keys'>,
  numbers: readonly number[],
  place: number,
): Promise<number> {
  const [singles, urgent, ...campaigns] = await Promise.all([
    isUrgentPlace(place) ? 0 : redis.llen(keys.lane('cancel', 'wait')),
    redis.llen(keys.lane('cancel-urgent', 'wait')),
    ...numbers.map((number) => readCampaign(redis, keys, number)),
  ]);
  return singles + urgent + campaigns.reduce((sum, campaign) => sum + (campaign?.open ?? 0), 0);
}

function holdOf(campaign: Campaign, holds: readonly Hold[]): CampaignStatus['hold'] {
  // With nothing open it still says why it was paused: what was refused can be called again.
  if (campaign.open === 0 && campaign.pausedReason === null) return null;
  if (campaign.state === 'paused')
    return { reason: 'paused', until: null, detail: campaign.pausedReason ?? '' };
  const [hold] = campaign.state === 'running' && campaign.open > 0 ? holds : [];
  if (!hold) return null;
  return { reason: hold.reason, until: hold.until === null ? null : toIso(hold.until), detail: hold.detail };
}

function toIso(ms: number): string {
  return new Date(Math.ceil(ms)).toISOString();
}

/**
 * Whether every action of a campaign is known to be cancelled, those that other campaigns own included.
 */
export async function isStopped(
  { redis, keys, ledger }: StatusDeps & { ledger: Ledger },
  campaign: Campaign,
): Promise<boolean> {
  if (campaign.open > 0 || campaign.stopped < campaign.total) return false;
  const elsewhere = await redis.smembersBuffer(keys.elsewhere(campaign.number));
  const records = await ledger.look(Buffer.concat(elsewhere));
  return records.every((record) => record?.stopped === true);
}
