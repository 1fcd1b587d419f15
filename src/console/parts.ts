import type { BudgetView } from '../budget/view.ts';
import type { CampaignStatus } from '../campaign/status.ts';
import { OUTCOMES } from '../outcome.ts';
import { type Html, html } from '../report/html.ts';
import { mark, renderBar } from '../report/summary.ts';
import type { OutcomeOrOpen } from '../report/tally.ts';
import { describeAbsence, describePace, type HoldWords, partsOfHold } from '../words/blocked.ts';
import { count, percent } from '../words/number.ts';
import { formatTime } from '../words/time.ts';

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
  return html`<time datetime="${iso}">${formatTime(iso, Date.now())}</time> <span class="left" data-until="${iso}"></span>`;
}

export function at(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${formatTime(iso, Date.now())}</time>`;
}

/** What blocks calls, and when that changes. */
export function renderHold(hold: HoldWords): Html {
  const { state, next } = partsOfHold(hold);
  const isToCome = hold.until !== null && Date.parse(hold.until) > Date.now();
  const upcoming = isToCome && hold.until !== null ? html`at ${until(hold.until)}` : 'any moment now';
  const then = hold.until === null || next === '' ? '' : html` ${next} ${upcoming}.`;
  return html`<span class="hold" data-reason="${hold.reason}">${state}${then}</span>`;
}

/** Why nothing of a tenant goes out, and what else there is to know of its budget. */
export function renderHolds(budget: BudgetView, tenant: string): Html {
  const absence = describeAbsence(budget, tenant);
  const pace = describePace(budget);
  const lines = [
    ...(absence ? [html`<span class="hold" data-reason="absent">${absence}</span>`] : []),
    ...budget.holds.map(({ until: time, ...hold }) =>
      renderHold({ ...hold, until: time === null ? null : new Date(Math.ceil(time)).toISOString() }),
    ),
    ...(pace ? [html`<span class="hold" data-reason="pace">${pace}</span>`] : []),
  ];
  if (lines.length === 0) return html`<p class="note">Nothing is blocking calls.</p>`;
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

/** `9,998 of 10,000 actions finished (> 99.9%)` */
export function describeProgress({ total, open }: Shares): string {
  const finished = total - open;
  return `${count(finished)} of ${count(total)} actions finished (${percent(finished, total)})`;
}

/** A table that scrolls by itself where it is too wide. */
export function scrolling(label: string, table: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}
