import type { Detail } from '../base/outcome.ts';
import { describeLack } from '../base/words/permissions.ts';
import { audienceHint, CANCEL_ROLES, type Permissions } from './roles.ts';

/** What was answered: with which token, and where. */
export interface Refused {
  detail: Detail;
  token: Permissions & { accessToken: string };
  /** Where machine actions are: host and path. */
  address: string;
}

/**
 * Why cancels are refused and what to change, to follow a statement such as `Paused`. The API's own words come first: they are the best
 * advice there is. Empty where the answer is no refusal.
 */
export function describeRefusal({ detail, token, address }: Refused): string {
  const { httpStatus = 0 } = detail;
  if (httpStatus < 400 || httpStatus > 499) return '';
  const answer = `(${quote(detail)} from ${address}).`;
  switch (httpStatus) {
    case 403:
      return `${answer} ${describePermissions(token)}${audienceHint(token.accessToken, address)}`;
    case 404:
      return `${answer} Either the actions belong to another tenant, or DEFENDER_API_URL is wrong: check it.`;
    default:
      return answer;
  }
}

function quote({ httpStatus, errorCode, errorMessage }: Detail): string {
  const words = errorMessage ? `: "${errorMessage}"` : '';
  return errorCode || words
    ? `${[httpStatus, errorCode].filter(Boolean).join(' ')}${words}`
    : `${httpStatus} without a reason`;
}

function describePermissions({ roles }: Permissions): string {
  if (roles === null) return 'The token cannot be read, so its permissions are unknown.';
  const wanted = CANCEL_ROLES.filter((role) => role !== 'Machine.CollectForensic');
  const missing = wanted.filter((role) => !roles.includes(role));
  if (missing.length === wanted.length)
    return `The token ${describeLack(roles, 'cancel')}; grant one of ${missing.join(', ')}.`;
  const held = `The token has ${roles.join(', ')}`;
  if (missing.length === 0) return `${held}: every permission that allows cancelling.`;
  return `${held}. Actions of this type may need another permission: ${missing.join(', ')}.`;
}
