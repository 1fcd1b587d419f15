import type { Campaign } from '../campaign/registry.ts';
import type { SubmitSummary } from '../campaign/submit.ts';
import type { VerifyCount } from '../campaign/verify.ts';
import { shellWord } from '../foreign.ts';
import { describePriority } from '../ledger/place.ts';
import type { RecordState } from '../outcome.ts';
import { count, plural } from './number.ts';
import { formatTime, formatUpcoming } from './time.ts';

/* What is said of a campaign, in the same words everywhere. */

/** A name in quotes, whatever it holds. */
export function quoted(name: string): string {
  return JSON.stringify(name);
}

/** `campaign "stop-scan" in tenant contoso` */
export function campaignIn(name: string, tenant: string): string {
  return `campaign ${quoted(name)} in tenant ${tenant}`;
}

/** The same at the beginning of a line. */
export function titled(name: string, tenant: string): string {
  return `Campaign ${quoted(name)} in tenant ${tenant}`;
}

/** A command about a campaign, to be copied from a message: `standdown resume stop-scan --tenant contoso`. */
export function commandFor(verb: string, name: string, tenant: string, options = ''): string {
  return `standdown ${verb} ${shellWord(name)}${options === '' ? '' : ` ${options}`} --tenant ${tenant}`;
}

/** As `commandFor` writes it after `run`, in quotes: the verb, the campaign and options. */
const COMMAND =
  /\brun "standdown (resume|retry) (?:[\w@%+=:,./-]+|'[^']*'(?:\\''[^']*')*)((?: --[\w-]+| [a-z_]+)*?) --tenant [^\s"]+"/g;

/** A text for a page of the console: where it names a command for which the page has a button, it names the button. */
export function withButtons(text: string): string {
  return text.replace(COMMAND, (_, verb: string, options: string) => {
    const button = `select ${verb.charAt(0).toUpperCase()}${verb.slice(1)}`;
    return options.includes('--accept-refusals') ? `${button} and "Accept refusals"` : button;
  });
}

/** The name of an outcome, or of its absence. */
export function outcomeLabel(state: RecordState): string {
  return state === 'open' || state === 'checking' ? 'pending' : state;
}

/** A priority beside its scale. */
export function describePriorityFact(priority: number): string {
  return `${describePriority(priority)} (urgent goes first, then 1 to 9)`;
}

/** What an ETA is called in a sentence; a time follows. */
export const EXPECTED = 'Expected to finish';

/** An estimate that is nearer than this is no time of day. */
const NEAR_MS = 2_000;

/** When a campaign is expected to finish. */
export function describeEta(etaAt: string, now: number): string {
  const isNear = Date.parse(etaAt) - now < NEAR_MS;
  return `${EXPECTED} ${isNear ? 'within seconds' : formatUpcoming(etaAt, now)}`;
}

/** `Campaign "stop-scan" in tenant contoso (new): 250 actions would be queued` */
export function describePlanned(
  { name, tenant }: { name: string; tenant: string },
  { created, accepted }: { created: boolean; accepted: number },
): string {
  return `${titled(name, tenant)}${created ? ' (new)' : ''}: ${plural(accepted, 'action')} would be queued`;
}

/** What becomes of actions of a submit that are not simply new, a line each. */
export function describeKnown({
  already,
  tracked,
  takenOver,
}: Pick<SubmitSummary, 'already' | 'tracked' | 'takenOver'>): string[] {
  return [
    ...(already > 0 ? [`${count(already)} already in this campaign`] : []),
    ...takenOver.map(
      (of) =>
        `${count(of.count)} taken over from campaign ${quoted(of.campaign)}, where ${of.count === 1 ? 'it' : 'they'} ended as ${of.outcome}`,
    ),
    ...tracked.map(({ outcome, ...of }) => {
      const where =
        outcome === 'open' || outcome === 'checking' ? 'already queued there' : `ended there as ${outcome}`;
      return `${count(of.count)} followed: owned by campaign ${quoted(of.campaign)}, ${where}`;
    }),
  ];
}

/*
 * Each action is owned by one campaign, which has it called. Another campaign that was given the same action follows it: it shows the
 * outcome and waits for it, and neither pauses, aborts nor retries the action. No other words are used for this.
 */

