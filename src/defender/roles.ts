import { decodeJwt } from 'jose';
import { excerpt } from '../foreign.ts';

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

/** Why nothing can be listed, in words that say what to change. */
export function describeUnreadable({ roles, isDelegated }: Permissions): string {
  return `the application may not read machine actions: its token ${carriedBy(roles)}; missing is ${(isDelegated ? READ_SCOPES : READ_ROLES).join(' or ')}`;
}

/** Why cancels are refused, in words that say what to change. */
export function describeRefusal(roles: readonly string[] | null): string {
  return `refused (403) time after time; the token ${carriedBy(roles)}; one of these would do: ${CANCEL_ROLES.filter((role) => role !== 'Machine.CollectForensic').join(', ')}`;
}

function carriedBy(roles: readonly string[] | null): string {
  if (roles === null) return 'cannot be read';
  return roles.length === 0 ? 'carries none' : `carries ${roles.join(', ')}`;
}
