import { type Tenant, withTenant } from '../app/tenant.ts';
import type { CancelResult } from '../base/outcome.ts';
import { withCode } from '../base/words/code.ts';
import { titled } from '../base/words/name.ts';
import { plural } from '../base/words/number.ts';
import { formatTime } from '../base/words/time.ts';
import { describeEnd, describeOwner, describeThen } from '../files/report/attempt-words.ts';
import { describeBlocked } from '../files/words/blocked.ts';
import { outcomeLabel, UNCERTAIN } from '../files/words/campaign.ts';
import { readAudit } from '../store/campaign/audit.ts';
import { type Campaign, findCampaign } from '../store/campaign/registry.ts';
import type { ReportLine } from '../store/campaign/report.ts';
import { findResults, readRequest } from '../store/campaign/request.ts';
import { lookAt } from '../store/campaign/status.ts';
import type { Attempt } from '../store/ledger/attempts.ts';
import { type CommandContext, EXIT, widthOf, writeJson, writeText } from './context.ts';
import { formatTable } from './table.ts';

export interface HistoryOptions {
  campaign: string;
  /** One of its ids; without it what was done to the campaign. */
  id?: string;
  json: boolean;
}

/** What was done to a campaign, by whom and when; or what became of each call for one of its requests. */
export function runHistory(context: CommandContext, options: HistoryOptions): Promise<number> {
  return withTenant(context, async (tenant) => {
    const campaign = await findCampaign(tenant.redis, tenant.keys, options.campaign);
    if (options.id === undefined) await writeAudit(context, tenant, campaign, options);
    else await writeRequest(context, tenant, campaign, { ...options, id: options.id });
    return EXIT.done;
  });
}

async function writeAudit(
  { out }: CommandContext,
  tenant: Tenant,
  { number }: Campaign,
  { json }: HistoryOptions,
): Promise<void> {
  const entries = (await readAudit(tenant, number)).map(({ at, ...entry }) => ({ at: toIso(at), ...entry }));
  if (json) return writeJson(out, entries);
  const columns = ['time', 'change', 'by', 'detail', 'command'].map((title) => ({ title }));
  const rows = entries.map(({ at, action, by, detail, command }) => [
    formatTime(at, Date.now()),
    action,
    by,
    detail,
    command,
  ]);
  await out.write(`${formatTable(columns, rows, widthOf(out))}\n`);
}

async function writeRequest(
  { out }: CommandContext,
  tenant: Tenant,
  campaign: Campaign,
  { id, json }: HistoryOptions & { id: string },
): Promise<void> {
  const { line, attempts } = await readRequest(tenant, campaign, id);
  const results = await findResults(tenant, campaign, line.machineActionId);
  if (json) {
    const calls = attempts.map((attempt) => ({ ...attempt, at: toIso(attempt.at) }));
    return writeJson(out, { now: line, attempts: calls, results });
  }
  const columns = ['time', 'event', 'result', 'next', 'correlation id'].map((title) => ({ title }));
  // Where both bear the same time, the call comes before what it led to.
  const events = [...attempts.map(ofAttempt), ...results.map(ofResult)].sort(
    (one, other) => one.at - other.at,
  );
  const rows = events.map(({ at, texts }) => [formatTime(at, Date.now()), ...texts]);
  if (rows.length > 0) await out.write(`${formatTable(columns, rows, widthOf(out))}\n\n`);
  await writeText(out, describeNow(line, campaign));
  if (line.outcome === null && line.campaign === campaign.name) {
    const reasons = await describeWait(tenant, campaign);
    if (reasons !== '') await writeText(out, reasons);
  }
}

interface Event {
  /** Ms since 1970. */
  at: number;
  texts: string[];
}

function ofAttempt(attempt: Attempt): Event {
  const { at, operation, correlationId } = attempt;
  return { at, texts: [operation, describeEnd(attempt), describeThen(attempt), correlationId] };
}

function ofResult(result: CancelResult): Event {
  const { outcome, httpStatus, errorCode, errorMessage, action, decidedAt, verifiedAt } = result;
  const at = Date.parse(verifiedAt ?? decidedAt);
  if (verifiedAt) return { at, texts: ['verified', action?.status ?? 'no status', '', ''] };
  const said = [
    outcome,
    httpStatus === undefined ? '' : `HTTP ${httpStatus}`,
    withCode(errorCode, errorMessage),
  ];
  return { at, texts: ['outcome', said.filter(Boolean).join(', '), '', result.correlationId ?? ''] };
}

function describeNow(line: ReportLine, { name }: Campaign): string {
  const { outcome, attempts, uncertain } = line;
  const owner = describeOwner(line, name);
  const words = [
    outcomeLabel(outcome),
    `${plural(attempts, 'attempt')} used`,
    ...(owner ? [owner] : []),
    ...(uncertain ? [`uncertain: ${UNCERTAIN}`] : []),
  ];
  return `Now: ${words.join('; ')}`;
}

/** Why an open one is not called; empty: it is a matter of its turn. */
async function describeWait(tenant: Tenant, found: Campaign): Promise<string> {
  const { status, budget } = await lookAt(tenant, found);
  const reasons = [
    describeBlocked(status, budget, tenant.label, Date.now()),
    status.state === 'running' || status.hold?.reason === 'paused'
      ? null
      : `${titled(found.name, tenant.label)} is ${status.state}.`,
  ];
  return reasons.map((reason) => (reason ? `${reason}\n` : '')).join('');
}

function toIso(ms: number): string {
  return new Date(ms).toISOString();
}
