import { type Campaign, readCampaign } from '../../store/campaign/registry.ts';
import { isOver, type Numbers, numbersOf } from '../../store/campaign/status.ts';
import { readTracked, type Tracked, type TrackedDeps } from '../../store/campaign/tracked.ts';
import type { Seen } from './notice.ts';

export interface WatcherDeps extends TrackedDeps {
  /** Since when a campaign that follows others is over; see `outbox.ts`. */
  noteOver(campaign: number, isOver: boolean): Promise<number | null>;
}

/** What was tracked, all of it ended, and how its owners stood then. */
interface Ended {
  tracked: Tracked;
  stamp: string;
}

/** Campaigns that are looked at together. */
export const AT_ONCE = 25;

/** Sees campaigns with what they follow. What has ended is counted again only when its owners have changed. */
export function createWatcher(deps: WatcherDeps) {
  const { redis, keys } = deps;
  let known = new Map<number, Ended>();

  async function trackedBy(number: number, all: ReadonlyMap<number, Campaign>): Promise<Tracked> {
    const before = known.get(number);
    const isSame =
      before?.stamp === stampOf(before?.tracked, all) &&
      before?.tracked.total === (await redis.scard(keys.elsewhere(number)));
    if (before && isSame) return before.tracked;
    return readTracked(deps, number);
  }

  async function see(
    campaign: Campaign,
    all: ReadonlyMap<number, Campaign>,
    now: number,
  ): Promise<[Seen, Ended | null]> {
    const tracked = await trackedBy(campaign.number, all);
    const numbers = numbersOf(campaign, tracked, now);
    const stamp = tracked.open === 0 && tracked.total > 0 ? stampOf(tracked, all) : null;
    return [
      {
        campaign,
        numbers,
        overAt: await overAt(campaign, tracked, numbers),
        isWaiting: await isWaiting(campaign, tracked, all),
      },
      stamp === null ? null : { tracked, stamp },
    ];
  }

  async function overAt(campaign: Campaign, tracked: Tracked, numbers: Numbers): Promise<number | null> {
    if (tracked.total === 0) return campaign.decidedAt;
    const since = await deps.noteOver(campaign.number, isOver(numbers));
    return Math.max(since ?? campaign.createdAt, campaign.decidedAt ?? 0);
  }

  async function isWaiting(
    { open }: Campaign,
    { openIn }: Tracked,
    all: ReadonlyMap<number, Campaign>,
  ): Promise<boolean> {
    if (open > 0) return true;
    const owners = await Promise.all(
      openIn.map((number) => all.get(number) ?? readCampaign(redis, keys, number)),
    );
    return owners.some((owner) => owner?.state === 'running');
  }

  /** now: in ms, by Redis' clock. */
  return async (campaigns: readonly Campaign[], now: number): Promise<Seen[]> => {
    const all = new Map(campaigns.map((campaign) => [campaign.number, campaign]));
    const ended = new Map<number, Ended>();
    const seen: Seen[] = [];
    // The calls' own commands go over this connection, too: they must not wait for all of it.
    for (let from = 0; from < campaigns.length; from += AT_ONCE) {
      const part = campaigns.slice(from, from + AT_ONCE);
      for (const [one, kept] of await Promise.all(part.map((campaign) => see(campaign, all, now)))) {
        if (kept) ended.set(one.campaign.number, kept);
        seen.push(one);
      }
    }
    known = ended;
    return seen;
  };
}

/** Another one whenever anything of these owners was opened, decided or taken away; null: not all of them were read. */
function stampOf(tracked: Tracked | undefined, all: ReadonlyMap<number, Campaign>): string | null {
  const owners = (tracked?.owners ?? []).map((number) => all.get(number));
  if (!owners.every((owner) => owner !== undefined)) return null;
  return owners.map(({ number, total, open, results }) => [number, total, open, results].join(' ')).join();
}
