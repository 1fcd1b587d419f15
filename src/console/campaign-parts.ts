import { titled } from '../base/words/name.ts';
import { count } from '../base/words/number.ts';
import { formatTime } from '../base/words/time.ts';
import type { Limits } from '../config/limits.ts';
import { renderTimeline } from '../files/report/chart.ts';
import { type Html, html } from '../files/report/html.ts';
import { MEANINGS, mark, renderOutcomes, renderTypes } from '../files/report/summary.ts';
import { createTally, type OutcomeOrOpen } from '../files/report/tally.ts';
import { unfinished } from '../files/words/blocked.ts';
import { describePriorityFact, describeTracked, outcomeLabel } from '../files/words/campaign.ts';
import type { BudgetView } from '../store/budget/view.ts';
import type { AuditEntry } from '../store/campaign/audit.ts';
import type { Campaign } from '../store/campaign/registry.ts';
import type { CampaignStatus } from '../store/campaign/status.ts';
import type { Indexed } from './campaign-index.ts';
import {
  ago,
  at,
  describeProgress,
  renderCampaignHold,
  renderEta,
  renderOutcomeCounts,
  renderProgress,
  renderState,
  scrolling,
  upcoming,
} from './parts.ts';
import { toTallied } from './row.ts';
import type { Task } from './tasks.ts';

/* The parts of a campaign's page, but for its table. */

/** What was done last. */
const MOST_TASKS = 3;

export function renderHead(
  { status, budget, tenant }: { status: CampaignStatus; budget: BudgetView; tenant: string },
  tasks: readonly Task[],
): Html {
  const title = titled(status.campaign, tenant);
  const told = tasks.filter(({ state }) => state === null || state === status.state).slice(-MOST_TASKS);
  return html`${told.map((task) => renderTask(title, task))}<section>
<h2 class="unseen">Status</h2>
<p class="lead">${renderState(status.state)} ${describeProgress(status)}${renderEta(status)}</p>
${renderProgress('All actions by outcome', status)}
${renderOutcomeCounts(status)}
${renderCampaignHold(status, budget, tenant)}
${status.tracked.total > 0 ? html`<p class="note">${describeTracked(status)}.</p>` : ''}
</section>`;
}

/** What was done last to the campaign, or is being done, with what came of it. */
function renderTask(title: string, { what, by, startedAt, endedAt, words, failed }: Task): Html {
  const kind = failed ? 'failed' : endedAt === null ? 'running' : 'done';
  const lead = { failed: `${what} failed: `, running: `${what} in progress: `, done: '' }[kind];
  return html`<p class="told" data-kind="${kind}" role="status">${title}: ${lead}${unfinished(words)} – by ${by}, ${ago(endedAt ?? startedAt)}</p>\n`;
}

