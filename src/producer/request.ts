import { StanddownError } from '../base/errors.ts';
import type { CancelJob } from '../queue/contract.ts';
import { jobData, parseJob } from '../queue/job.ts';
import { JOB_NAME } from '../store/keys.ts';

/** A wish to have one machine action cancelled. */
export interface CancelRequest {
  /** A GUID in any case, with or without braces. */
  machineActionId: string;
  /** 1 to 4,000 characters, sent to Defender. */
  comment: string;
  /** Who wants it, for the report; at most 200 characters. */
  requestedBy?: string | null | undefined;
  /** What is not called by then ends as `expired`: a Date, ISO 8601 with an offset, or ms since 1970. Default: never. */
  expiresAt?: Date | string | number | null | undefined;
  /** Call again even if there is an outcome already. Default false. */
  again?: boolean | null | undefined;
}

/**
 * Checks a request as the worker will, and gives the job's data: blanks around texts cut off, the id in lower case.
 *
 * @throws StanddownError INPUT_INVALID, saying what is wrong with which field.
 */
export function checkRequest(request: CancelRequest): CancelJob {
  const parsed = parseJob(JOB_NAME, withPlainTime(request), { comment: '' });
  if (!parsed.ok) throw invalid(parsed.reason, parsed.machineActionId);
  // Whether the workers have a DEFAULT_COMMENT cannot be known here.
  if (parsed.request.comment === '') throw invalid('comment: required', parsed.request.machineActionId);
  return jobData(parsed.request);
}

/** A Date as the contract writes times. One that is none stays something that is no time. */
export function withPlainTime<T extends { expiresAt?: Date | string | number | null | undefined }>(wish: T) {
  const at = wish?.expiresAt;
  return at instanceof Date ? { ...wish, expiresAt: at.getTime() } : wish;
}

function invalid(reason: string, machineActionId: string): StanddownError {
  return new StanddownError('INPUT_INVALID', `invalid request: ${reason}`, {
    context: { machineActionId },
  });
}
