import { OUTCOMES, type Outcome } from '../../base/outcome.ts';
import type { Limits } from '../../config/limits.ts';
import { type BudgetView, decisiveHold, type Hold, viewBudget } from '../budget/view.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { feedingPlace, URGENT } from '../ledger/place.ts';
import type { RedisClient } from '../script.ts';
import { type Ahead, completion, hasForecast, NO_FORECAST, readAhead, readNeighbours } from './forecast.ts';
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
  /** ISO 8601 UTC: what is pending then is not called; null: never. */
  expiresAt: string | null;
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
  /** When its last call will have been made or it expires, as things stand; null: nothing left, not running, or nobody who can call. */
  etaAt: string | null;
  /** How many of its own actions will expire before their turn, as things stand; null where `etaAt` is. */
  expiring: number | null;
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
  const neighbours = await readNeighbours(deps, place);
  // Sent in one go: what was answered between the one and the other would count twice, or not at all, and a call more or
  // less can be a whole turn of a window.
  const [read, budget, ahead] = await Promise.all([
    readCampaign(redis, keys, found.number),
    viewBudget(redis, keys, limits),
    readAhead(deps, place, found, neighbours),
  ]);
  const campaign = read ?? found;
  return { campaign, status: await statusOf(deps, campaign, budget, ahead), budget };
}

/** @param ahead looked up when it is not known. */
export async function statusOf(
  deps: StatusDeps,
  campaign: Campaign,
  budget: BudgetView,
  ahead?: Ahead,
): Promise<CampaignStatus> {
  const tracked = await readTracked(deps, campaign.number);
  const owners = await ownersOf(deps, tracked);
  const numbers = numbersOf(campaign, tracked, budget.now);
  const { state } = numbers;
  return {
    campaign: campaign.name,
    comment: campaign.comment,
    requestedBy: campaign.requestedBy,
    priority: campaign.priority,
    createdAt: toIso(campaign.createdAt),
    expiresAt: campaign.expiresAt === null ? null : toIso(campaign.expiresAt),
    ...numbers,
    hold: holdOf(
      { ...campaign, state: state === 'expired' ? state : campaign.state },
      owners,
      campaign.priority === URGENT ? budget.urgentHolds : budget.holds,
    ),
    ...(state === 'running' && numbers.open > 0 && hasForecast(budget)
      ? await forecastOf(deps, campaign, budget, { tracked, owners, ahead })
      : NO_FORECAST),
  };
}

/** What a campaign's actions add up to, those that it tracks included. */
export type Numbers = Pick<CampaignStatus, 'state' | 'total' | 'open' | 'unknown' | 'tracked' | 'outcomes'>;

/** @param now in ms since 1970, by Redis' clock. */
export function numbersOf(campaign: Campaign, tracked: Tracked, now: number): Numbers {
  const total = campaign.total + tracked.total;
  const open = campaign.open + tracked.open;
  return {
    state: displayState({ ...campaign, total, open }, now),
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
async function forecastOf(
  deps: StatusDeps,
  campaign: Campaign,
  budget: BudgetView,
  { tracked, owners, ahead }: { tracked: Tracked; owners: readonly Campaign[]; ahead: Ahead | undefined },
): Promise<Pick<CampaignStatus, 'etaAt' | 'expiring'>> {
  const isUrgent = campaign.priority === URGENT;
  // Nobody calls what is paused where it is owned, for whomever.
  if (owners.some(({ state }) => state !== 'running')) return NO_FORECAST;
  const endOf = async (of: Campaign, more: number, before?: Ahead) => {
    const place = feedingPlace(of.priority, of.number);
    const first = before ?? (await readAhead(deps, place, of, await readNeighbours(deps, place)));
    const waiting = { open: of.open + more, expiresAt: of.expiresAt };
    return completion(deps.limits, budget, first, waiting, of.priority === URGENT);
  };
  const own = await endOf(campaign, isUrgent ? tracked.open : 0, ahead);
  const others = await Promise.all(isUrgent ? [] : owners.map((owner) => endOf(owner, 0)));
  const isCalled = campaign.open > 0 || isUrgent;
  const ends = [...(isCalled ? [own] : []), ...others].map(({ endAt }) => endAt);
  if (ends.length === 0) return NO_FORECAST;
  const last = Math.min(Math.max(...ends), campaign.expiresAt ?? Number.POSITIVE_INFINITY);
  // What it follows its owners call all the same.
  return { etaAt: toIso(last), expiring: Math.min(own.expiring, campaign.open) };
}

function holdOf(
  campaign: Pick<Campaign, 'open' | 'pausedReason'> & { state: DisplayState },
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
