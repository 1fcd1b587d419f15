import type { BudgetView, WindowUse } from '../budget/view.ts';
import { type CampaignStatus, isOver } from '../campaign/status.ts';
import { describeDuration, formatDuration } from '../duration.ts';
import { OUTCOMES } from '../outcome.ts';
import { describeAbsence, describeHold, describePace } from '../words.ts';
import { count } from './table.ts';

export interface Progress {
  status: CampaignStatus;
  budget: BudgetView;
  /** Ms since 1970. */
  now: number;
}

const BAR = 30;

/** A campaign in progress, a few lines for a terminal. */
export function renderProgress({ status, budget, now }: Progress): string {
  const decided = status.total - status.open;
  const share = status.total === 0 ? 1 : decided / status.total;
  const left = status.etaAt ? `, ${describeDuration(Math.max(0, Date.parse(status.etaAt) - now))} left` : '';
  return [
    `${bar(share)} ${count(decided)} of ${count(status.total)} (${Math.floor(share * 100)} %)${left}`,
    outcomesLine(status),
    ...budget.windows.map(renderWindow),
    waiting({ status, budget, now }) ?? (isOver(status) ? 'done' : 'calling'),
    ...notes({ status, budget }),
  ].join('\n');
}

/** The same in one line, for what is no terminal. */
export function renderLine({ status, budget, now }: Progress): string {
  const uses = budget.windows
    .map((window) => `${window.used}/${window.max} in ${formatDuration(window.lengthMs)}`)
    .join(', ');
  const why = [waiting({ status, budget, now }) ?? [], notes({ status, budget })].flat().join('; ');
  const decided = `${count(status.total - status.open)} of ${count(status.total)} decided`;
  return `${decided}; calls ${uses}${why ? `; ${why}` : ''}`;
}

/** Why nothing goes out, or null. */
function waiting({ status, budget, now }: Progress): string | null {
  if (status.open === 0) return status.hold && describeHold(status.hold, now);
  return describeAbsence(budget) ?? (status.hold ? describeHold(status.hold, now) : null);
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
  return parts.join(' · ') || 'nothing decided yet';
}

function renderWindow(window: WindowUse): string {
  const reserve = window.reserved > 0 ? `, ${window.reserved} of them kept for urgent` : '';
  const limit = `${count(window.used)} of ${count(window.max)} calls in ${formatDuration(window.lengthMs)}${reserve}`;
  return `${bar(window.used / window.max)} ${limit}`;
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR);
  return '█'.repeat(full) + '░'.repeat(BAR - full);
}
