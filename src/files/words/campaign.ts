import type { RecordState } from '../../base/outcome.ts';
import { campaignIn, quoted, titled } from '../../base/words/name.ts';
import { count, plural } from '../../base/words/number.ts';
import { formatTime, formatUpcoming } from '../../base/words/time.ts';
import type { CampaignStatus } from '../../store/campaign/status.ts';
import type { Steered } from '../../store/campaign/steer.ts';
import type { SubmitSummary } from '../../store/campaign/submit.ts';
import { describePriority } from '../../store/ledger/place.ts';
import type { VerifyCount } from '../../worker/verify.ts';

/* What is said of a campaign, in the same words everywhere. */

/** The name of an outcome, or of its absence. */
export function outcomeLabel(state: RecordState | 'unknown' | null): string {
  return state === null || state === 'open' || state === 'checking' ? 'pending' : state;
}

/** How many of a campaign's actions have an outcome that is known. */
export function finishedOf({
  total,
  open,
  unknown,
}: Pick<CampaignStatus, 'total' | 'open' | 'unknown'>): number {
  return total - open - unknown;
}

/** A priority beside its scale. */
export function describePriorityFact(priority: number): string {
  return `${describePriority(priority)} (urgent goes first, then 1 to 9)`;
}

/** What an ETA is called in a sentence; a time follows. */
export const EXPECTED = 'Expected to finish';

/** An estimate that is nearer than this is no time of day. */
const NEAR_MS = 2_000;

/** When a campaign is expected to finish; empty: there is no forecast. */
export function describeEta(
  { etaAt, expiring }: Pick<CampaignStatus, 'etaAt' | 'expiring'>,
  now: number,
): string {
  if (etaAt === null) return '';
  const isNear = Date.parse(etaAt) - now < NEAR_MS;
  return `${EXPECTED} ${isNear ? 'within seconds' : formatUpcoming(etaAt, now)}${describeExpiring(expiring)}`;
}

/** The end of such a sentence: what the campaign's expiry leaves undone. */
export function describeExpiring(expiring: number | null): string {
  return expiring ? `, when about ${plural(expiring, 'pending action')} will expire without a call` : '';
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
    ...tracked.map(({ outcome, state, ...of }) => {
      const paused = state === 'paused' ? ' (paused)' : '';
      const where =
        outcome !== null
          ? `ended there as ${outcome}`
          : state === 'aborted' || state === 'expired'
            ? `which is ${state} and is calling ${of.count === 1 ? 'it' : 'them'} a last time; submit again if that fails`
            : `already queued there${paused}`;
      return `${count(of.count)} followed: owned by campaign ${quoted(of.campaign)}, ${where}`;
    }),
  ];
}

/*
 * Each action is owned by one campaign, which has it called. Another campaign that was given the same action follows it: it shows the
 * outcome and waits for it, and neither pauses, aborts nor retries the action. No other words are used for this.
 */

