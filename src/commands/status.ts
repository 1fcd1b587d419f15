import { withTenant } from '../app.ts';
import { type BudgetView, viewBudget } from '../budget/view.ts';
import { findCampaign, listCampaigns } from '../campaign/registry.ts';
import { type CampaignStatus, statusOf } from '../campaign/status.ts';
import { describeDuration, formatDuration } from '../duration.ts';
import { OUTCOMES } from '../outcome.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import { clockTime, count, formatTable } from './table.ts';

export interface StatusOptions {
  campaign?: string;
  json: boolean;
}

/** How far a campaign is, or all of them. */
export function runStatus(context: CommandContext, options: StatusOptions): Promise<number> {
  return withTenant(context, async (tenant) => {
    const { out } = context;
    const { redis, keys } = tenant;
    const [budget, campaigns] = await Promise.all([
      viewBudget(redis, keys, tenant.limits),
      options.campaign ? [await findCampaign(redis, keys, options.campaign)] : listCampaigns(redis, keys),
    ]);
    const statuses = await Promise.all(campaigns.map((campaign) => statusOf(tenant, campaign, budget)));
    if (options.json) await writeJson(out, options.campaign ? statuses[0] : statuses);
    else await out.write(`${options.campaign ? describeAll(statuses) : overview(statuses, widthOf(out))}\n`);
    if (!options.json && statuses.some((status) => status.open > 0)) {
      for (const note of [describeAbsence(budget), describePace(budget)]) if (note) out.note(note);
    }
    return EXIT.done;
  });
}

function overview(statuses: readonly CampaignStatus[], width: number): string {
  if (statuses.length === 0) return 'no campaigns yet';
  const now = Date.now();
  return formatTable(
    [
      { title: 'campaign' },
      { title: 'state' },
      right('total'),
      right('open'),
      right('cancelled'),
      { title: 'done at' },
      { title: 'waits for' },
    ],
    statuses.map((status) => [
      status.campaign,
      status.state,
      count(status.total),
      count(status.open),
      count(status.outcomes.cancelled ?? 0),
      status.etaAt ? clockTime(status.etaAt, now) : '',
      status.hold?.reason ?? '',
    ]),
    width,
  );
}

function describeAll(statuses: readonly CampaignStatus[]): string {
  return statuses.map((status) => describeStatus(status, Date.now())).join('\n\n');
}

/** A campaign's status for a person. */
export function describeStatus(status: CampaignStatus, now: number): string {
  const decided = status.total - status.open;
  const share = status.total === 0 ? 100 : Math.floor((100 * decided) / status.total);
  const lines = [
    `${status.campaign}: ${status.state}, ${count(decided)} of ${count(status.total)} decided (${share} %)`,
  ];
  for (const outcome of OUTCOMES) {
    const number = status.outcomes[outcome];
    if (number) lines.push(`  ${outcome.padEnd(14)}${count(number).padStart(9)}`);
  }
  if (status.open > 0) lines.push(`  ${'open'.padEnd(14)}${count(status.open).padStart(9)}`);
  if (status.elsewhere > 0)
    lines.push(
      `  ${'elsewhere'.padEnd(14)}${count(status.elsewhere).padStart(9)}  owned by other campaigns: see the report`,
    );
  if (status.hold) lines.push(`  ${describeHold(status.hold, now)}`);
  if (status.etaAt) {
    const leftMs = Date.parse(status.etaAt) - now;
    lines.push(`  done at ${clockTime(status.etaAt, now)}, in ${describeDuration(Math.max(0, leftMs))}`);
  }
  return lines.join('\n');
}

const REASONS: Readonly<Record<string, string>> = {
  window: 'the rate limit: all calls it allows for now were made',
  penalty: 'the API (429): it asked to wait',
  upstream: 'the API: it is down',
  unauthorized: 'the API: it refuses the token (401)',
  'sign-in': 'a token: signing in fails',
  grace: 'workers to put back the calls they remember',
  paused: 'somebody to resume it',
};

/** After so many ms without a word a worker is gone. */
const STALE_WORKER_MS = 15_000;

/** That nothing will happen for want of a worker, for a person; null while there is one. */
export function describeAbsence({ now, workerSeenAt }: BudgetView): string | null {
  if (workerSeenAt !== null && now - workerSeenAt < STALE_WORKER_MS) return null;
  const since =
    workerSeenAt === null ? '' : `, the last one ended ${describeDuration(now - workerSeenAt)} ago`;
  return `no worker runs${since}: start one with "standdown worker"`;
}

/** That somebody else uses the quota, for a person; null while nothing says so. */
export function describePace({ now, pace, windows }: BudgetView): string | null {
  if (!pace) return null;
  const [whole] = windows.filter(({ lengthMs }) => lengthMs === pace.lengthMs);
  const until = clockTime(new Date(pace.until).toISOString(), now);
  const calls = pace.refusals === 1 ? '1 call was' : `${count(pace.refusals)} calls were`;
  return (
    `${calls} refused (429) that RATE_LIMITS allows: somebody else uses this quota, or it is smaller. ` +
    `At most ${count(pace.max)} of ${count(whole?.max ?? pace.max)} calls in ${formatDuration(pace.lengthMs)} now, all of them again ` +
    `from ${until}; if it goes on, lower RATE_LIMITS`
  );
}

/** Why nothing goes out, for a person. */
export function describeHold(
  hold: { reason: string; until: string | null; detail: string },
  now: number,
): string {
  const until = hold.until
    ? ` until ${clockTime(hold.until, now)} (${describeDuration(Math.max(0, Date.parse(hold.until) - now))})`
    : '';
  const detail = hold.detail ? `; ${hold.detail}` : '';
  return `waits for ${REASONS[hold.reason] ?? hold.reason}${until}${detail}`;
}

function right(title: string) {
  return { title, align: 'right' as const };
}
