import { type Tenant, withTenant } from '../app/tenant.ts';
import { OUTCOMES } from '../base/outcome.ts';
import { titled } from '../base/words/name.ts';
import { count, percent } from '../base/words/number.ts';
import { formatAnyTime, formatPast, formatTime } from '../base/words/time.ts';
import { blockedLabel, describeAbsence, describeBlocked, describePace } from '../files/words/blocked.ts';
import { describeEta, describeTracked, finishedOf, outcomeLabel } from '../files/words/campaign.ts';
import { type BudgetView, viewBudget } from '../store/budget/view.ts';
import { listCampaigns } from '../store/campaign/registry.ts';
import { type CampaignStatus, lookAtCampaign, statusOf } from '../store/campaign/status.ts';
import { describePriority } from '../store/ledger/place.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import type { Progress } from './progress.ts';
import { formatTable } from './table.ts';
import { wrapLines } from './wrap.ts';

export interface StatusOptions {
  campaign?: string;
  json: boolean;
}

/** Shows the progress of one campaign, or of all. */
export function runStatus(context: CommandContext, options: StatusOptions): Promise<number> {
  return withTenant(context, async (tenant) => {
    const { out } = context;
    const { statuses, budget } = options.campaign
      ? await lookAtOne(tenant, options.campaign)
      : await lookAtAll(tenant);
    const [first] = statuses;
    if (options.json) {
      const all = statuses.map((status) => ({ tenant: tenant.label, ...status }));
      await writeJson(out, options.campaign ? all[0] : all);
      return EXIT.done;
    }
    const width = widthOf(out);
    const text =
      options.campaign && first
        ? describeStatus({ tenant: tenant.label, status: first, budget, now: Date.now() }, width)
        : overview({ statuses, budget }, tenant.label, width);
    await out.write(`${text}\n`);
    if (!options.campaign && statuses.some((status) => status.open > 0)) {
      for (const note of [describeAbsence(budget, tenant.label), describePace(budget)])
        if (note) out.note(note);
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

function overview({ statuses, budget }: Looked, tenant: string, width: number): string {
  if (statuses.length === 0) return `No campaigns in tenant ${tenant}`;
  const now = Date.now();
  return formatTable(
    [
      { title: 'campaign' },
      { title: 'status' },
      right('total'),
      right('pending'),
      right('cancelled'),
      { title: 'ETA' },
      { title: 'blocked by' },
    ],
    statuses.map((status) => [
      status.campaign,
      status.state,
      count(status.total),
      count(status.open),
      count(status.outcomes.cancelled ?? 0),
      status.etaAt ? formatTime(status.etaAt, now) : '',
      blockedLabel(status, budget),
    ]),
    width,
  );
}

/** A campaign's status for a person: its progress, what blocks it, and what it is. */
export function describeStatus(
  { tenant, status, budget, now }: Progress,
  width = Number.POSITIVE_INFINITY,
): string {
  const outcomes = [
    ...OUTCOMES.map((outcome) => [outcome, status.outcomes[outcome] ?? 0] as const),
    [outcomeLabel(null), status.open] as const,
    [outcomeLabel('unknown'), status.unknown] as const,
  ]
    .filter(([, number]) => number > 0)
    .map(([outcome, number]) => `${outcome.padEnd(14)}${count(number).padStart(9)}`);
  const sentences = [
    status.tracked.total > 0 ? `${describeTracked(status)}.` : '',
    describeBlocked(status, budget, tenant, now) ?? '',
    (status.open > 0 && describePace(budget)) || '',
    status.etaAt ? `${describeEta(status, now)}.` : '',
  ];
  return wrapLines(
    [
      headline(status, tenant),
      ...[...outcomes, ...sentences, ...factsOf(status, now)].filter(Boolean).map((line) => `  ${line}`),
    ],
    width,
  );
}

/** `Campaign "stop-scan" in tenant contoso: running, 104 of 250 actions finished (41.6%)` */
export function headline(status: CampaignStatus, tenant: string): string {
  const title = titled(status.campaign, tenant);
  if (status.total === 0)
    return `${title}: ${status.state === 'empty' ? '' : `${status.state}, `}no actions yet`;
  const finished = finishedOf(status);
  return `${title}: ${status.state}, ${count(finished)} of ${count(status.total)} actions finished (${percent(finished, status.total)})`;
}

function factsOf(
  { comment, requestedBy, priority, createdAt, expiresAt, open }: CampaignStatus,
  now: number,
): string[] {
  const facts = [
    ['comment', comment],
    ['requested by', requestedBy ?? ''],
    ['priority', describePriority(priority)],
    ['created', formatPast(createdAt, now)],
    ['expires', expiresAt === null || open === 0 ? '' : formatAnyTime(expiresAt, now)],
  ] as const;
  return facts.filter(([, value]) => value !== '').map(([name, value]) => `${name.padEnd(14)}${value}`);
}

function right(title: string) {
  return { title, align: 'right' as const };
}
