/**
 * How a request can end. The order is part of the ledger's record format (see `store/ledger/record.ts`): append only.
 *
 * - `cancelled`: 200, the object says Cancelled, and no command of it completed.
 * - `accepted`: 200, but the object does not say so yet.
 * - `already_final`: the action had ended before our call, however.
 * - `not_found`: 404, no action has this id. This and the next two: by the API's own error object, or at the last attempt.
 * - `forbidden`: 403.
 * - `rejected`: any other final refusal.
 * - `invalid`: a bad request; no call was made.
 * - `withdrawn`: aborted before its call, or before another attempt.
 * - `expired`: its time passed first.
 * - `unresolved`: its attempts ran out.
 */
export const OUTCOMES = [
  'cancelled',
  'accepted',
  'already_final',
  'not_found',
  'forbidden',
  'rejected',
  'invalid',
  'withdrawn',
  'expired',
  'unresolved',
] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** The same in a few words, for people; what to do about each is in `docs/` and in the README. */
export const OUTCOME_MEANINGS: Readonly<Record<Outcome, string>> = {
  cancelled: 'Cancelled',
  accepted: 'Accepted by Defender, not confirmed yet: verify it later',
  already_final: 'Finished before it could be cancelled',
  not_found: 'No action with this id in this tenant',
  forbidden: 'The application has no permission to cancel it',
  rejected: 'Refused by Defender for another reason',
  invalid: 'Invalid request; no cancel was sent',
  withdrawn: 'Aborted before a cancel was sent',
  expired: 'Its time limit passed before a cancel was sent',
  unresolved: 'Every attempt failed',
};

/** What is true of a machine action in the ledger; an outcome once it has one. `checking`: asking Get after a 400. */
export type RecordState = 'open' | 'checking' | Outcome;

/** The state at position `code` of a packed record. */
export const RECORD_STATES: readonly RecordState[] = ['open', 'checking', ...OUTCOMES];

/** Outcomes that stand for every campaign: a submit under another name does not open them again. */
export const LASTING_OUTCOMES: readonly Outcome[] = ['cancelled', 'accepted', 'already_final', 'not_found'];

/** The fields of Defender's machine action that are kept. Times in ISO 8601 UTC; `null` where the API left one out. */
export interface ActionSummary {
  status: string | null;
  type: string | null;
  machineId: string | null;
  computerDnsName: string | null;
  createdAt: string | null;
  updatedAt: string | null;
}

/** What became of one request: the job's return value, an entry of the results stream, a line of a report. */
export interface CancelResult {
  machineActionId: string;
  outcome: Outcome;
  httpStatus?: number;
  errorCode?: string;
  errorMessage?: string;
  /** Defender's `error.target`, for a support case. */
  correlationId?: string;
  action?: ActionSummary;
  /** Calls that counted as an attempt. 429s, 401s and failures while the API was down are not among them. */
  attempts: number;
  /** A call may have worked without saying so, so this outcome may be our own doing. */
  uncertain: boolean;
  campaign: string;
  requestedBy?: string;
  /** ISO 8601 UTC. */
  requestedAt: string;
  /** ISO 8601 UTC. */
  decidedAt: string;
  /** ISO 8601 UTC: when `action` was read again afterwards; absent when it was not. */
  verifiedAt?: string;
}

/** What is known about an outcome beyond its name. */
export interface Detail {
  httpStatus?: number;
  errorCode?: string;
  errorMessage?: string;
  correlationId?: string;
  action?: ActionSummary;
  requestedBy?: string;
  /** Ms since 1970. */
  requestedAt?: number;
  /** Ms since 1970. */
  verifiedAt?: number;
}

/** The one status that says that an action does not take place … */
export const STOPPED_STATUS = 'Cancelled';

/** … unless this stands in place of an error's code: a command of the action had completed before. */
export const COMMAND_COMPLETED = 'COMMAND_COMPLETED';

/** Stands in place of an error's code: the answer had a status only, and may not be the API's. */
export const NO_REASON = 'NO_REASON';

/** Whether an action is known not to take place. The scripts' `stops` says the same. */
export function wasStopped({
  action,
  errorCode,
}: {
  action?: Pick<ActionSummary, 'status'>;
  errorCode?: string;
}): boolean {
  return action?.status === STOPPED_STATUS && errorCode !== COMMAND_COMPLETED;
}
