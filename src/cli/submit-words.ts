import { excerpt } from '../base/foreign.ts';
import { titled } from '../base/words/name.ts';
import { count, plural } from '../base/words/number.ts';
import { formatTime } from '../base/words/time.ts';
import { describeDuplicates, describeEta, describeKnown, describePlanned } from '../files/words/campaign.ts';
import type { SubmitPlan } from '../store/campaign/plan.ts';
import type { SubmitSummary } from '../store/campaign/submit.ts';
import { describePriority } from '../store/ledger/place.ts';
import type { SetAside } from './sift.ts';
import type { SubmitOptions } from './submit-wish.ts';

/** What was left out before anything was submitted. */
export interface LeftOut {
  /** Named before in the same file. */
  duplicates: number;
  /** Bad lines. */
  skipped: number;
  excluded: number;
  setAside: readonly SetAside[];
}

type Counts = Pick<SubmitSummary, 'accepted' | 'already' | 'tracked' | 'takenOver'>;

/** What a submit did, for a person. */
export function describeSubmit(
  tenant: string,
  summary: SubmitSummary,
  leftOut: LeftOut,
  forecast: Pick<SubmitPlan, 'etaAt' | 'expiring'>,
): string {
  return [
    `${titled(summary.campaign, tenant)}: ${plural(summary.accepted, 'action')} queued`,
    ...describeOthers(summary, leftOut),
    ...describeEnd(forecast),
  ].join('\n');
}

/** What it would do. */
export function describePlan(tenant: string, name: string, plan: SubmitPlan, leftOut: LeftOut): string[] {
  return [describePlanned({ name, tenant }, plan), ...describeOthers(plan, leftOut), ...describeEnd(plan)];
}

/** What a campaign that exists keeps, where something else was asked for. */
export function describeKept(summary: SubmitSummary, asked: SubmitOptions): string[] {
  const { comment, priority, expiresAt } = summary;
  const lines: string[] = [];
  if (comment !== asked.comment.trim()) lines.push(`comment: ${comment}`);
  const wanted = asked.urgent ? 'urgent' : asked.priority;
  if (wanted !== undefined && wanted !== describePriority(priority)) {
    lines.push(`priority: ${describePriority(priority)} (change it with "standdown priority")`);
  }
  if (asked.expiresIn !== undefined) {
    const time = expiresAt === null ? 'never' : formatTime(expiresAt, Date.now());
    lines.push(`expiry: ${time}`);
  }
  return lines.map((line) => `The existing campaign keeps its ${line}`);
}

/** What is not submitted because it is of another type, by type. */
export function describeSetAside(setAside: readonly SetAside[]): string {
  const byType = new Map<string, number>();
  for (const { isListed, type } of setAside) {
    const what = isListed ? excerpt(type ?? 'no type', 60) : 'unknown to Defender';
    byType.set(what, (byType.get(what) ?? 0) + 1);
  }
  const counts = [...byType].sort(([, a], [, b]) => b - a).map(([what, n]) => `${what} ${count(n)}`);
  return `Set aside because their type is not the expected one: ${counts.join(' · ')}`;
}

function describeOthers(counts: Counts, { duplicates, skipped, excluded, setAside }: LeftOut): string[] {
  const lines = describeKnown(counts);
  if (duplicates > 0) lines.push(describeDuplicates(duplicates));
  if (skipped > 0) lines.push(`${plural(skipped, 'invalid line')} skipped`);
  if (excluded > 0) lines.push(`${count(excluded)} excluded`);
  if (setAside.length > 0) lines.push(`${count(setAside.length)} set aside`);
  return lines.map((line) => `  ${line}`);
}

function describeEnd(forecast: Pick<SubmitPlan, 'etaAt' | 'expiring'>): string[] {
  const eta = describeEta(forecast, Date.now());
  return eta === '' ? [] : [`  ${eta}`];
}
