import { describeDuration } from '../../base/duration.ts';
import { plural } from '../../base/words/number.ts';
import { formatPast, formatTime, formatUpcoming } from '../../base/words/time.ts';
import { describeSlowed } from '../../base/words/window.ts';
import { livingWorkers, type SeenWorker, SIGNING_IN } from '../../store/budget/roster.ts';
import { type BudgetView, decisiveHold, isEndless } from '../../store/budget/view.ts';
import type { CampaignStatus } from '../../store/campaign/status.ts';
import { PAUSED, PAUSED_AGAIN } from '../../store/ledger/brake.ts';

/* Why no call goes out, in the same words everywhere: the state, its reason, what happens next and when, what the reader can do. */

/** As `status --json` has it: `until` in ISO 8601 UTC, null: not known. */
export interface HoldWords {
  reason: string;
  until: string | null;
  detail: string;
  /** Whether nothing waits to be called: then no call will follow its end. */
  isIdle?: boolean;
}

/** By a hold's reason: a label of one or two words, for a column. */
const BLOCKED_LABELS: Readonly<Record<string, string>> = {
  window: 'rate limit',
  penalty: '429 from Defender',
  upstream: 'Defender unavailable',
  unauthorized: 'token rejected',
  'sign-in': 'sign-in failing',
  grace: 'call history',
  paused: 'paused',
};

/** Why nothing of a campaign goes out, as a label: what `describeBlocked` says first. Empty: nothing blocks it. */
export function blockedLabel(
  { open, hold, state }: Pick<CampaignStatus, 'open' | 'hold' | 'state'>,
  { now, workers }: BudgetView,
): string {
  // What has expired or was aborted waits for no call.
  const isAbsent = open > 0 && hold?.reason !== 'paused' && state !== 'expired' && state !== 'aborted';
  if (isAbsent && livingWorkers(workers, now).length === 0) return 'no worker';
  return hold ? (BLOCKED_LABELS[hold.reason] ?? hold.reason) : '';
}

/** Why nothing of a campaign, or of a tenant, goes out, and when that changes. */
export function describeHold(hold: HoldWords, now: number): string {
  const { state, next } = partsOfHold(hold);
  return hold.until === null || next === '' ? state : `${state} ${next} ${formatUpcoming(hold.until, now)}.`;
}

/** The same in two parts, where the time between them counts down by itself. `next` is followed by `at` and a time; empty: by nothing. */
export function partsOfHold({ reason, detail, isIdle = false }: Omit<HoldWords, 'until'>): {
  state: string;
  next: string;
} {
  const nextCall = isIdle ? 'Calls can be sent again' : 'Next call';
  switch (reason) {
    case 'window':
      return { state: `Rate limit reached${detail === '' ? '' : `: ${detail}`}.`, next: nextCall };
    case 'penalty':
      return { state: `Defender asked to wait (${coded('429', detail)}).`, next: nextCall };
    case 'upstream':
      return { state: `Defender is unavailable${because(detail)}.`, next: 'Retrying' };
    case 'unauthorized':
      return { state: `Defender rejects the access token (${coded('401', detail)}).`, next: 'Retrying' };
    case 'sign-in':
      return { state: `Sign-in is failing${because(detail)}.`, next: 'Retrying' };
    case 'grace':
      return { state: describeGrace(detail), next: detail === 'new' ? 'Starting' : 'Resuming' };
    case 'paused':
      return { state: detail || 'Paused. Resume it to continue.', next: '' };
    default:
      return { state: `Blocked: ${reason}${because(detail)}.`, next: 'Retrying' };
  }
}

/** @param why what began it, as the budget notes it. */
function describeGrace(why: string): string {
  switch (why) {
    case 'new':
      return 'This tenant is new in this Redis: waiting in case a worker remembers earlier calls.';
    case 'clock':
      return 'The clock of Redis was set: rebuilding the call history.';
    case 'rewound':
      return 'Redis lost its latest data: rebuilding the call history.';
    default:
      return 'Redis was restarted: rebuilding the call history.';
  }
}

/** All that blocks a tenant's calls, a sentence each. @param isIdle whether nothing waits to be called. */
export function describeHolds(view: BudgetView, tenant: string, isIdle: boolean): string[] {
  const absence = describeAbsence(view, tenant);
  return [
    absence ?? [],
    holdsToShow(view, tenant, isIdle).map((hold) => describeHold(hold, view.now)),
  ].flat();
}

/**
 * A tenant's holds. Only the one that decides when calls go on has a time, and none where nobody would make them. Where nothing waits to
 * be called nothing is retried, but for signing in.
 */
export function holdsToShow(view: BudgetView, tenant: string, isIdle: boolean): HoldWords[] {
  const last = describeAbsence(view, tenant) === null ? decisiveHold(view.holds) : null;
  const decisive = last && isIdle && isEndless(last) && last.reason !== 'sign-in' ? null : last;
  return view.holds.map((hold) => ({
    ...hold,
    isIdle,
    until: hold === decisive && hold.until !== null ? toIso(hold.until) : null,
  }));
}

/**
 * The same hold without what others said: an answer of the API or of the sign-in service may name actions, devices or people. Its code
 * stays, a status or a number of Microsoft's or of the network; so do our own words. For a text that leaves for elsewhere.
 */
