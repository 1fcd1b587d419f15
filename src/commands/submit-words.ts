import type { SubmitPlan } from '../campaign/plan.ts';
import type { SubmitSummary } from '../campaign/submit.ts';
import { describeDuration } from '../duration.ts';
import { excerpt } from '../foreign.ts';
import { describePriority } from '../ledger/place.ts';
import { describeDuplicates, describeKnown } from '../words.ts';
import type { SetAside } from './sift.ts';
import type { SubmitOptions } from './submit-wish.ts';
import { clockTime, count } from './table.ts';

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
export function describeSubmit(summary: SubmitSummary, leftOut: LeftOut, etaAt: string | null): string {
  return [
    `${summary.campaign}: ${count(summary.accepted)} accepted`,
    ...describeOthers(summary, leftOut),
    ...describeEnd(etaAt, 'done'),
  ].join('\n');
}

/** What it would do. */
export function describePlan(name: string, plan: SubmitPlan, leftOut: LeftOut): string[] {
  return [
    `${name}: ${count(plan.accepted)} would be accepted`,
    ...describeOthers(plan, leftOut),
    ...describeEnd(plan.etaAt, 'would be done'),
  ];
}

/** What a campaign that exists keeps, where something else was asked for. */
export function describeKept(summary: SubmitSummary, asked: SubmitOptions): string[] {
  const { comment, priority, expiresAt } = summary;
  const lines: string[] = [];
  if (comment !== asked.comment.trim()) lines.push(`comment: ${comment}`);
  const wanted = asked.urgent ? 'urgent' : asked.priority;
  if (wanted !== undefined && wanted !== describePriority(priority)) {
    lines.push(`priority: ${describePriority(priority)}; standdown priority changes it`);
  }
  if (asked.expiresIn !== undefined) {
    const time = expiresAt === null ? 'never' : clockTime(new Date(expiresAt).toISOString(), Date.now());
    lines.push(`expiry: ${time}`);
  }
  return lines.map((line) => `the campaign keeps its ${line}`);
}

/** What is not submitted because it is of no expected type, by type. */
export function describeSetAside(setAside: readonly SetAside[]): string {
  const byType = new Map<string, number>();
  for (const { isListed, type } of setAside) {
    const what = isListed ? excerpt(type ?? 'of no type', 60) : 'not listed';
    byType.set(what, (byType.get(what) ?? 0) + 1);
  }
  const counts = [...byType].sort(([, a], [, b]) => b - a).map(([what, n]) => `${what} ${count(n)}`);
  return `set aside, for it is of no expected type: ${counts.join(' · ')}`;
}

function describeOthers(counts: Counts, { duplicates, skipped, excluded, setAside }: LeftOut): string[] {
  const lines = describeKnown(counts);
  if (duplicates > 0) lines.push(describeDuplicates(duplicates));
  if (skipped > 0) lines.push(`${count(skipped)} bad lines left out`);
  if (excluded > 0) lines.push(`${count(excluded)} excluded`);
  if (setAside.length > 0) lines.push(`${count(setAside.length)} set aside`);
  return lines.map((line) => `  ${line}`);
}

function describeEnd(etaAt: string | null, done: string): string[] {
  if (etaAt === null) return [];
  const now = Date.now();
  return [
    `  ${done} at ${clockTime(etaAt, now)}, in ${describeDuration(Math.max(0, Date.parse(etaAt) - now))}`,
  ];
}
