import { type ForecastInput, forecast } from '../budget/forecast.ts';
import { pacedWindows } from '../budget/pace.ts';
import { canSomeoneCall } from '../budget/roster.ts';
import { type BudgetView, decisiveHold, type Hold, isEndless, viewBudget } from '../budget/view.ts';
import { type Limits, windowsFor } from '../budget/windows.ts';
import { FED_JOB_ID, type Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, isUrgentPlace, URGENT } from '../ledger/place.ts';
import { OUTCOMES, type Outcome } from '../outcome.ts';
import type { RedisClient } from '../script.ts';
import { type Campaign, type DisplayState, displayState, findCampaign, readCampaign } from './registry.ts';
import { countTracked, readTracked, type Tracked, type TrackedDeps } from './tracked.ts';

/** What `status --json` prints of a campaign. */
export interface CampaignStatus {
  campaign: string;
  comment: string;
  /** Null: not known. */
  requestedBy: string | null;
  /** 0: urgent; 1 (first) to 9 (last). */
  priority: number;
  /** ISO 8601 UTC. */
  createdAt: string;
  /** `done` when nothing of it is open, nor of what it tracks; `empty` when it names nothing yet. */
  state: DisplayState;
  /** Ids that it names, those that it tracks included. */
  total: number;
  open: number;
  /** Ids that it tracks and whose campaign was deleted: nobody knows what became of them. `total` is these, the open ones and those with an outcome. */
  unknown: number;
  /** Ids among all of these that other campaigns own: it shows them as they are there. */
  tracked: { total: number; open: number };
  outcomes: Partial<Record<Outcome, number>>;
  /** Why nothing of it goes out now. Times in ISO 8601 UTC; null: not known. */
  hold: { reason: string; until: string | null; detail: string } | null;
  /** When its last call will have been made, as things stand; null: nothing left, not running, or nobody who can call. */
  etaAt: string | null;
}

export interface StatusDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
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
  const tracked = await readTracked(deps, campaign.number);
  const owners = await ownersOf(deps, tracked);
  const numbers = numbersOf(campaign, tracked);
  return {
    campaign: campaign.name,
    comment: campaign.comment,
    requestedBy: campaign.requestedBy,
    priority: campaign.priority,
    createdAt: toIso(campaign.createdAt),
    ...numbers,
    hold: holdOf(campaign, owners, campaign.priority === URGENT ? budget.urgentHolds : budget.holds),
    etaAt:
      campaign.state === 'running' && numbers.open > 0 && hasForecast(budget)
        ? await etaOf(deps, campaign, budget, { tracked, owners, ahead })
        : null,
  };
}

/** What a campaign's actions add up to, those that it tracks included. */
export type Numbers = Pick<CampaignStatus, 'state' | 'total' | 'open' | 'unknown' | 'tracked' | 'outcomes'>;

export function numbersOf(campaign: Campaign, tracked: Tracked): Numbers {
  const total = campaign.total + tracked.total;
  const open = campaign.open + tracked.open;
  return {
    state: displayState({ state: campaign.state, total, open }),
    total,
    open,
    unknown: tracked.unknown,
    tracked: { total: tracked.total, open: tracked.open },
    outcomes: sumOf(campaign.outcomes, tracked.outcomes),
  };
}

/** Whether a campaign has come to its end: nothing of it is open, nor, unless it was ended before, of what it tracks. */
export function isOver({
  state,
  open,
  tracked,
}: Pick<CampaignStatus, 'state' | 'open' | 'tracked'>): boolean {
  return open === 0 || ((state === 'aborted' || state === 'expired') && open === tracked.open);
}

/**
 * Whether pausing or aborting a campaign would change anything; `steer` decides. The day's single cancels never finish, and one that
 * names nothing yet has not begun.
 */
export function mayBeSteered({ campaign, status }: CampaignLook): boolean {
  return status.state !== 'done' || campaign.direct;
}

/** Whether pausing it would hold anything back: what it follows is called by its owners, unless it is urgent. `steer` decides. */
export function mayBePaused(look: CampaignLook): boolean {
  const { state, direct, open, priority } = look.campaign;
  const isOwn = open > 0 || direct || priority === URGENT || look.status.total === 0;
  return state === 'running' && isOwn && mayBeSteered(look);
}

/** The campaigns in which some of what is tracked is open. */
async function ownersOf({ redis, keys }: StatusDeps, { openIn }: Tracked): Promise<Campaign[]> {
  const owners = await Promise.all(openIn.map((number) => readCampaign(redis, keys, number)));
  return owners.filter((owner) => owner !== null);
}

function sumOf(
  one: CampaignStatus['outcomes'],
  other: CampaignStatus['outcomes'],
): CampaignStatus['outcomes'] {
  const sum: CampaignStatus['outcomes'] = {};
  for (const outcome of OUTCOMES) {
    const number = (one[outcome] ?? 0) + (other[outcome] ?? 0);
    if (number > 0) sum[outcome] = number;
  }
  return sum;
}

