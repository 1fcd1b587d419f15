import { withReader } from '../app/reader.ts';
import { systemClock } from '../base/clock.ts';
import { titled } from '../base/words/name.ts';
import { count } from '../base/words/number.ts';
import type { ReadWait } from '../defender/reader.ts';
import { describeReadWait } from '../files/words/blocked.ts';
import { describeChecked, describeUnverified } from '../files/words/campaign.ts';
import { appendAudit } from '../store/campaign/audit.ts';
import { findCampaign } from '../store/campaign/registry.ts';
import { isStopped } from '../store/campaign/status.ts';
import { type VerifyCount, verifyCampaign } from '../worker/verify.ts';
import { actorOf } from './actor.ts';
import { type CommandContext, EXIT, writeJson, writeText } from './context.ts';

/**
 * Reads the status of a campaign's actions, whatever it is: whether all were cancelled is said by `watch`'s exit code and by
 * `allCancelled` in the JSON.
 */
export function runVerify(
  context: CommandContext,
  options: { campaign: string; json: boolean },
): Promise<number> {
  const { out, stop } = context;
  const hooks = {
    signal: stop,
    onWait: (wait: ReadWait) => out.note(describeReadWait(wait, Date.now())),
  };
  return withReader(context, hooks, async (reader, tenant) => {
    const { redis, keys } = tenant;
    const campaign = await findCampaign(redis, keys, options.campaign);
    await appendAudit(tenant, campaign.number, { ...actorOf(context.args), action: 'verify', detail: '' });
    const verified = await verifyCampaign({ ...tenant, reader, wall: systemClock.wall }, campaign);
    const allCancelled = await isStopped(tenant, await findCampaign(redis, keys, options.campaign));
    if (options.json)
      await writeJson(out, {
        tenant: tenant.label,
        campaign: campaign.name,
        ...toJson(verified),
        allCancelled,
      });
    else await writeText(out, describe(titled(campaign.name, tenant.label), verified));
    return EXIT.done;
  });
}

function toJson({ states, ...counts }: VerifyCount) {
  return {
    ...counts,
    states: Object.fromEntries([...states].map(([state, n]) => [state ?? 'unknown', n])),
  };
}

function describe(campaign: string, verified: VerifyCount): string {
  return [
    `${campaign}: ${describeChecked(verified)}`,
    ...[...verified.states].map(
      ([state, n]) => `  ${(state ?? 'no status').padEnd(14)}${count(n).padStart(9)}`,
    ),
    ...describeUnverified(verified).map((line) => `  ${line}`),
  ].join('\n');
}
