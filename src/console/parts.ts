import type { BudgetView } from '../budget/view.ts';
import type { CampaignStatus } from '../campaign/status.ts';
import { OUTCOMES } from '../outcome.ts';
import { type Html, html } from '../report/html.ts';
import { mark, renderBar } from '../report/summary.ts';
import type { OutcomeOrOpen } from '../report/tally.ts';
import { percent } from '../report/words.ts';
import { clockTime, count, describeAbsence, describePace, REASONS } from '../words.ts';

/* What several pages show. */

/** What each piece of a path is when it holds what a label or a name may hold. */
export function pathOf(...pieces: readonly (string | number)[]): string {
  return `/${pieces.map((piece) => encodeURIComponent(piece)).join('/')}`;
}

export function tenantPath(label: string, ...more: readonly (string | number)[]): string {
  return pathOf('t', label, ...more);
}

export function campaignPath(label: string, number: number, ...more: readonly (string | number)[]): string {
  return tenantPath(label, 'c', number, ...more);
}

/** A time, and how long it is until then; the script counts that down. */
export function until(iso: string): Html {
  return html`<time datetime="${iso}">${clockTime(iso, Date.now())}</time> <span class="left" data-until="${iso}"></span>`;
}

export function at(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${clockTime(iso, Date.now())}</time>`;
}

/** Why something waits, and until when. */
export function renderHold(hold: { reason: string; until: string | null; detail: string }): Html {
  if (hold.reason === 'paused' && hold.detail)
    return html`<span class="hold" data-reason="paused">${hold.detail}</span>`;
  const isToCome = hold.until !== null && Date.parse(hold.until) > Date.now();
  const time = isToCome && hold.until !== null ? html` until ${until(hold.until)}` : '';
  return html`<span class="hold" data-reason="${hold.reason}">waits for ${REASONS[hold.reason] ?? hold.reason}${time}${hold.detail ? `; ${hold.detail}` : ''}</span>`;
}

/** Why nothing of a tenant goes out, and what else there is to know of its budget. */
export function renderHolds(budget: BudgetView): Html {
  const absence = describeAbsence(budget);
  const pace = describePace(budget);
  const lines = [
    ...(absence ? [html`<span class="hold" data-reason="absent">${absence}</span>`] : []),
    ...budget.holds.map(({ until: time, ...hold }) =>
      renderHold({ ...hold, until: time === null ? null : new Date(Math.ceil(time)).toISOString() }),
    ),
    ...(pace ? [html`<span class="hold" data-reason="pace">${pace}</span>`] : []),
  ];
  if (lines.length === 0) return html`<p class="note">Nothing holds calls back.</p>`;
  return html`<ul class="holds">${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}

type Shares = Pick<CampaignStatus, 'total' | 'open' | 'outcomes' | 'tracked'>;

function sharesOf({ open, outcomes }: Shares): Map<OutcomeOrOpen, number> {
  const shares = new Map<OutcomeOrOpen, number>();
  for (const outcome of OUTCOMES) if (outcomes[outcome]) shares.set(outcome, outcomes[outcome]);
  if (open > 0) shares.set('open', open);
  return shares;
}

/** How far it is, in the colours of the outcomes. */
export function renderProgress(label: string, shares: Shares): Html {
  return renderBar(label, { name: '', total: shares.total, outcomes: sharesOf(shares) });
}

/** The outcomes and their numbers, in a line. */
export function renderOutcomeCounts(shares: Shares): Html {
  const items = [...sharesOf(shares)].map(
    ([outcome, number]) => html`<li>${mark(outcome)}${outcome} <strong>${count(number)}</strong></li>\n`,
  );
  return html`<ul class="counts">${items}</ul>`;
}

/** 9,998 of 10,000 decided (> 99.9 %) */
export function describeProgress({ total, open }: Shares): string {
  const decided = total - open;
  return `${count(decided)} of ${count(total)} decided (${percent(decided, total)})`;
}

/** A table that scrolls by itself where it is too wide. */
export function scrolling(label: string, table: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
