import { OUTCOMES } from '../base/outcome.ts';
import { withButtons } from '../base/words/name.ts';
import { count, percent } from '../base/words/number.ts';
import { ANY_MOMENT, describeAge, formatTime, partsOfUpcoming } from '../base/words/time.ts';
import { type Html, html } from '../files/report/html.ts';
import { mark, renderBar } from '../files/report/summary.ts';
import type { OutcomeOrOpen } from '../files/report/tally.ts';
import {
  describeAbsence,
  describePace,
  type HoldWords,
  holdsToShow,
  partsOfHold,
} from '../files/words/blocked.ts';
import { describeExpiring, EXPECTED, finishedOf, outcomeLabel } from '../files/words/campaign.ts';
import type { BudgetView } from '../store/budget/view.ts';
import { isIdle } from '../store/campaign/forecast.ts';
import type { CampaignStatus } from '../store/campaign/status.ts';
import type { TenantLook } from './tenant-look.ts';

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

/** What is still to come, in the words of `formatUpcoming`; the script counts the rest down. */
export function upcoming(iso: string, now = Date.now()): Html {
  const parts = partsOfUpcoming(iso, now);
  if (parts === null) return html`${ANY_MOMENT}`;
  return html`<span data-until="${iso}">at <time datetime="${iso}" title="${iso}">${parts.clock}</time> <span class="left">${parts.left}</span></span>`;
}

/** What has happened, in the words of `formatPast`; the script keeps its age up to date. */
export function ago(ms: number, now = Date.now()): Html {
  const iso = new Date(ms).toISOString();
  return html`${at(ms)} <span class="left" data-since="${iso}">${describeAge(ms, now)}</span>`;
}

/** A time alone, for a column of them. */
export function at(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}" title="${iso}">${formatTime(ms, Date.now())}</time>`;
}

/** What blocks calls, and when that changes. */
export function renderHold(hold: HoldWords, now = Date.now()): Html {
  const { state, next } = partsOfHold({ ...hold, detail: withButtons(hold.detail) });
  const then = hold.until === null || next === '' ? '' : html` ${next} ${upcoming(hold.until, now)}.`;
  return renderReason(hold.reason, html`${state}${then}`);
}

function renderReason(reason: string, words: Html): Html {
  return html`<span class="hold" data-reason="${reason}">${words}</span>`;
}

/** Why nothing of a tenant goes out, and what else there is to know of its budget. */
export function renderHolds(
  { budget, waiting }: Pick<TenantLook, 'budget' | 'waiting'>,
  tenant: string,
  now = Date.now(),
): Html {
  const lines = renderBlocked(
    budget,
    tenant,
    holdsToShow(budget, tenant, isIdle(waiting)).map((hold) => renderHold(hold, now)),
  );
  return lines.length > 0 ? renderList(lines) : html`<p class="note">Calls can be sent now.</p>`;
}

/** Why nothing of one campaign goes out; empty: nothing is blocking it. */
export function renderCampaignHold(
  { open, hold }: Pick<CampaignStatus, 'open' | 'hold'>,
  budget: BudgetView,
  tenant: string,
  now = Date.now(),
): Html {
  const isAbsent = describeAbsence(budget, tenant) !== null;
  const holds = hold && (hold.reason === 'paused' || !isAbsent) ? [renderHold(hold, now)] : [];
  const lines = open > 0 ? renderBlocked(budget, tenant, holds) : holds;
  return lines.length > 0 ? renderList(lines) : html``;
}

/** A hold among what else is to be known of the budget: a missing worker first. */
function renderBlocked(budget: BudgetView, tenant: string, holds: readonly Html[]): Html[] {
  const absence = describeAbsence(budget, tenant);
  const pace = describePace(budget);
  return [
    ...(absence ? [renderReason('absent', html`${absence}`)] : []),
    ...holds,
    ...(pace ? [renderReason('pace', html`${pace}`)] : []),
  ];
}

function renderList(lines: readonly Html[]): Html {
  return html`<ul class="holds">${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}

/** A campaign's status, in the one word that it has everywhere. */
export function renderState(state: CampaignStatus['state']): Html {
  return html`<span class="state" data-state="${state}">${state}</span>`;
}

/** When a campaign is expected to finish, after what else is said of it; empty: not known. */
export function renderEta({ etaAt, expiring }: Pick<CampaignStatus, 'etaAt' | 'expiring'>): Html {
  return etaAt === null ? html`` : html`. ${EXPECTED} ${upcoming(etaAt)}${describeExpiring(expiring)}.`;
}

type Shares = Pick<CampaignStatus, 'total' | 'open' | 'unknown' | 'outcomes'>;

function sharesOf({ open, unknown, outcomes }: Shares): Map<OutcomeOrOpen, number> {
  const shares = new Map<OutcomeOrOpen, number>();
  for (const outcome of OUTCOMES) if (outcomes[outcome]) shares.set(outcome, outcomes[outcome]);
  if (open > 0) shares.set('open', open);
  if (unknown > 0) shares.set('unknown', unknown);
  return shares;
}

/** A campaign's progress as a bar in the colours of the outcomes. */
export function renderProgress(label: string, shares: Shares): Html {
  return renderBar(label, { name: '', total: shares.total, outcomes: sharesOf(shares) });
}

/** The outcomes and their numbers, in a line. */
export function renderOutcomeCounts(shares: Shares): Html {
  const items = [...sharesOf(shares)].map(
    ([outcome, number]) =>
      html`<li>${mark(outcome)}${outcomeLabel(outcome)} <strong>${count(number)}</strong></li>\n`,
  );
  return html`<ul class="counts">${items}</ul>`;
}

/** `9,998 of 10,000 actions finished (> 99.9%)` */
export function describeProgress(shares: Shares): string {
  const { total } = shares;
  const finished = finishedOf(shares);
  return `${count(finished)} of ${count(total)} actions finished (${percent(finished, total)})`;
}

/** A table that scrolls by itself where it is too wide. */
export function scrolling(label: string, table: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}
