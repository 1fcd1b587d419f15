import { type ErrorCode, StanddownError } from '../base/errors.ts';

const STATUSES: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  INPUT_INVALID: 400,
  NOT_PERMITTED: 403,
  CAMPAIGN_UNKNOWN: 404,
  CAMPAIGN_CLOSED: 409,
  REFUSED: 409,
  REDIS_UNREACHABLE: 503,
  REDIS_FAILED: 503,
  UPSTREAM_FAILED: 502,
};

/** The HTTP status of an answer that says this. */
export function statusOf(error: unknown): number {
  if (error instanceof StanddownError)
    return Number(error.context['httpStatus'] ?? STATUSES[error.code] ?? 500);
  const status: unknown = error instanceof Error ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