/** That a campaign follows actions. */
export function describeTracked({ total, gone }: { total: number; gone: number }): string {
  const known = total - gone;
  return [
    known > 0 ? describeFollowed(known) : '',
    gone > 0
      ? `${plural(gone, 'action was', 'actions were')} owned by a deleted campaign; ${gone === 1 ? 'its outcome is' : 'their outcomes are'} unknown`
      : '',
  ]
    .filter(Boolean)
    .join('; ');
}

function describeFollowed(total: number): string {
  return total === 1
    ? 'Follows 1 action owned by another campaign'
    : `Follows ${count(total)} actions owned by other campaigns`;
}

/** What of a campaign is not paused or aborted with it; empty: nothing. */
export function describeGoingOn(following: number): string {
  if (following === 0) return '';
  return following === 1
    ? '1 followed action continues in the campaign that owns it'
    : `${count(following)} followed actions continue in the campaigns that own them`;
}

/** The question before an abort. @param following actions that go on in other campaigns. */
export function askAbort(
  { name, tenant }: { name: string; tenant: string },
  { open, following }: { open: number; following: number },
): string {
  const parts = [
    `Abort ${campaignIn(name, tenant)}? ${plural(open, 'pending action')} will not be cancelled`,
    describeGoingOn(following),
  ];
  return `${parts.filter(Boolean).join('. ')}.`;
}

/** `240 of 250 actions cancelled` */
export function describeCancelled({ total, outcomes }: Pick<Campaign, 'total' | 'outcomes'>): string {
  return `${count(outcomes.cancelled ?? 0)} of ${plural(total, 'action')} cancelled`;
}

/** What pausing, resuming or aborting came to: `aborted; 12 actions withdrawn`. Empty parts say nothing. */
export function describeSteered(
  { state, changed }: { state: string; changed: boolean },
  more: string[],
): string {
  return [changed ? state : `was already ${state}`, ...more].filter(Boolean).join('; ');
}

/** How many actions a retry opened again. */
export function describeRetried(reopened: number, others: number): string {
  return `${plural(reopened, 'action')} queued again${others > 0 ? `; ${describeLeft(others)}` : ''}`;
}

export function describeReprioritized(priority: number, before: number): string {
  return `priority ${describePriority(priority)} (was ${describePriority(before)})`;
}

export function describeLeft(others: number): string {
  return others === 1
    ? '1 followed action is owned by another campaign; retry it there, or submit it to this campaign again if that one was aborted'
    : `${count(others)} followed actions are owned by other campaigns; retry them there, or submit them to this campaign again if those were aborted`;
}

export function describeDuplicates(duplicates: number): string {
  return `${plural(duplicates, 'duplicate')} ignored`;
}

/** Why a campaign that has finished stays as it is. @param steering a verb, such as `pause`. */
export function describeFinished({ at }: { at: number | null }, steering: string, now: number): string {
  const when = at === null ? 'it has finished' : `it finished at ${formatTime(at, now)}`;
  return `nothing to ${steering}; ${when}`;
}

/** Why a campaign's verification asked for nothing. */
export const NOTHING_TO_VERIFY =
  'nothing to verify. Every action that was called has a final status. Followed actions are verified by the campaigns that own them.';

/** What there is to know beside an action's outcome. @param owner the campaign that owns it, where that is another one; null: this one does. */
export function describeNotes({ uncertain, owner }: { uncertain: boolean; owner: string | null }): string {
  return [uncertain ? 'uncertain' : '', owner === null ? '' : describeOwnership(owner)]
    .filter(Boolean)
    .join(', ');
}

/** @param owner empty: it was deleted. */
export function describeOwnership(owner: string): string {
  return owner === '' ? 'owned by a deleted campaign' : `owned by campaign ${quoted(owner)}`;
}

/** Why an outcome is marked as uncertain. */
export const UNCERTAIN = 'an earlier attempt may have been carried out';

/** What verifying came to: `checked 196 actions: 192 found, 4 unknown to Defender`. */
export function describeChecked({
  asked,
  noted,
  absent,
}: Pick<VerifyCount, 'asked' | 'noted' | 'absent'>): string {
  const unknown = absent > 0 ? `, ${count(absent)} unknown to Defender` : '';
  return `checked ${plural(asked, 'action')}: ${count(noted)} found${unknown}`;
}
