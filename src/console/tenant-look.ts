import type { Tenant } from '../app/tenant.ts';
import { livingWorkers } from '../store/budget/roster.ts';
import { type BudgetView, viewBudget } from '../store/budget/view.ts';
import { type Ahead, readWaiting } from '../store/campaign/forecast.ts';
import { campaignNames, readCampaign } from '../store/campaign/registry.ts';
import { type CampaignLook, isOver, statusOf } from '../store/campaign/status.ts';
import { createBudgetHistory, type Past, type Refusal } from './budget-history.ts';

/** How a tenant stands. */
export interface TenantLook {
  budget: BudgetView;
  /** How many calls wait for their turn. */
  waiting: Ahead;
  /** What is known of its earlier calls. */
  past: Past;
  /** Campaigns that are not done: the open ones, in the order in which they are fed. */
  active: CampaignLook[];
  /** The others, latest first. */
  ended: CampaignLook[];
  /** How much it needs somebody: 0 (nothing) to 3. */
  trouble: number;
}

/** Looks of several people within so many ms are one. */
const SHARED_MS = 1_000;

/** What has ended hardly changes: it is read again after so many ms. */
const ENDED_MS = 30_000;

interface Known {
  look: CampaignLook;
  readAt: number;
}

/** Looks at a tenant. Hundreds of campaigns that have ended are not read each time: only what can change is. */
export function createTenantLook(tenant: Tenant) {
  const { redis, keys, limits } = tenant;
  let known = new Map<number, Known>();
  const history = createBudgetHistory(limits);
  let last: { at: number; look: Promise<TenantLook>; isDone: boolean } | null = null;

  async function read(): Promise<TenantLook> {
    const [budget, waiting, named, running, refused] = await Promise.all([
      viewBudget(redis, keys, limits),
      readWaiting(tenant),
      campaignNames(redis, keys),
      redis.zrange(keys.running, '0', '-1'),
      redis.hmget(keys.state, 'cancel:pacedAt', 'cancel:penalty'),
    ]);
    history.note(budget, refusalOf(refused));
    const fed = new Set(running.map(Number));
    const now = performance.now();
    const found = await Promise.all(
      named.map(async ([name, number]): Promise<[number, Known] | null> => {
        const before = known.get(number);
        // Where Redis lost its data, another campaign may have the number.
        const isSame = before?.look.campaign.name === name;
        if (before && isSame && !fed.has(number) && !isChanging(before, now)) return [number, before];
        const campaign = await readCampaign(redis, keys, number);
        if (!campaign || campaign.state === 'deleted') return null;
        const status = await statusOf(tenant, campaign, budget);
        return [number, { look: { campaign, status }, readAt: now }];
      }),
    );
    known = new Map(found.filter((entry) => entry !== null));
    const looks = [...known.values()].map(({ look }) => look);
    const active = looks.filter(isUnfinished).sort(byTurn);
    const ended = looks.filter((look) => !isUnfinished(look)).reverse();
    return { budget, waiting, past: history.past(), active, ended, trouble: troubleOf(budget, active) };
  }

  return {
    look: (): Promise<TenantLook> => {
      const now = performance.now();
      // One that hangs is not asked a second time.
      if (last && (!last.isDone || now - last.at < SHARED_MS)) return last.look;
      const mine = { at: now, look: read(), isDone: false };
      last = mine;
      mine.look.then(
        () => {
          mine.isDone = true;
        },
        () => {
          // A failed one is not shared.
          if (last === mine) last = null;
        },
      );
      return mine.look;
    },
    forget: (): void => {
      known = new Map();
      last = null;
    },
  };
}

/** The last one: the state keeps it when it is over. */
function refusalOf([pacedAt, penalty]: readonly (string | null)[]): Refusal | null {
  return pacedAt ? { at: Number(pacedAt), until: Number(penalty ?? 0) } : null;
}

function isChanging({ look, readAt }: Known, now: number): boolean {
  return isUnfinished(look) || now - readAt > ENDED_MS;
}

/** One that was paused because of refusals waits for a person, also when nothing of it is open. */
function isUnfinished({ campaign: { state, pausedReason }, status }: CampaignLook): boolean {
  return !isOver(status) || (state === 'paused' && pausedReason !== null);
}

function byTurn({ campaign: one }: CampaignLook, { campaign: other }: CampaignLook): number {
  return one.priority - other.priority || one.number - other.number;
}

/** What passes by itself, and soon. */
const USUAL: ReadonlySet<string> = new Set(['window', 'grace', 'paused']);

function troubleOf(budget: BudgetView, active: readonly CampaignLook[]): number {
  if (active.length === 0) return 0;
  const isRunning = active.some(({ campaign }) => campaign.state === 'running');
  if (
    isRunning &&
    (livingWorkers(budget.workers, budget.now).length === 0 ||
      budget.holds.some(({ reason }) => !USUAL.has(reason)))
  )
    return 3;
  if (active.some(({ campaign }) => campaign.state === 'paused' && campaign.pausedReason)) return 2;
  return budget.pace && isRunning ? 1 : 0;
}
