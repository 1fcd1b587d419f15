import type { CampaignStatus } from '../campaign/status.ts';
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
    ...tracked.map(({ outcome, state, ...of }) => {
      const where = outcome === null ? 'already queued' : `ended as ${outcome}`;
      const paused = outcome === null && state === 'paused' ? ', which is paused' : '';
      return `${count(of.count)} ${where} in campaign ${quoted(of.campaign)}${paused}; followed there`;
    }),
  ];
}

/** That some of a campaign's actions are another one's. */
export function describeTracked({ tracked, unknown }: Pick<CampaignStatus, 'tracked' | 'unknown'>): string {
  const known = tracked.total - unknown;
  return [
    known > 0 ? describeFollowed(known) : '',
    unknown > 0
      ? `${plural(unknown, 'action')} belonged to a campaign that was deleted; ${unknown === 1 ? 'its outcome is' : 'their outcomes are'} unknown`
      : '',
  ]
    .filter(Boolean)
    .join('; ');
}

function describeFollowed(total: number): string {
  return total === 1
    ? '1 action belongs to another campaign and is followed there'
    : `${count(total)} actions belong to other campaigns and are followed there`;
}

/** What of a campaign is not paused or aborted with it; empty: nothing. */
export function describeGoingOn(following: number): string {
  if (following === 0) return '';
  return following === 1
    ? '1 more action continues in the campaign that owns it'
    : `${count(following)} more actions continue in the campaigns that own them`;
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

/** What an abort did besides, a part each. @param withdrawn of its own. */
export function describeAborted(withdrawn: number, followers: readonly string[]): string[] {
  if (withdrawn === 0) return [];
  const them = followers.map(quoted).join(', ');
  return [
    `${plural(withdrawn, 'action')} withdrawn`,
    ...(followers.length > 0
      ? [`some are followed in ${followers.length === 1 ? 'campaign' : 'campaigns'} ${them}`]
      : []),
  ];
}

/** Why a campaign is not paused that has nothing of its own to pause. @param owners the campaigns that own its pending actions, by name. */
export function describeOnlyFollowing(following: number, owners: readonly string[]): string {
  const belong = following === 1 ? 'action belongs' : 'actions belong';
  const where = `${owners.length === 1 ? 'campaign' : 'campaigns'} ${owners.map(quoted).join(', ')}`;
  return `Nothing to pause: ${count(following)} pending ${belong} to ${where}`;
}

/** `240 of 250 actions cancelled` */
export function describeCancelled({ total, outcomes }: Pick<CampaignStatus, 'total' | 'outcomes'>): string {
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
    ? '1 action belongs to another campaign; retry it there, or submit it to this campaign again if that one was aborted'
    : `${count(others)} actions belong to other campaigns; retry them there, or submit them to this campaign again if those were aborted`;
}

export function describeDuplicates(duplicates: number): string {
  return `${plural(duplicates, 'duplicate')} ignored`;
}

/** Why a campaign that has finished stays as it is. @param steering a verb, such as `pause`. */
export function describeFinished({ at }: { at: number | null }, steering: string, now: number): string {
  const when = at === null ? 'it has finished' : `it finished at ${formatTime(at, now)}`;
  return `Nothing to ${steering}: ${when}`;
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

/** What verifying came to: `Checked 196 actions: 192 found, 4 unknown to Defender`; or why nothing was asked for. */
export function describeChecked(verified: VerifyCount): string {
  const { asked, noted, absent, changed } = verified;
  if (asked === 0) return describeUnchecked(verified);
  const parts = [
    `${count(noted)} found`,
    ...(absent > 0 ? [`${count(absent)} unknown to Defender`] : []),
    ...(changed > 0 ? [`${count(changed)} retried or verified meanwhile`] : []),
  ];
  return `Checked ${plural(asked, 'action')}: ${parts.join(', ')}`;
}

function describeUnchecked({ settled, uncalled, open, others, unknown }: VerifyCount): string {
  if (settled > 0)
    return `Nothing left to verify: ${plural(settled, 'action has', 'actions have')} a final status from an earlier check`;
  if (open > 0) return 'Nothing to verify yet';
  if (uncalled > 0) return `Nothing to verify: ${plural(uncalled, 'action')} ended as ${UNCALLED_WORDS}`;
  return others + unknown > 0
    ? 'Nothing to verify in this campaign'
    : 'Nothing to verify: the campaign has no actions';
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
      ? `${plural(others, 'action belongs to another campaign and is', 'actions belong to other campaigns and are')} verified there`
      : '',
    unknown > 0 ? `${plural(unknown, 'action')} belonged to a deleted campaign and cannot be verified` : '',
  ].filter(Boolean);
}
