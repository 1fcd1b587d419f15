import type { Detail } from '../outcome.ts';
import { audienceHint, CANCEL_ROLES, carriedBy, type Permissions } from './roles.ts';

/** What was answered: with which token, and where. */
export interface Refused {
  detail: Detail;
  token: Permissions & { accessToken: string };
  /** Where machine actions are: host and path. */
  address: string;
}

/**
 * Why cancels are refused, in words that say what to change: the API's own first, for they are the best advice there is. Empty where
 * the answer is no refusal.
 */
export function describeRefusal({ detail, token, address }: Refused): string {
  const { httpStatus = 0 } = detail;
  if (httpStatus < 400 || httpStatus > 499) return '';
  const answer = `The API answered ${quote(detail)} at ${address}.`;
  switch (httpStatus) {
    case 403:
      return `${answer} ${describePermissions(token)}${audienceHint(token.accessToken, address)}`;
    case 404:
      return `${answer} Either the actions belong to another tenant, or the address is wrong: check DEFENDER_API_URL.`;
    default:
      return answer;
  }
}

function quote({ httpStatus, errorCode, errorMessage }: Detail): string {
  const words = [errorCode, errorMessage && `"${errorMessage}"`].filter(Boolean).join(': ');
  return `${httpStatus}${words ? ` (${words})` : ', without saying why,'}`;
}

function describePermissions({ roles }: Permissions): string {
  const carried = `The token ${carriedBy(roles)}`;
  if (roles === null) return `${carried}.`;
  const wanted = CANCEL_ROLES.filter((role) => role !== 'Machine.CollectForensic');
  const missing = wanted.filter((role) => !roles.includes(role));
  if (missing.length === wanted.length)
    return `${carried}: no permission to cancel. Grant one of ${missing.join(', ')}.`;
  if (missing.length === 0) return `${carried}: every permission that allows cancelling.`;
  return `${carried}. The type of these actions may need another one: ${missing.join(', ')}.`;
}
