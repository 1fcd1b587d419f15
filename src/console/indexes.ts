import { count } from '../base/words/number.ts';
import { type CampaignIndex, createCampaignIndex } from './campaign-index.ts';
import { createAnalysis } from './campaign-parts.ts';
import { createFinder } from './requests.ts';
import type { Site } from './site.ts';
import type { ShownTenant } from './tenants.ts';

/** A campaign whose actions are known here, and what was made of them. */
export interface KnownCampaign {
  index: CampaignIndex;
  find: ReturnType<typeof createFinder>;
  analyse: ReturnType<typeof createAnalysis>;
}

export type Indexes = ReturnType<typeof createIndexes>;

/** More rows are not kept in memory; a report holds them. */
const MOST_ROWS = 1_000_000;

/** Who looks at a campaign does so again within so many ms: reading it again and again would help nobody. */
const LOOKED_AT_MS = 10_000;

interface Entry {
  known: KnownCampaign;
  /** Whose it is. After a change of the tenant's settings that is another one. */
  shown: ShownTenant;
  rows: number;
  /** Monotonic ms. */
  seenAt: number;
}

/**
 * Keeps the campaigns that were looked at last, as far as there is room for their rows. One that somebody looks at stays:
 * a newcomer for whom there is no room is told so.
 *
 * @param options.mostRows of all of them together. Default: 1,000,000.
 * @param options.monotonic ms. Default: this process'.
 */
export function createIndexes({
  mostRows = MOST_ROWS,
  monotonic = () => performance.now(),
}: {
  mostRows?: number;
  monotonic?: () => number;
} = {}) {
  /** The one that was asked for last stands last. */
  const entries = new Map<string, Entry>();

  function makeRoom(rows: number): boolean {
    const isLookedAt = ({ seenAt }: Entry) => monotonic() - seenAt < LOOKED_AT_MS;
    if (rows + rowsOf([...entries.values()].filter(isLookedAt)) > mostRows) return false;
    for (const key of [...entries.keys()]) {
      if (rows + rowsOf([...entries.values()]) <= mostRows) break;
      entries.delete(key);
    }
    return true;
  }

  return {
    /**
     * Words where its requests cannot be known: why.
     *
     * @param rows ids in its list, those that other campaigns own included.
     */
    of: (shown: ShownTenant, number: number, rows: number): KnownCampaign | string => {
      const key = `${shown.label} ${number}`;
      const kept = entries.get(key);
      entries.delete(key);
      if (rows > mostRows) return tooLarge(mostRows);
      if (!makeRoom(rows)) return NO_ROOM;
      const known = kept?.shown === shown ? kept.known : know(shown, number);
      entries.set(key, { known, shown, rows, seenAt: monotonic() });
      return known;
    },
  };
}

/** Why nothing is known of all actions together; null: because they are being read. */
export function whyNotIndexed(
  { describe }: Pick<Site, 'describe'>,
  known: KnownCampaign | string,
): string | null {
  if (typeof known === 'string') return known;
  const problem = known.index.problem();
  return problem === null ? null : describe(problem);
}

function know({ tenant }: ShownTenant, number: number): KnownCampaign {
  return {
    index: createCampaignIndex(tenant, number),
    find: createFinder(),
    analyse: createAnalysis(tenant.limits),
  };
}

function rowsOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { rows }) => sum + rows, 0);
}

function tooLarge(mostRows: number): string {
  return `This campaign has more than ${count(mostRows)} actions, which is too many to search or count here. Export its report instead.`;
}

const NO_ROOM =
  'Other large campaigns are open in the console, and there is no memory left to search or count this one. Close their pages and try again, or export its report.';
