import { withReader } from '../app-reader.ts';
import { appendAudit } from '../campaign/audit.ts';
import { findCampaign } from '../campaign/registry.ts';
import { isStopped } from '../campaign/status.ts';
import { type VerifyCount, verifyCampaign } from '../campaign/verify.ts';
import { systemClock } from '../clock.ts';
import { NOTHING_TO_READ } from '../words.ts';
import { actorOf } from './actor.ts';
import { type CommandContext, EXIT, writeJson } from './context.ts';
import { clockTime, count } from './table.ts';

/**
 * Reads what became of a campaign's actions, whatever that is: whether all were stopped is said by `watch`'s exit code and by `stopped` in
 * the JSON.
 */
export function runVerify(
  context: CommandContext,
  options: { campaign: string; json: boolean },
): Promise<number> {
  const { out, stop } = context;
  const hooks = {
    signal: stop,
    onWait: ({ until, detail }: { until: number; detail: string }) => {
      const time = clockTime(new Date(until).toISOString(), Date.now());
      out.note(`waits until ${time}${detail ? `: ${detail}` : ''}`);
    },
  };
  return withReader(context, hooks, async (reader, tenant) => {
    const { redis, keys } = tenant;
    const campaign = await findCampaign(redis, keys, options.campaign);
    await appendAudit(tenant, campaign.number, { ...actorOf(context.args), action: 'verify', detail: '' });
    const verified = await verifyCampaign({ ...tenant, reader, wall: systemClock.wall }, campaign);
    const stopped = await isStopped(tenant, await findCampaign(redis, keys, options.campaign));
    if (options.json) await writeJson(out, { campaign: campaign.name, ...toJson(verified), stopped });
    else await out.write(`${describe(campaign.name, verified)}\n`);
    return EXIT.done;
  });
}

function toJson({ asked, noted, states, absent }: VerifyCount) {
  return {
    asked,
    noted,
    absent,
    states: Object.fromEntries([...states].map(([state, n]) => [state ?? 'unknown', n])),
  };
}

function describe(name: string, { asked, noted, states, absent }: VerifyCount): string {
  if (asked === 0) return `${name}: nothing to read; ${NOTHING_TO_READ}`;
  return [
    `${name}: ${count(asked)} asked for, ${count(noted)} read`,
    ...[...states].map(([state, n]) => `  ${(state ?? 'unknown').padEnd(14)}${count(n).padStart(9)}`),
    ...(absent > 0 ? [`  ${'not listed'.padEnd(14)}${count(absent).padStart(9)}`] : []),
  ].join('\n');
}
