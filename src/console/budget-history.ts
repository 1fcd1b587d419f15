import type { Limits } from '../config/limits.ts';
import { longestMs } from '../config/limits.ts';
import type { BudgetView } from '../store/budget/view.ts';

/** A time when calls were refused (429), and until when nothing was sent because of it. Ms of Redis' clock. */
export interface Refusal {
  at: number;
  until: number;
}

/** What is known of a tenant's past calls. Ms of Redis' clock. */
export interface Past {
  /** Stamps, ascending; none is missing from `knownSince` on. */
  stamps: readonly number[];
  knownSince: number;
  refusals: readonly Refusal[];
}

/**
 * Redis keeps the slots of the longest window, which say how many calls any shorter window held within it; how many the
 * longest one itself held earlier nobody needs but a drawing. So what was seen here is kept as long again.
 */
export function createBudgetHistory({ windows }: Limits) {
  const longest = longestMs(windows);
  let past: { stamps: number[]; knownSince: number; refusals: Refusal[] } | null = null;
  let seenAt = 0;

  return {
    note: ({ now, stamps }: BudgetView, refusal: Refusal | null): void => {
      const isBroken = past === null || now - seenAt > longest;
      const [first = now] = stamps;
      const kept = isBroken
        ? []
        : (past?.stamps ?? []).filter((stamp) => stamp < first && stamp > now - 2 * longest);
      const refusals = (past?.refusals ?? []).filter(({ until }) => until > now - 2 * longest);
      const known = refusal && refusals.find(({ at }) => at === refusal.at);
      if (known) known.until = Math.max(known.until, refusal?.until ?? 0);
      else if (refusal && refusal.at > now - longest) refusals.push(refusal);
      past = {
        stamps: [...kept, ...stamps],
        knownSince: isBroken ? now - longest : Math.max(past?.knownSince ?? 0, now - 2 * longest),
        refusals,
      };
      seenAt = now;
    },
    past: (): Past => past ?? { stamps: [], knownSince: Number.POSITIVE_INFINITY, refusals: [] },
  };
}