export function renderFacts(campaign: Campaign): Html {
  const facts: [name: string, value: string | Html][] = [
    ['Comment', campaign.comment],
    ['Requested by', campaign.requestedBy ?? ''],
    ['Created', ago(campaign.createdAt)],
    ['Expires', campaign.expiresAt === null ? '' : renderExpiry(campaign.expiresAt)],
    ['Priority', describePriorityFact(campaign.priority)],
    ['Verified', campaign.verification ? ago(campaign.verification.at) : ''],
  ];
  const items = facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`);
  return html`<section><h2>Campaign</h2><dl>${items}</dl></section>`;
}

function renderExpiry(ms: number): Html {
  return ms > Date.now() ? upcoming(new Date(ms).toISOString()) : ago(ms);
}

/** So many changes are shown, the latest ones, and as many of what came through the inbox or only looked. */
export const MOST_HISTORY = 50;

export function renderAudit(history: readonly AuditEntry[]): Html {
  const rows = history
    .toReversed()
    .map(
      (entry) =>
        html`<tr><td class="time">${at(entry.at)}</td><td>${entry.action}</td><td>${entry.by}</td><td>${entry.detail}</td><td class="command"><code>${entry.command}</code></td></tr>\n`,
    );
  if (rows.length === 0) return html`<section><h2>History</h2><p class="note">No changes yet.</p></section>`;
  return html`<section><h2>History</h2>
${scrolling(
  'History',
  html`<table>
<thead><tr><th scope="col">Time</th><th scope="col">Change</th><th scope="col">By</th><th scope="col">Detail</th><th scope="col">Command</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
)}
</section>`;
}

/** What the actions add up to: rendered once for each state of the index, for it goes through all of them. */
export function createAnalysis(limits: Limits) {
  let last: { version: number; html: Html; renderedAt: number } | null = null;
  return (indexed: Indexed, campaign: Campaign): Html => {
    const mayWait = indexed.rows.length > MANY_ROWS;
    const isFresh =
      last &&
      (last.version === indexed.version || (mayWait && performance.now() - last.renderedAt < ANALYSIS_MS));
    if (!last || !isFresh) {
      const text = analyse(indexed, campaign, limits);
      last = { version: indexed.version, html: text, renderedAt: performance.now() };
    }
    return last.html;
  };
}

/** With more rows than these it is not added up more often, while it changes, in ms. */
const MANY_ROWS = 20_000;
const ANALYSIS_MS = 10_000;

function analyse({ rows, readAt }: Indexed, { name }: Campaign, { windows }: Limits): Html {
  const tally = createTally(name);
  const reasons = new Map<string, Reason>();
  for (const row of rows) {
    tally.add(toTallied(row, name));
    // By code: a message may name the action, and would be another one for each.
    const key = `${row.outcome} ${row.httpStatus} ${row.code}`;
    const reason = reasons.get(key);
    if (reason) {
      reason.number++;
      reason.isVaried ||= reason.error !== row.error;
    } else if (reasons.size < MOST_COUNTED) {
      const { outcome, httpStatus, error } = row;
      reasons.set(key, { outcome, httpStatus, error, isVaried: false, number: 1 });
    }
  }
  const summary = tally.summary(windows);
  return html`<p class="note">Counted at ${at(readAt)}.</p>
${renderTimeline(summary, (ms) => formatTime(ms, Date.now()))}
${renderOutcomes(summary)}
${renderReasons([...reasons.values()], rows.length)}
${renderTypes(summary.types)}`;
}

interface Reason {
  outcome: OutcomeOrOpen;
  httpStatus: number;
  /** The first one's. */
  error: string;
  /** Whether others say it in other words. */
  isVaried: boolean;
  number: number;
}

/** Texts come from outside, and nobody says how many there are. */
const MOST_COUNTED = 1_000;
const MOST_SHOWN = 20;

/** @param total of all actions: what is not shown by itself is one row, so that the rows add up. */
function renderReasons(reasons: readonly Reason[], total: number): Html {
  const shown = reasons.toSorted((a, b) => b.number - a.number).slice(0, MOST_SHOWN);
  const rows = shown.map(
    ({ outcome, httpStatus, error, isVaried, number }) =>
      html`<tr><th scope="row">${mark(outcome)}${outcomeLabel(outcome)}</th><td class="number">${httpStatus > 0 ? httpStatus : ''}</td><td class="number">${count(number)}</td><td>${describeReason(outcome, error, isVaried)}</td></tr>\n`,
  );
  const others = total - shown.reduce((sum, { number }) => sum + number, 0);
  return html`<section>
<h2>Outcomes by reason</h2>
${scrolling(
  'Outcomes by reason',
  html`<table>
<thead><tr><th scope="col">Outcome</th><th scope="col" class="number">HTTP</th><th scope="col" class="number">Actions</th><th scope="col">Reason</th></tr></thead>
<tbody>
${rows}${others > 0 ? html`<tr><th scope="row">others</th><td></td><td class="number">${count(others)}</td><td>Rarer reasons</td></tr>\n` : ''}</tbody>
<tfoot><tr><th scope="row">Total</th><td></td><td class="number">${count(total)}</td><td></td></tr></tfoot>
</table>`,
)}
</section>`;
}

/** What Defender answered; where it was not asked, or said nothing, what the outcome means. */
function describeReason(outcome: OutcomeOrOpen, error: string, isVaried: boolean): string {
  if (error === '') return MEANINGS[outcome];
  return isVaried ? `${error} (and similar)` : error;
}
