/**
 * What went wrong, for code to branch on. Stable: part of the public interface.
 *
 * - `USAGE`: the command line or a function's arguments are wrong.
 * - `CONFIG_INVALID`: one or more settings are wrong; the message lists all of them.
 * - `REFUSED`: the arguments are right, but this is not done to the campaign as it is, or not without a confirmation.
 * - `INPUT_INVALID`: a file, a list of ids or a request is not what it should be; nothing was enqueued, or, of a list that is
 *   submitted while it is read, only what came before.
 * - `REDIS_UNREACHABLE`: no answer from Redis within the time limit.
 * - `REDIS_UNSUITABLE`: Redis answers, but would lose or evict requests.
 * - `REDIS_FAILED`: a command failed on the way or in Redis (connection lost, out of memory, read-only replica …).
 * - `REDIS_MISSING`: no `REDIS_URL`, and no redis-server could be found or installed for the embedded one.
 * - `DATA_NEWER`: a version of Standdown that this one does not understand works with the tenant's data.
 * - `CAMPAIGN_UNKNOWN`: no campaign has this name.
 * - `CAMPAIGN_CLOSED`: the campaign was aborted or has expired and takes no more ids.
 * - `NOT_PERMITTED`: the application lacks a permission; the message names it.
 * - `UPSTREAM_FAILED`: the API or its sign-in refuses, or fails time after time.
 * - `TIMEOUT`: something did not come within the time that the caller gave it. It may come later.
 * - `TENANT_UNKNOWN`: no worker was ever seen for the tenant: its label may be wrong.
 * - `JOB_GONE`: a job is not in Redis any more, and what became of it cannot be read.
 * - `CLOSED`: the producer was closed meanwhile.
 * - `INTERNAL`: a bug in Standdown.
 */
export type ErrorCode =
  | 'USAGE'
  | 'REFUSED'
  | 'CONFIG_INVALID'
  | 'INPUT_INVALID'
  | 'REDIS_UNREACHABLE'
  | 'REDIS_UNSUITABLE'
  | 'REDIS_FAILED'
  | 'REDIS_MISSING'
  | 'DATA_NEWER'
  | 'CAMPAIGN_UNKNOWN'
  | 'CAMPAIGN_CLOSED'
  | 'NOT_PERMITTED'
  | 'UPSTREAM_FAILED'
  | 'TIMEOUT'
  | 'TENANT_UNKNOWN'
  | 'JOB_GONE'
  | 'CLOSED'
  | 'INTERNAL';

export interface ErrorDetails {
  cause?: unknown;
  /** Facts for logs and programs; never a secret. */
  context?: Record<string, unknown>;
}

/** The one error class: a stable `code`, a message that says what to do, the cause, and the facts. */
export class StanddownError extends Error {
  override readonly name = 'StanddownError';
  readonly code: ErrorCode;
  readonly context: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.context = details.context ?? {};
  }
}

/** For the end of a switch over a union: an unexpected value is a bug, never a success. */
export function unreachable(value: never): never {
  throw new StanddownError('INTERNAL', `unexpected value: ${JSON.stringify(value)}`);
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
