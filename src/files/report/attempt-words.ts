import { describeDuration } from '../../base/duration.ts';
import { withCode } from '../../base/words/code.ts';
import type { ReportLine } from '../../store/campaign/report.ts';
import type { Attempt } from '../../store/ledger/attempts.ts';
import { describeOwnership } from '../words/campaign.ts';

/** The result of a call that decided nothing. */
export function describeEnd({ operation, end, fate, httpStatus, errorCode, errorMessage }: Attempt): string {
  const doubt = operation === 'cancel' ? '; the cancel may have been carried out' : '';
  if (end === 'lapsed') return `no answer: the worker stopped${doubt}`;
  const what = withCode(errorCode, errorMessage);
  const said = [httpStatus === null ? '' : `HTTP ${httpStatus}`, what].filter(Boolean).join(', ');
  if (fate === 'answered') return said;
  const reason = said === '' ? '' : ` (${said})`;
  return fate === 'lost' ? `no answer${reason}${doubt}` : `not sent${reason}`;
}

/** What followed from it; empty: nobody knows, for the worker stopped. */
export function describeThen({ operation, end, httpStatus, waitMs }: Attempt): string {
  if (end === 'check') return 'the action status is read';
  if (httpStatus === 429) return `all ${operation} calls wait ${describeDuration(waitMs)}`;
  // A 403 that is not believed yet: what was granted since is in a newer token.
  if (httpStatus === 401 || (httpStatus === 403 && end === 'wait')) return 'retried with a new token';
  if (end === 'lapsed') return '';
  return waitMs < 1_000 ? 'retried' : `retried after at least ${describeDuration(waitMs)}`;
}

/** Which campaign owns an action that this one follows, and what that means for it; null: this campaign owns it. */
export function describeOwner(line: Pick<ReportLine, 'campaign'>, campaign: string): string | null {
  if (line.campaign === campaign) return null;
  const owned = describeOwnership(line.campaign);
  return line.campaign === ''
    ? `${owned}, so no cancel will be sent: submit it again`
    : `${owned}: see its calls and outcomes there`;
}
