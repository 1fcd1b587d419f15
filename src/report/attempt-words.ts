import type { ReportLine } from '../campaign/report.ts';
import { describeDuration } from '../duration.ts';
import type { Attempt } from '../ledger/attempts.ts';

/** What came of a call that decided nothing. */
export function describeEnd({ operation, end, fate, httpStatus, errorCode, errorMessage }: Attempt): string {
  const doubt = operation === 'cancel' ? ', it may have been carried out' : '';
  if (end === 'lapsed') return `its worker had not come back by then${doubt}`;
  const what = [errorCode, errorMessage].filter(Boolean).join(': ');
  const said = [httpStatus === null ? '' : `HTTP ${httpStatus}`, what].filter(Boolean).join(', ');
  if (fate === 'answered') return said;
  const words = fate === 'lost' ? `no answer${doubt}` : 'it could not be sent';
  return said === '' ? words : `${words} (${said})`;
}

/** What was done then; empty: it was made again at once. */
export function describeThen({ operation, end, httpStatus, waitMs }: Attempt): string {
  if (end === 'check') return 'Get is asked what it was about';
  if (httpStatus === 429) return `all ${operation} calls wait for ${describeDuration(waitMs)}`;
  if (httpStatus === 401) return 'again with another token';
  return waitMs > 0 ? `again after ${describeDuration(waitMs)} at the earliest` : '';
}

/** Whose a request is that is not the campaign's own, and what that means for it; null: it is its own. */
export function describeOwner(line: Pick<ReportLine, 'campaign'>, campaign: string): string | null {
  if (line.campaign === campaign) return null;
  if (line.campaign === '') return 'the campaign that owned it is gone, so nobody calls it: submit it again';
  return `owned by ${line.campaign}: its calls and outcomes stand there`;
}
