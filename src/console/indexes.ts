import type { CampaignIndex } from './campaign-index.ts';
import { createCampaignIndex, MOST_ROWS } from './campaign-index.ts';
import { createAnalysis } from './campaign-parts.ts';
import { createFinder } from './requests.ts';
import type { ShownTenant } from './tenants.ts';

/** A campaign whose requests are known here, and what was made of them. */
export interface KnownCampaign {
  index: CampaignIndex;
  find: ReturnType<typeof createFinder>;
  analyse: ReturnType<typeof createAnalysis>;
}

export type Indexes = ReturnType<typeof createIndexes>;

/** Keeps the campaigns that were looked at last, as far as there is room for their rows. */
export function createIndexes() {
  const known = new Map<string, KnownCampaign>();

  function makeRoom(): void {
    let rows = 0;
    for (const [key, { index }] of [...known].reverse()) {
      rows += index.size();
      if (rows > MOST_ROWS) known.delete(key);
    }
  }

  return {
    of: ({ label, tenant }: ShownTenant, number: number): KnownCampaign => {
      const key = `${label} ${number}`;
      const found = known.get(key) ?? {
        index: createCampaignIndex(tenant, number),
        find: createFinder(),
        analyse: createAnalysis(tenant.limits),
      };
      // The one that was asked for last stands last.
      known.delete(key);
      makeRoom();
      known.set(key, found);
      return found;
    },
  };
}