/** What it tracks is called when its owners' turn comes; an urgent one has it called in its own. */
async function etaOf(
  deps: StatusDeps,
  campaign: Campaign,
  budget: BudgetView,
  { tracked, owners, ahead }: { tracked: Tracked; owners: readonly Campaign[]; ahead: number | undefined },
): Promise<string | null> {
  const { limits } = deps;
  const isUrgent = campaign.priority === URGENT;
  const calls = isUrgent ? [] : owners;
  // Nobody calls what is paused where it is owned, for whomever.
  if (owners.some(({ state }) => state !== 'running')) return null;
  const endOf = async ({ priority, number, open }: Campaign, more: number, before?: number) => {
    const first = before ?? (await openAhead(deps, feedingPlace(priority, number)));
    return completion(limits, budget, first + open + more, priority === URGENT);
  };
  const own = campaign.open > 0 || isUrgent ? [endOf(campaign, isUrgent ? tracked.open : 0, ahead)] : [];
  const ends = await Promise.all([...own, ...calls.map((owner) => endOf(owner, 0))]);
  return ends.length === 0 ? null : toIso(Math.max(...ends));
}

/** Whether there is anything to forecast: a worker that can call, now or at a time that is known. */
export function hasForecast(budget: BudgetView): boolean {
  return canSomeoneCall(budget.workers, budget.now) && !budget.holds.some(isEndless);
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

/** How many calls wait for their turn, of running campaigns and of services. */
export function callsWaiting(deps: Pick<StatusDeps, 'redis' | 'keys'>): Promise<number> {
  return openAhead(deps, BEHIND_ALL);
}

const BEHIND_ALL = feedingPlace(10, 0);

/** The running campaigns that are fed before this place, by number. */
async function numbersBefore(
  { redis, keys }: Pick<StatusDeps, 'redis' | 'keys'>,
  place: number,
): Promise<number[]> {
  return (await redis.zrangebyscore(keys.running, '-inf', `(${place}`)).map(Number);
}

/** Of the urgent lane's jobs: more of urgent campaigns are never handed out at once. */
const MOST_LOOKED_AT = 2_000;

/** What is open of these campaigns, and what services wait for before this place. */
async function openOf(
  { redis, keys }: Pick<StatusDeps, 'redis' | 'keys'>,
  numbers: readonly number[],
  place: number,
): Promise<number> {
  const [singles, urgent, waiting, ...campaigns] = await Promise.all([
    isUrgentPlace(place) ? 0 : redis.llen(keys.lane('cancel', 'wait')),
    redis.llen(keys.lane('cancel-urgent', 'wait')),
    redis.lrange(keys.lane('cancel-urgent', 'wait'), 0, MOST_LOOKED_AT - 1),
    ...numbers.map((number) => readCampaign(redis, keys, number)),
  ]);
  // What urgent campaigns have handed out is among what is open of them.
  const fed = waiting.filter((jobId) => FED_JOB_ID.test(jobId)).length;
  return singles + urgent - fed + campaigns.reduce((sum, campaign) => sum + (campaign?.open ?? 0), 0);
}

function holdOf(
  campaign: Campaign,
  owners: readonly Campaign[],
  holds: readonly Hold[],
): CampaignStatus['hold'] {
  const isOpen = campaign.open > 0 || owners.length > 0;
  // With nothing open it still says why it was paused: what was refused can be called again.
  if (!isOpen && campaign.pausedReason === null) return null;
  if (campaign.state === 'paused')
    return { reason: 'paused', until: null, detail: campaign.pausedReason ?? '' };
  const paused = owners.find(({ state }) => state === 'paused');
  const isOwnHeld = campaign.open > 0 && holds.length > 0;
  if (campaign.state === 'running' && !isOwnHeld && paused) {
    const detail =
      paused.pausedReason ?? `Campaign ${JSON.stringify(paused.name)}, which owns these actions, is paused.`;
    return { reason: 'paused', until: null, detail };
  }
  const hold = campaign.state === 'running' && isOpen ? decisiveHold(holds) : null;
  if (!hold) return null;
  return { reason: hold.reason, until: hold.until === null ? null : toIso(hold.until), detail: hold.detail };
}

function toIso(ms: number): string {
  return new Date(Math.ceil(ms)).toISOString();
}

/** Whether a campaign has actions and every one is known to be cancelled, those that other campaigns own included. */
export async function isStopped(deps: TrackedDeps, campaign: Campaign): Promise<boolean> {
  if (campaign.open > 0 || campaign.stopped < campaign.total) return false;
  const { stopped, total } = await countTracked(deps, campaign.number);
  return stopped === total && campaign.total + total > 0;
}
