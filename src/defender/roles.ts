import { decodeJwt } from 'jose';
import { excerpt } from '../base/foreign.ts';
import { either } from '../base/words/list.ts';
import { describeLack } from '../base/words/permissions.ts';
import { cloudsOfHost } from '../config/clouds.ts';

/**
 * Application permissions of which any one lets an application cancel. Microsoft's page spells the first one without
 * its last letter, other pages with it: both are accepted.
 */
export const CANCEL_ROLES = [
  'Machine.CollectForensics',
  'Machine.CollectForensic',
  'Machine.Isolate',
  'Machine.RestrictExecution',
  'Machine.Scan',
  'Machine.Offboard',
  'Machine.StopAndQuarantine',
  'Machine.LiveResponse',
] as const;

/** Application permissions of which any one lets an application get and list machine actions. */
export const READ_ROLES = ['Machine.Read.All', 'Machine.ReadWrite.All'] as const;

/** Delegated counterparts of the latter, as they stand in a token's `scp`. */
export const READ_SCOPES: readonly string[] = ['Machine.Read', 'Machine.ReadWrite'];

/** What a token permits. */
export interface Permissions {
  /** Application permissions, or delegated ones by their short names; null: it cannot be read. */
  roles: string[] | null;
  /** Whether a user lent them (`scp`), in place of an application that holds them (`roles`). */
  isDelegated: boolean;
}

/** The permissions a token carries. An access token is opaque by contract: some cannot be read. */
export function permissionsOf(token: string): Permissions {
  try {
    const claims = decodeJwt(token);
    const held = Array.isArray(claims['roles']) ? claims['roles'].map(String) : [];
    const scopes = typeof claims['scp'] === 'string' ? claims['scp'].split(' ').filter(Boolean) : [];
    return { roles: [...held, ...scopes].map((role) => excerpt(role)), isDelegated: scopes.length > 0 };
  } catch {
    return { roles: null, isDelegated: false };
  }
}

/** Whether a token's permissions allow reading; unknown permissions are worth a try. */
export function mayRead(roles: readonly string[] | null): boolean {
  return roles === null || roles.some((role) => [...READ_ROLES, ...READ_SCOPES].includes(role));
}

/** Why nothing can be listed, in words that say what to change: what the token carries already is not asked for. */
export function describeUnreadable({ roles, isDelegated }: Permissions): string {
  const wanted: readonly string[] = isDelegated ? READ_SCOPES : READ_ROLES;
  const missing = either(wanted.filter((role) => !roles?.includes(role)));
  if (roles === null)
    return `no permission to read machine actions, and the token cannot be read; grant ${missing}`;
  if (!mayRead(roles)) return `the token ${describeLack(roles, 'read machine actions')}; grant ${missing}`;
  const advice = missing === '' ? '' : `; ${missing} may be required`;
  return `no permission to read machine actions, although the token has ${roles.join(', ')}${advice}`;
}

/** Hosts in the audiences of tokens that the API takes, older names included. */
const OWN_AUDIENCE = /(^|\.)securitycenter\.(microsoft\.(com|us)|windows\.com|onmicrosoft\.com)$/;

/**
 * The audience of a token that seems to be for another API; null where nothing says so. Such a token is issued without trouble and
 * then refused with 403. No more than a hint: an audience may be a number that says nothing, and what every host takes is not
 * documented.
 *
 * @param address of the API; of one that is not Microsoft's, such as a simulator, nothing is known.
 */
export function strangeAudience(accessToken: string, address: string): string | null {
  const audience = audienceOf(accessToken);
  if (audience === null || !URL.canParse(audience)) return null;
  const { hostname, href } = new URL(audience);
  if (OWN_AUDIENCE.test(hostname) || cloudsOfHost(new URL(address).hostname).length === 0) return null;
  return href;
}

/** The hint as a sentence with a space before it; empty where there is none. */
export function audienceHint(accessToken: string, address: string): string {
  const audience = strangeAudience(accessToken, address);
  return audience === null
    ? ''
    : ` The token is for the audience ${audience}, which may be another API: check DEFENDER_SCOPE.`;
}

function audienceOf(token: string): string | null {
  try {
    const { aud } = decodeJwt(token);
    return typeof aud === 'string' ? excerpt(aud, 200) : null;
  } catch {
    return null;
  }
}
