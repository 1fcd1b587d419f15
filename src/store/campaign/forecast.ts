import { type Limits, windowsFor } from '../../config/limits.ts';
import { callsWithin, type ForecastInput, forecast } from '../budget/forecast.ts';
import { pacedWindows } from '../budget/pace.ts';
import { canSomeoneCall } from '../budget/roster.ts';
import { type BudgetView, type Hold, isEndless } from '../budget/view.ts';
import { FED_JOB_ID, type LaneName } from '../keys.ts';
import { feedingPlace, isUrgentPlace, URGENT } from '../ledger/place.ts';
import { type Campaign, readCampaign } from './registry.ts';
import { readTracked, type TrackedDeps } from './tracked.ts';

type ForecastDeps = TrackedDeps;
type Own = Pick<Campaign, 'number' | 'open' | 'direct'>;
type Waiting = Pick<Campaign, 'open' | 'expiresAt'>;

/** What is called before a campaign, in this order. */
export interface Ahead {
  /** What services wait for, and what was handed out already of campaigns that come later. */
  jobs: number;
  /** Running campaigns that are fed before, the first one first. */
  campaigns: readonly Waiting[];
}

/** Whether nothing waits. */
export function isIdle({ jobs, campaigns }: Ahead): boolean {
  return jobs === 0 && campaigns.every(({ open }) => open === 0);
}

export const NO_FORECAST = { etaAt: null, expiring: null };

/** Whether there is anything to forecast: a worker that can call, now or at a time that is known. */
export function hasForecast(budget: BudgetView): boolean {
  return canSomeoneCall(budget.workers, budget.now) && !budget.holds.some(isEndless);
}

/**
 * When a campaign will have ended, and how many of its actions expire before their turn.
 *
 * @returns endAt in ms of Redis' clock: its last call is answered, or its time has passed.
 */
export function completion(
  limits: Limits,
  budget: BudgetView,
  ahead: Ahead,
  { open, expiresAt }: Waiting,
  isUrgent: boolean,
): { endAt: number; expiring: number } {
  const { input, inFlight } = outlook(limits, budget, isUrgent);
  const before = callsBefore(ahead, input, inFlight);
  const endAt = forecast(input, before + open - inFlight) + budget.latencyMs;
  if (expiresAt === null || endAt <= expiresAt) return { endAt, expiring: 0 };
  const called = callsBy(expiresAt, input, inFlight, before + open) - before;
  return { endAt: Math.max(budget.now, expiresAt), expiring: open - Math.max(0, called) };
}

/** What a forecast of all that waits goes by, and how many further calls that is. */
export function outlookOfAll(
  limits: Limits,
  budget: BudgetView,
  ahead: Ahead,
): { input: ForecastInput; left: number } {
  const { input, inFlight } = outlook(limits, budget, false);
  return { input, left: Math.max(0, callsBefore(ahead, input, inFlight) - inFlight) };
}

function outlook(
  limits: Limits,
  budget: BudgetView,
  isUrgent: boolean,
): { input: ForecastInput; inFlight: number } {
  const windows = pacedWindows(windowsFor(limits, isUrgent ? 'urgent' : 'bulk'), budget.pace?.share ?? 1);
  const notBefore = Math.max(0, ...budget.holds.filter(isExact).map((hold) => hold.until ?? 0));
  const { now, latencyMs } = budget;
  // A slot in flight is stamped when its answer comes: soon. Its request is among those that wait still.
  const stamps = budget.stamps.map((stamp) => Math.min(stamp, now));
  const inFlight = budget.stamps.filter((stamp) => stamp > now).length;
  return { input: { now, stamps, windows, notBefore, latencyMs }, inFlight };
}

/** What the forecast knows from the slots themselves is not counted twice. */
function isExact(hold: Hold): boolean {
  return hold.reason !== 'window';
}

/** A campaign that expires before its turn takes no further calls. */
function callsBefore({ jobs, campaigns }: Ahead, input: ForecastInput, inFlight: number): number {
  let calls = jobs;
  for (const { open, expiresAt } of campaigns) {
    const end = calls + open;
    calls = expiresAt === null ? end : Math.max(calls, callsBy(expiresAt, input, inFlight, end));
  }
  return calls;
}

