import { livingWorkers, type SeenWorker } from './budget/roster.ts';
import type { BudgetView } from './budget/view.ts';
import type { SubmitSummary } from './campaign/submit.ts';
import { describeDuration, formatDuration } from './duration.ts';

/* What commands and console say in the same words. */

/** 12345 as 12,345. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** A time of day, with the date where it is another day. */
export function clockTime(iso: string, now: number): string {
  const time = new Date(iso);
  const clock = time.toTimeString().slice(0, 8);
  const isToday = time.toDateString() === new Date(now).toDateString();
  return isToday
    ? clock
    : `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${clock}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

/** What becomes of ids of a submit that are not simply new, a line each. */
export function describeKnown({
  already,
  tracked,
  takenOver,
}: Pick<SubmitSummary, 'already' | 'tracked' | 'takenOver'>): string[] {
  return [
    ...(already > 0 ? [`${count(already)} already in this campaign`] : []),
    ...takenOver.map(
      (of) =>
        `${count(of.count)} taken over from campaign ${quoted(of.campaign)}, where they ended as ${of.outcome}`,
    ),
    ...tracked.map(({ outcome, ...of }) => {
      const where = outcome === 'open' || outcome === 'checking' ? 'already queued' : `already ${outcome}`;
      return `${count(of.count)} ${where} in campaign ${quoted(of.campaign)}; followed there`;
    }),
  ];
}

/** That some of a campaign's ids are another one's. */
export function describeTracked({ total, gone }: { total: number; gone: number }): string {
  const known = total - gone;
  const lost = `${count(gone)} of these ${gone === 1 ? 'was' : 'were'} a campaign's that was deleted: nobody knows what became of ${gone === 1 ? 'it' : 'them'}`;
  return [known > 0 ? describeFollowed(known) : '', gone > 0 ? lost : ''].filter(Boolean).join('; ');
}

function describeFollowed(total: number): string {
  return `${count(total)} of these ${total === 1 ? 'belongs to another campaign and is' : 'belong to other campaigns and are'} followed there`;
}

/** What of a campaign is not held back or ended with it; empty: nothing. */
export function describeGoingOn(following: number): string {
  return following > 0 ? `${count(following)} more go on in the campaigns that own them` : '';
}

export function describeLeft(others: number): string {
  return `${count(others)} ${others === 1 ? 'belongs' : 'belong'} to another campaign: retry ${others === 1 ? 'it' : 'them'} there`;
}

export function describeDuplicates(duplicates: number): string {
  return `${count(duplicates)} ${duplicates === 1 ? 'duplicate' : 'duplicates'} ignored`;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}

/** What bulk waits for, by a hold's reason. */
export const REASONS: Readonly<Record<string, string>> = {
  window: 'the rate limit: all calls it allows for now were made',
  penalty: 'the API (429): it asked to wait',
  upstream: 'the API: it is down',
  unauthorized: 'the API: it refuses the token (401)',
  'sign-in': 'a token: signing in fails',
  grace: 'workers to put back the calls they remember',
  paused: 'somebody to resume it',
};

/** Why a campaign that has finished stays as it is. */
export function describeFinished({ at }: { at: number | null }, steering: string): string {
  if (at === null) return `nothing to ${steering}: all of its ids have an outcome`;
  return `nothing to ${steering}: finished at ${clockTime(new Date(at).toISOString(), Date.now())}`;
}

/** That nothing will happen for want of a worker, for a person; null while there is one. */
export function describeAbsence({ now, workers }: BudgetView): string | null {
  if (livingWorkers(workers, now).length > 0) return null;
  const [last] = workers;
  const since = last ? `, the last one was seen ${describeDuration(Math.max(0, now - last.seenAt))} ago` : '';
  return `no worker runs${since}: start one with "standdown worker"`;
}

/** A worker that is there, and as whom it calls or why it cannot. */
export function describeWorker({ host, pid, version, identity, roles, trouble }: SeenWorker): string {
  const what = `worker ${pid} on ${host}${version === '' ? '' : ` (${version})`}`;
  if (trouble !== '') return `${what}: has no token: ${trouble}`;
  return `${what}: signed in as ${identity}${roles ? ` with ${roles.join(', ')}` : ''}`;
}

/** That fewer calls go out after refusals, for a person; null while as many go out as may. The API does not say why it refuses. */
export function describePace({ now, pace, windows }: BudgetView): string | null {
  if (!pace) return null;
  const [whole] = windows.filter(({ lengthMs }) => lengthMs === pace.lengthMs);
  const until = clockTime(new Date(pace.until).toISOString(), now);
  const calls = pace.refusals === 1 ? '1 call was' : `${count(pace.refusals)} calls were`;
  return (
    `${calls} refused (429) although RATE_LIMITS allows ${pace.refusals === 1 ? 'it' : 'them'}; the API does not say why. ` +
    `At most ${count(pace.max)} of ${count(whole?.max ?? pace.max)} calls in ${formatDuration(pace.lengthMs)} now, all of them again ` +
    `from ${until}; if it goes on, another program may use this application's quota, or it is smaller: lower RATE_LIMITS`
  );
}

/** Why nothing goes out, for a person. */
export function describeHold(
  hold: { reason: string; until: string | null; detail: string },
  now: number,
): string {
  if (hold.reason === 'paused' && hold.detail) return hold.detail;
  const leftMs = hold.until ? Date.parse(hold.until) - now : 0;
  const until =
    leftMs > 0 && hold.until ? ` until ${clockTime(hold.until, now)} (${describeDuration(leftMs)})` : '';
  const detail = hold.detail ? `; ${hold.detail}` : '';
  return `waits for ${REASONS[hold.reason] ?? hold.reason}${until}${detail}`;
}

/** Why a campaign's verification asked for nothing. */
export const NOTHING_TO_READ =
  'what was called for this campaign is known in a final state; what it follows is verified where it is owned';
