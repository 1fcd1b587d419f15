import { OUTCOMES, type Outcome } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { RedisClient } from '../script.ts';

/** Ids that a campaign names and that other campaigns own: how they stand there. */
export interface Tracked {
  total: number;
  open: number;
  /** The campaign that owned them was deleted: nobody calls them, and nobody knows what became of them. */
  unknown: number;
  outcomes: Partial<Record<Outcome, number>>;
  /** Their actions that are known to be cancelled. */
  stopped: number;
  /** Numbers of the campaigns that own them, and of those in which some of them are open. */
  owners: readonly number[];
  openIn: readonly number[];
}

export interface TrackedDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

interface Counted {
  tracked: Tracked;
  /** Monotonic ms. */
  at: number;
  tookMs: number;
}

/** More of them are not counted again at each look, if that takes long, in ms: no more than this share of the time goes into it. */
const MANY = 1_000;
const LONG_MS = 50;
const SHARE = 0.05;

const counted = new WeakMap<Ledger, Map<number, Counted>>();

const NONE: Tracked = { total: 0, open: 0, unknown: 0, outcomes: {}, stopped: 0, owners: [], openIn: [] };

/** How the ids stand that a campaign tracks: by what the ledger says of each of them now, or, where they are many, said a moment ago. */
export async function readTracked(deps: TrackedDeps, campaign: number): Promise<Tracked> {
  const { redis, keys, ledger } = deps;
  const total = await redis.scard(keys.elsewhere(campaign));
  if (total === 0) return NONE;
  const known = counted.get(ledger) ?? new Map<number, Counted>();
  counted.set(ledger, known);
  const last = known.get(campaign);
  const at = performance.now();
  const isRecent = last && total > MANY && last.tookMs > LONG_MS && at - last.at < last.tookMs / SHARE;
  if (isRecent && last.tracked.total === total) return last.tracked;
  const tracked = await countTracked(deps, campaign);
  known.set(campaign, { tracked, at: performance.now(), tookMs: performance.now() - at });
  return tracked;
}

/** The same, by what the ledger says now. */
export async function countTracked({ redis, keys, ledger }: TrackedDeps, campaign: number): Promise<Tracked> {
  const ids = await redis.smembersBuffer(keys.elsewhere(campaign));
  if (ids.length === 0) return NONE;
  const outcomes: Tracked['outcomes'] = {};
  const [owners, openIn] = [new Set<number>(), new Set<number>()];
  let [open, unknown, stopped] = [0, 0, 0];
  for (const record of await ledger.look(Buffer.concat(ids))) {
    const outcome = OUTCOMES.find((known) => known === record?.state);
    if (!record) unknown++;
    else if (outcome) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    else {
      open++;
      openIn.add(record.campaign);
    }
    if (record) owners.add(record.campaign);
    if (record?.stopped) stopped++;
  }
  return { total: ids.length, open, unknown, outcomes, stopped, owners: [...owners], openIn: [...openIn] };
}
