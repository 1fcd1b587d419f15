import type { SubmitSummary } from '../campaign/submit.ts';
import type { VerifyCount } from '../campaign/verify.ts';
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

/** An estimate that is nearer than this is no time of day. */
const NEAR_MS = 2_000;

/** When a campaign is expected to finish. */
export function describeEta(etaAt: string, now: number): string {
  const isNear = Date.parse(etaAt) - now < NEAR_MS;
  return `Expected to finish ${isNear ? 'within seconds' : formatUpcoming(etaAt, now)}`;
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
        `${count(of.count)} taken over from campaign ${quoted(of.campaign)}, where they ended as ${of.outcome}`,
    ),
    ...tracked.map(({ outcome, ...of }) => {
      const where = outcome === 'open' || outcome === 'checking' ? 'already queued' : `already ${outcome}`;
      return `${count(of.count)} ${where} in campaign ${quoted(of.campaign)}; followed there`;
    }),
  ];
}

/** That some of a campaign's actions are another one's. */
export function describeTracked({ total, gone }: { total: number; gone: number }): string {
  const known = total - gone;
  return [
    known > 0 ? describeFollowed(known) : '',
    gone > 0
      ? `${plural(gone, 'action')} belonged to a campaign that was deleted; ${gone === 1 ? 'its outcome is' : 'their outcomes are'} unknown`
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

export function describeLeft(others: number): string {
  return others === 1
    ? '1 action belongs to another campaign; retry it there'
    : `${count(others)} actions belong to other campaigns; retry them there`;
}

export function describeDuplicates(duplicates: number): string {
  return `${plural(duplicates, 'duplicate')} ignored`;
}

/** Why a campaign that has finished stays as it is. @param steering a verb, such as `pause`. */
export function describeFinished({ at }: { at: number | null }, steering: string, now: number): string {
  const when = at === null ? 'it has finished' : `it finished at ${formatTime(at, now)}`;
  return `Nothing to ${steering}: ${when}`;
}

/** Why a campaign's verification asked for nothing. */
export const NOTHING_TO_VERIFY =
  'Nothing to verify: every action that was called has a final status. Actions that are followed in other campaigns are verified there.';

/** What verifying came to: `Checked 196 actions: 192 found, 4 unknown to Defender`. */
export function describeChecked({
  asked,
  noted,
  absent,
}: Pick<VerifyCount, 'asked' | 'noted' | 'absent'>): string {
  const unknown = absent > 0 ? `, ${count(absent)} unknown to Defender` : '';
  return `Checked ${plural(asked, 'action')}: ${count(noted)} found${unknown}`;
}
