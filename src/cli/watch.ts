import { type Tenant, withTenant } from '../app/tenant.ts';
import { commandFor, titled } from '../base/words/name.ts';
import { findCampaign } from '../store/campaign/registry.ts';
import { eachResult } from '../store/campaign/report.ts';
import { type CampaignStatus, isStopped } from '../store/campaign/status.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import { followCampaign } from './follow.ts';
import type { Progress } from './progress.ts';
import { describeStatus } from './status.ts';
import { wrapLines } from './wrap.ts';

export interface WatchOptions {
  campaign: string;
  /** Events as JSON lines. */
  json: boolean;
}

const LOOK_MS = 1_000;
const LINE_MS = 10_000;

/** Follows a campaign to its end. */
export function runWatch(context: CommandContext, options: WatchOptions): Promise<number> {
  return withTenant(context, (tenant) => watchCampaign(context, tenant, options));
}

/** @returns 0 when every action of the campaign is known to be cancelled, 3 when some are not. */
export async function watchCampaign(
  context: CommandContext,
  tenant: Tenant,
  { campaign: name, json }: WatchOptions,
): Promise<number> {
  const { out } = context;
  const events = json ? { onLook: await createEvents(context, tenant, name) } : {};
  const progress = await followCampaign(context, tenant, name, {
    lookMs: LOOK_MS,
    lineMs: LINE_MS,
    ...events,
  });
  const allCancelled = await isStopped(tenant, await findCampaign(tenant.redis, tenant.keys, name));
  if (json) await writeJson(out, { event: 'done', tenant: tenant.label, ...progress.status, allCancelled });
  else {
    const end = describeStatus(progress, widthOf(out));
    await out.write(
      `\n${end}\n\n${wrapLines([describeEnd(allCancelled, progress.status, tenant.label)], widthOf(out))}\n`,
    );
  }
  return allCancelled ? EXIT.done : EXIT.notStopped;
}

function describeEnd(
  allCancelled: boolean,
  { campaign: name, total }: CampaignStatus,
  tenant: string,
): string {
  if (total === 0) return `${titled(name, tenant)} has no actions.`;
  return allCancelled
    ? 'All actions are cancelled.'
    : `Not all actions are known to be cancelled. For the outcome of each one, run "${commandFor('report', name, tenant)}".`;
}

/**
 * Writes events: `outcome` for each id as it is decided or verified, `status` when something changed.
 *
 * Outcomes from before the watch began are in the report, not here.
 */
async function createEvents(
  { out }: CommandContext,
  tenant: Tenant,
  name: string,
): Promise<(progress: Progress) => Promise<void>> {
  const campaign = await findCampaign(tenant.redis, tenant.keys, name);
  let place = await lastPlace(tenant, campaign.number);
  let before = '';
  return async ({ status, budget: { windows } }) => {
    for await (const entry of eachResult(tenant, campaign, place)) {
      place = entry.place;
      await writeJson(out, { event: 'outcome', ...entry.result });
    }
    const now = JSON.stringify(withoutEta(status));
    if (now === before) return;
    before = now;
    await writeJson(out, { event: 'status', ...status, windows });
  };
}

/** The estimate moves by itself; that alone is no news. */
function withoutEta({ etaAt: _, ...rest }: CampaignStatus): unknown {
  return rest;
}

async function lastPlace({ redis, keys }: Tenant, campaign: number): Promise<number> {
  const [last] = await redis.xrevrange(keys.results(campaign), '+', '-', 'COUNT', 1);
  return last ? Number(last[0].split('-')[0]) : 0;
}
