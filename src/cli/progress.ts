import { describeDuration, describeWindow } from '../base/duration.ts';
import { OUTCOMES } from '../base/outcome.ts';
import { titled } from '../base/words/name.ts';
import { count, percent, plural } from '../base/words/number.ts';
import { describeBlocked, describePace } from '../files/words/blocked.ts';
import { finishedOf, outcomeLabel } from '../files/words/campaign.ts';
import type { BudgetView, WindowUse } from '../store/budget/view.ts';
import { type CampaignStatus, isOver } from '../store/campaign/status.ts';
import { wrapLines } from './wrap.ts';

export interface Progress {
  /** Its label. */
  tenant: string;
  status: CampaignStatus;
  budget: BudgetView;
  /** Ms since 1970. */
  now: number;
}

const BAR = 30;

/** A campaign's progress in a few lines, none of them wider than `width` columns. */
export function renderProgress(progress: Progress, width = Number.POSITIVE_INFINITY): string {
  const { tenant, status, budget, now } = progress;
  const finished = finishedOf(status);
  const share = status.total === 0 ? 0 : finished / status.total;
  const left = status.etaAt ? `, ${describeDuration(Math.max(0, Date.parse(status.etaAt) - now))} left` : '';
  const lines = [
    titled(status.campaign, tenant),
    `${bar(share, width)} ${count(finished)} of ${count(status.total)} finished (${percent(finished, status.total)})${left}`,
    outcomesLine(status),
    ...budget.windows.map((window) => renderWindow(window, width)),
    ...reserve(budget.windows),
    blockedIn(progress) ?? describeEnd(status) ?? 'Sending cancels.',
    ...notes(progress),
  ];
  return wrapLines(lines, width);
}

/** The same in one line, for files and pipes. */
export function renderLine(progress: Progress): string {
  const { status, budget } = progress;
  const uses = budget.windows
    .map((window) => `${window.used} of ${count(window.max)} calls per ${describeWindow(window.lengthMs)}`)
    .join(', ');
  const why = [blockedIn(progress) ?? [], notes(progress)].flat().join(' ');
  return `${count(finishedOf(status))} of ${count(status.total)} finished; ${uses}.${why ? ` ${why}` : ''}`;
}

/** How it ended; null: it has not. */
function describeEnd(status: CampaignStatus): string | null {
  if (!isOver(status)) return null;
  if (status.state !== 'aborted' && status.state !== 'expired') return 'Done.';
  const uncalled = (status.outcomes.withdrawn ?? 0) + (status.outcomes.expired ?? 0);
  return `${status.state === 'aborted' ? 'Aborted' : 'Expired'}: no cancel was sent for ${plural(uncalled, 'action')}.`;
}

/** Why no call goes out, or null. */
function blockedIn({ tenant, status, budget, now }: Progress): string | null {
  return describeBlocked(status, budget, tenant, now);
}

function notes({ status, budget }: Pick<Progress, 'status' | 'budget'>): string[] {
  const pace = status.open > 0 ? describePace(budget) : null;
  return pace ? [pace] : [];
}

function outcomesLine(status: CampaignStatus): string {
  const parts = OUTCOMES.flatMap((outcome) => {
    const number = status.outcomes[outcome];
    return number ? [`${outcome} ${count(number)}`] : [];
  });
  if (status.unknown > 0) parts.push(`${outcomeLabel('unknown')} ${count(status.unknown)}`);
  return parts.join(' · ') || 'No outcome yet.';
}

function renderWindow({ used, max, lengthMs }: WindowUse, width: number): string {
  return `${bar(used / max, width)} ${count(used)} of ${count(max)} calls per ${describeWindow(lengthMs)}`;
}

/** Why a campaign stops before a window is full: `Reserved for urgent requests: 10 per minute, 30 per hour.` */
function reserve(windows: readonly WindowUse[]): string[] {
  const parts = windows
    .filter(({ reserved }) => reserved > 0)
    .map(({ reserved, lengthMs }) => `${count(reserved)} per ${describeWindow(lengthMs)}`);
  return parts.length > 0 ? [`Reserved for urgent requests: ${parts.join(', ')}.`] : [];
}

/** At most half of a narrow terminal, so that the text has room beside it. */
function bar(share: number, width: number): string {
  const length = Math.min(BAR, Math.max(10, Math.floor(width / 2) - 15));
  const full = Math.round(Math.min(1, Math.max(0, share)) * length);
  return '█'.repeat(full) + '░'.repeat(length - full);
}