/** How many of the next calls, those in flight included, go out by a time; at most `limit`. */
function callsBy(time: number, input: ForecastInput, inFlight: number, limit: number): number {
  if (time <= input.now) return 0;
  return inFlight + callsWithin(input, time - input.now, Math.max(0, limit - inFlight));
}

/** The running campaigns that are fed before a place, and after it, by number. */
export interface Neighbours {
  before: readonly number[];
  behind: ReadonlySet<number>;
}

/** @param place see `feedingPlace`. */
export async function readNeighbours({ redis, keys }: ForecastDeps, place: number): Promise<Neighbours> {
  const [before, behind] = await Promise.all([
    redis.zrangebyscore(keys.running, '-inf', `(${place}`),
    redis.zrangebyscore(keys.running, `(${place}`, '+inf'),
  ]);
  return { before: before.map(Number), behind: new Set(behind.map(Number)) };
}

/** All that waits for its turn, of running campaigns and of services. */
export async function readWaiting(deps: ForecastDeps): Promise<Ahead> {
  return readAhead(deps, BEHIND_ALL, null, await readNeighbours(deps, BEHIND_ALL));
}

const BEHIND_ALL = feedingPlace(10, 0);

/** Of a lane's jobs: more of campaigns are never handed out at once. */
const MOST_JOBS = 2_000;

/** What is called before a campaign; before an urgent one only what is urgent. @param own null: it is not there yet. */
export async function readAhead(
  deps: ForecastDeps,
  place: number,
  own: Own | null,
  { before, behind }: Neighbours,
): Promise<Ahead> {
  const { redis, keys } = deps;
  const isUrgent = isUrgentPlace(place);
  const lengthOf = async (lane: LaneName) => {
    const [waiting, active] = await Promise.all([
      redis.llen(keys.lane(lane, 'wait')),
      redis.llen(keys.lane(lane, 'active')),
    ]);
    return waiting + active;
  };
  /** Which of its jobs are of which campaign, the newest first. */
  const fedIn = async (lane: LaneName) => {
    const [waiting, active] = await Promise.all([
      redis.lrange(keys.lane(lane, 'wait'), 0, MOST_JOBS - 1),
      redis.lrange(keys.lane(lane, 'active'), 0, -1),
    ]);
    return [...waiting, ...active]
      .filter((jobId) => FED_JOB_ID.test(jobId))
      .map((jobId) => Number.parseInt(jobId, 10));
  };
  const [singles, urgent, fedUrgent, fed, ...campaigns] = await Promise.all([
    // What is open of single cancels are these jobs.
    isUrgent || own?.direct ? 0 : lengthOf('cancel'),
    lengthOf('cancel-urgent'),
    fedIn('cancel-urgent'),
    isUrgent ? [] : fedIn('cancel-campaign'),
    ...before.map((number) => readWaitingOf(deps, number, [...before, ...(own ? [own.number] : [])])),
  ]);
  const handedOut = [fedUrgent, fed].map((numbers) => countAhead(numbers, own, behind));
  return {
    jobs: singles + urgent - fedUrgent.length + sum(handedOut),
    campaigns: campaigns.filter((campaign) => campaign !== null),
  };
}

/** An urgent campaign has what it follows called in its turn, too, unless that counts as open in another one of these. */
async function readWaitingOf(
  deps: ForecastDeps,
  number: number,
  counted: readonly number[],
): Promise<Waiting | null> {
  const campaign = await readCampaign(deps.redis, deps.keys, number);
  if (campaign?.priority !== URGENT) return campaign;
  const { open, openIn } = await readTracked(deps, number);
  const isCounted = openIn.every((owner) => counted.includes(owner));
  return { open: campaign.open + (isCounted ? 0 : open), expiresAt: campaign.expiresAt };
}

/** How many of these jobs are of campaigns that come later. What was handed out after the last of its own is called after that. */
function countAhead(numbers: readonly number[], own: Own | null, behind: ReadonlySet<number>): number {
  const isAllHandedOut =
    own !== null && own.open > 0 && numbers.filter((number) => number === own.number).length >= own.open;
  const from = isAllHandedOut ? numbers.indexOf(own.number) : 0;
  return numbers.slice(from).filter((number) => behind.has(number)).length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