export function withoutQuotes<T extends Pick<HoldWords, 'reason' | 'detail'>>(hold: T): T {
  return { ...hold, detail: ownWords(hold) };
}

function ownWords({ reason, detail }: Pick<HoldWords, 'reason' | 'detail'>): string {
  if (reason === 'window' || reason === 'grace') return detail;
  if (reason === 'paused') {
    const own = [PAUSED, PAUSED_AGAIN].find((words) => detail.startsWith(words));
    return own === undefined ? '' : `${own}.`;
  }
  return (
    /^(?:\d{3}|E[A-Z]{3,20}|UND_ERR_[A-Z_]{3,30}|PROXY_[A-Z_]{3,30})(?=:|$)|\bAADSTS\d{4,8}\b/.exec(
      detail,
    )?.[0] ?? ''
  );
}

/** Why reading machine actions waits, and until when in ms since 1970. `fault`: a call failed. */
export function describeReadWait(
  { reason, until, detail }: { reason: string; until: number; detail: string },
  now: number,
): string {
  if (reason === 'fault') return `Reading failed${because(detail)}. Retrying ${formatUpcoming(until, now)}.`;
  return `Reading is waiting. ${describeHold({ reason, until: new Date(until).toISOString(), detail }, now)}`;
}

/** Why nothing of a campaign goes out now; null: nothing blocks it, or it has finished. */
export function describeBlocked(
  { open, hold, state, tracked }: Pick<CampaignStatus, 'open' | 'hold' | 'state' | 'tracked'>,
  budget: BudgetView,
  tenant: string,
  now: number,
): string | null {
  const held = hold && describeHold(hold, now);
  const own = open - tracked.open;
  if ((state === 'expired' || state === 'aborted') && own > 0) {
    const them = own === 1 ? 'it' : 'them';
    return `The campaign ${state === 'expired' ? 'has expired' : 'was aborted'}: ${plural(own, 'pending action')} will not be called. To cancel ${them}, submit ${them} to another campaign.`;
  }
  // To continue, it needs a worker, too; but first the reader has to know that it is paused.
  if (open === 0 || hold?.reason === 'paused') return held;
  return describeAbsence(budget, tenant) ?? held;
}

/** That nothing is sent for want of a worker that can call; null while there is one, or its sign-in is what blocks. */
export function describeAbsence({ now, workers }: BudgetView, tenant: string): string | null {
  const living = livingWorkers(workers, now);
  if (living.length > 0) {
    const isStarting = living.every(({ trouble }) => trouble === SIGNING_IN);
    return isStarting ? `The worker for tenant ${tenant} is signing in.` : null;
  }
  const [last] = workers;
  const seen = last ? ` (last seen ${formatPast(last.seenAt, now)})` : '';
  return `No worker is running for tenant ${tenant}${seen}. Start one with "standdown worker".`;
}

/** Why what is submitted now will not be called, other than that it waits for its turn; null: nothing stands in its way. */
export function describeObstacle(budget: BudgetView, tenant: string): string | null {
  const absence = describeAbsence(budget, tenant);
  const hold = decisiveHold(budget.holds);
  if (absence !== null || hold === null || hold.reason === 'window') return absence;
  return describeHold({ ...hold, until: hold.until === null ? null : toIso(hold.until) }, budget.now);
}

/** A worker that is running, and as whom it calls or why it cannot. */
export function describeWorker({ host, pid, version, identity, roles, trouble }: SeenWorker): string {
  const worker = `Worker ${pid} on ${host}${version === '' ? '' : ` (${version})`}`;
  if (trouble !== '') return `${worker}: not signed in (${unfinished(trouble)})`;
  return `${worker}: signed in as ${identity}${roles ? ` with ${roles.join(', ')}` : ''}`;
}

/** That fewer calls are sent after refusals; null while as many go out as the limits allow. The API does not say why it refuses. */
export function describePace({ now, pace, windows }: BudgetView): string | null {
  if (!pace) return null;
  const narrowed = windows.find(({ lengthMs }) => lengthMs === pace.lengthMs);
  const [limit, reserved] = [narrowed?.max ?? pace.max, narrowed?.reserved ?? 0];
  const refused = `${plural(pace.refusals, 'call was', 'calls were')} refused (429) although RATE_LIMITS allows ${pace.refusals === 1 ? 'it' : 'them'}`;
  const leftMs = pace.until - now;
  return (
    `${refused}. Slowed down to ${describeSlowed({ limit, allowed: pace.max, reserved }, pace.lengthMs)}; ` +
    `back to full speed at ${formatTime(pace.until, now)} (in ${describeDuration(Math.max(0, leftMs))}) if no more are refused. ` +
    'If they are, another program may be using this application’s quota: lower RATE_LIMITS.'
  );
}

/** A status before what was said with it, which may begin with the status itself. */
function coded(status: string, detail: string): string {
  const said = unfinished(detail.replace(new RegExp(`^${status}(: |$)`), ''));
  return said === '' ? status : `${status}: ${said}`;
}

function because(detail: string): string {
  return detail === '' ? '' : ` (${unfinished(detail)})`;
}

/** A sentence of others' within one of ours. */
export function unfinished(detail: string): string {
  return detail.replace(/\.\s*$/, '');
}

function toIso(ms: number): string {
  return new Date(Math.ceil(ms)).toISOString();
}
