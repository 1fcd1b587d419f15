import type { ApiOperation } from './calls.ts';

/** Microsoft's pages spell the first one in both ways. */
const COLLECT = ['Machine.CollectForensics', 'Machine.CollectForensic'];

/** Any one of these allows a cancel. */
export const CANCEL_ROLES: readonly string[] = [
  ...COLLECT,
  'Machine.Isolate',
  'Machine.RestrictExecution',
  'Machine.Scan',
  'Machine.Offboard',
  'Machine.StopAndQuarantine',
  'Machine.LiveResponse',
];

const READ_ROLES: readonly string[] = ['Machine.Read.All', 'Machine.ReadWrite.All'];
const READ_SCOPES: readonly string[] = ['Machine.Read', 'Machine.ReadWrite'];

/** What an application that may do everything here holds. */
export const ALL_ROLES: readonly string[] = [
  ...CANCEL_ROLES.filter((role) => role !== 'Machine.CollectForensic'),
  'Machine.Read.All',
];

const ROLES_BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  RunAntiVirusScan: ['Machine.Scan'],
  Offboard: ['Machine.Offboard'],
  LiveResponse: ['Machine.LiveResponse'],
  CollectInvestigationPackage: COLLECT,
  Isolate: ['Machine.Isolate'],
  Unisolate: ['Machine.Isolate'],
  StopAndQuarantineFile: ['Machine.StopAndQuarantine'],
  RestrictCodeExecution: ['Machine.RestrictExecution'],
  UnrestrictCodeExecution: ['Machine.RestrictExecution'],
};

/** @param isDelegated whether a user lent them: reading is then called otherwise. */
export function rolesFor(operation: ApiOperation, isDelegated: boolean): readonly string[] {
  if (operation === 'cancel') return CANCEL_ROLES;
  return isDelegated ? READ_SCOPES : READ_ROLES;
}

/** The delegated permissions that correspond to an application's. */
export function scopesOf(roles: readonly string[]): string[] {
  return roles.map((role) => role.replace(/\.All$/, ''));
}

/** The roles for cancelling an action of this type; any cancel role for a type nobody has heard of. */
export function rolesForType(type: string): readonly string[] {
  return ROLES_BY_TYPE[type] ?? CANCEL_ROLES;
}

export function holdsAny(held: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some((role) => held.includes(role));
}
