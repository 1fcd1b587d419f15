import { type Tenant, withTenant } from '../app.ts';
import { type BudgetView, viewBudget } from '../budget/view.ts';
import { listCampaigns } from '../campaign/registry.ts';
import { type CampaignStatus, lookAtCampaign, statusOf } from '../campaign/status.ts';
import { describeDuration } from '../duration.ts';
import { OUTCOMES } from '../outcome.ts';
import { clockTime, count, describeAbsence, describeHold, describePace, describeTracked } from '../words.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import { formatTable } from './table.ts';

export interface StatusOptions {
  campaign?: string;
  json: boolean;
}

/** How far a campaign is, or all of them. */
export function runStatus(context: CommandContext, options: StatusOptions): Promise<number> {
  return withTenant(context, async (tenant) => {
    const { out } = context;
    const { statuses, budget } = options.campaign
      ? await lookAtOne(tenant, options.campaign)
      : await lookAtAll(tenant);
    if (options.json) await writeJson(out, options.campaign ? statuses[0] : statuses);
    else await out.write(`${options.campaign ? describeAll(statuses) : overview(statuses, widthOf(out))}\n`);
    if (!options.json && statuses.some((status) => status.open > 0)) {
      for (const note of [describeAbsence(budget), describePace(budget)]) if (note) out.note(note);
    }
    return EXIT.done;
  });
}

interface Looked {
  statuses: CampaignStatus[];
  budget: BudgetView;
}

async function lookAtOne(tenant: Tenant, name: string): Promise<Looked> {
  const { status, budget } = await lookAtCampaign(tenant, name);
  return { statuses: [status], budget };
}

async function lookAtAll(tenant: Tenant): Promise<Looked> {
  const { redis, keys, limits } = tenant;
  const [budget, campaigns] = await Promise.all([
    viewBudget(redis, keys, limits),
    listCampaigns(redis, keys),
  ]);
  const statuses = await Promise.all(campaigns.map((campaign) => statusOf(tenant, campaign, budget)));
  return { statuses, budget };
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
  const { tracked } = status;
  if (tracked.total > 0) lines.push(`  ${describeTracked(tracked)}`);
  if (status.hold) lines.push(`  ${describeHold(status.hold, now)}`);
  if (status.etaAt) {
    const leftMs = Date.parse(status.etaAt) - now;
    lines.push(`  done at ${clockTime(status.etaAt, now)}, in ${describeDuration(Math.max(0, leftMs))}`);
  }
  return lines.join('\n');
}

function right(title: string) {
  return { title, align: 'right' as const };
}