/** That a campaign follows actions. */
export function describeTracked({ tracked, unknown }: Pick<CampaignStatus, 'tracked' | 'unknown'>): string {
  const known = tracked.total - unknown;
  return [
    known > 0 ? describeFollowed(known) : '',
    unknown > 0
      ? `${plural(unknown, 'action was', 'actions were')} owned by a deleted campaign; ${unknown === 1 ? 'its outcome is' : 'their outcomes are'} unknown`
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
function describeGoingOn(following: number): string {
  if (following === 0) return '';
  return following === 1
    ? '1 followed action is not affected'
    : `${count(following)} followed actions are not affected`;
}

/** Some campaigns at the beginning of a sentence: `Campaigns "a", "b"`. */
export function namedCampaigns(names: readonly string[]): string {
  return `${names.length === 1 ? 'Campaign' : 'Campaigns'} ${names.map(quoted).join(', ')}`;
}

/** What aborting a campaign reaches beyond its own actions. */
export interface AbortReach {
  /** Its own actions that will not be cancelled. */
  open: number;
  /** Actions that go on in other campaigns. */
  following: number;
  /** Campaigns that follow its pending actions, by name. */
  followers: readonly string[];
}

/** The question before an abort. */
export function askAbort(
  { name, tenant }: { name: string; tenant: string },
  { open, following, followers }: AbortReach,
): string {
  const follow = followers.length === 1 ? 'follows' : 'follow';
  const parts = [
    `Abort ${campaignIn(name, tenant)}? ${plural(open, 'pending action')} will not be cancelled`,
    open > 0 ? 'To cancel them later, submit them to another campaign' : '',
    describeGoingOn(following),
    followers.length > 0
      ? `${namedCampaigns(followers)} ${follow} pending actions of this one and will show them as withdrawn`
      : '',
  ];
  return `${parts.filter(Boolean).join('. ')}.`;
}

/** Why a campaign is not paused that has nothing of its own to pause. @param owners the campaigns that own its pending actions, by name. */
function describeOnlyFollowing(following: number, owners: readonly string[]): string {
  const are = following === 1 ? 'action is' : 'actions are';
  const where = `${owners.length === 1 ? 'campaign' : 'campaigns'} ${owners.map(quoted).join(', ')}`;
  return `nothing to pause; ${count(following)} pending ${are} owned by ${where}`;
}

/** `240 of 250 actions cancelled` */
export function describeCancelled({ total, outcomes }: Pick<CampaignStatus, 'total' | 'outcomes'>): string {
  return `${count(outcomes.cancelled ?? 0)} of ${plural(total, 'action')} cancelled`;
}

/** What pausing, resuming or aborting came to: `aborted; 12 actions withdrawn`. */
export function describeSteered(steered: Steered, now: number): string {
  const { steering, state, changed, finishedAt, withdrawn, following, acceptRefusals, owners, followers } =
    steered;
  if (owners) return describeOnlyFollowing(following, owners);
  const isFinished = state === 'done';
  const where = `${followers.length === 1 ? 'campaign' : 'campaigns'} ${followers.map(quoted).join(', ')}`;
  return [
    isFinished ? describeFinished(finishedAt, steering, now) : changed ? state : `was already ${state}`,
    withdrawn > 0 ? `${plural(withdrawn, 'action')} withdrawn` : '',
    withdrawn > 0 && followers.length > 0 ? `some are followed in ${where}` : '',
    acceptRefusals ? 'refusals no longer pause it' : '',
    isFinished || steering === 'resume' ? '' : describeGoingOn(following),
  ]
    .filter(Boolean)
    .join('; ');
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
function describeFinished(at: number | null, steering: string, now: number): string {
  const when = at === null ? 'it has finished' : `it finished at ${formatTime(at, now)}`;
  return `nothing to ${steering}; ${when}`;
}

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

/** What verifying came to: `checked 196 actions: 192 found, 4 unknown to Defender`; or why nothing was asked for. */
export function describeChecked(verified: VerifyCount): string {
  const { asked, noted, absent, changed } = verified;
  if (asked === 0) return describeUnchecked(verified);
  const parts = [
    `${count(noted)} found`,
    ...(absent > 0 ? [`${count(absent)} unknown to Defender`] : []),
    ...(changed > 0 ? [`${count(changed)} retried or verified meanwhile`] : []),
  ];
  return `checked ${plural(asked, 'action')}: ${parts.join(', ')}`;
}

function describeUnchecked({ settled, uncalled, open, others, unknown }: VerifyCount): string {
  if (settled > 0)
    return `nothing left to verify: ${plural(settled, 'action has', 'actions have')} a final status from an earlier check`;
  if (open > 0) return 'nothing to verify yet';
  if (uncalled > 0) return `nothing to verify: ${plural(uncalled, 'action')} ended as ${UNCALLED_WORDS}`;
  return others + unknown > 0
    ? 'nothing to verify in this campaign'
    : 'nothing to verify: the campaign has no actions';
}

const UNCALLED_WORDS = 'withdrawn, expired or invalid';

/** What there is to know of the other actions of a campaign that was verified, a line each. */
export function describeUnverified(verified: VerifyCount): string[] {
  const { asked, unsettled, settled, uncalled, open, others, unknown } = verified;
  return [
    unsettled > 0
      ? `${plural(unsettled, 'action has', 'actions have')} no final status yet; verify again later`
      : '',
    asked > 0 && settled > 0
      ? `${plural(settled, 'more action has', 'more actions have')} a final status from an earlier check`
      : '',
    uncalled > 0 && (asked > 0 || settled > 0 || open > 0)
      ? `${plural(uncalled, 'action')} ended as ${UNCALLED_WORDS}: nothing to verify`
      : '',
    open > 0 ? `${plural(open, 'action is', 'actions are')} pending and can be verified when finished` : '',
    others > 0
      ? `${plural(others, 'followed action is', 'followed actions are')} verified by the ${others === 1 ? 'campaign that owns it' : 'campaigns that own them'}`
      : '',
    unknown > 0
      ? `${plural(unknown, 'action was', 'actions were')} owned by a deleted campaign and cannot be verified`
      : '',
  ].filter(Boolean);
}
