import { unreachable } from '../base/errors.ts';
import type { AccessTokens, IssuedToken, UserSubject } from './access-tokens.ts';
import type { ClientAuth } from './client-auth.ts';
import type { DeviceLogins, RefreshTokens } from './device-logins.ts';
import { type EntraProblem, PROBLEMS } from './entra-error.ts';
import { scopesOf } from './permissions.ts';

export interface GrantDeps {
  tokens: AccessTokens;
  clientAuth: ClientAuth;
  logins: DeviceLogins;
  refreshTokens: RefreshTokens;
  /** In which the application is registered. */
  tenantIds: readonly string[];
  clientId: string;
  /** Whether the application may be used without a credential, by a user who signs in. */
  isPublicClient: boolean;
  /** Who enters the codes. */
  user: { id: string; name: string };
  scope: string;
  roles: () => readonly string[];
}

/** What a token request is answered with. */
export type Granted = { problem: EntraProblem } | { issued: IssuedToken; more: Record<string, string> };

export interface GrantRequest {
  form: URLSearchParams;
  authority: string;
  /** One of those in which it is registered. */
  tenantId: string;
}

type Grant = (deps: GrantDeps, request: GrantRequest) => Promise<Granted>;

const GRANTS: Readonly<Record<string, Grant>> = {
  client_credentials: grantToClient,
  // msal names it as RFC drafts did; both are taken.
  device_code: grantToDevice,
  'urn:ietf:params:oauth:grant-type:device_code': grantToDevice,
  refresh_token: grantAgain,
};

/** Which grant a form asks for; null: none that is known. */
export function grantOf(name: string): Grant | null {
  return Object.hasOwn(GRANTS, name) ? (GRANTS[name] ?? null) : null;
}

async function grantToClient(deps: GrantDeps, { form, authority, tenantId }: GrantRequest): Promise<Granted> {
  const audiences = [`${authority}/oauth2/v2.0/token`, `${authority}/v2.0`];
  const problem = await deps.clientAuth.check(form, audiences);
  if (problem) return { problem };
  const issued = await deps.tokens.issue({ appId: deps.clientId, roles: deps.roles(), user: null }, tenantId);
  return { issued, more: {} };
}

async function grantToDevice(deps: GrantDeps, request: GrantRequest): Promise<Granted> {
  const code = request.form.get('device_code');
  if (code === null) return { problem: PROBLEMS.missingParameter('device_code') };
  if (!deps.isPublicClient) return { problem: PROBLEMS.noPublicClient() };
  const standing = deps.logins.redeem(code);
  switch (standing) {
    case 'approved':
      return grantToUser(deps, request);
    case 'pending':
    case 'slow_down':
    case 'declined':
    case 'expired':
    case 'unknown':
      return { problem: PROBLEMS.login(standing) };
    default:
      return unreachable(standing);
  }
}

async function grantAgain(deps: GrantDeps, request: GrantRequest): Promise<Granted> {
  const token = request.form.get('refresh_token');
  if (token === null) return { problem: PROBLEMS.missingParameter('refresh_token') };
  if (!deps.isPublicClient) return { problem: PROBLEMS.noPublicClient() };
  const problem = deps.refreshTokens.redeem(token);
  return problem === null ? grantToUser(deps, request) : { problem: PROBLEMS.refresh(problem) };
}

async function grantToUser(deps: GrantDeps, { form, authority, tenantId }: GrantRequest): Promise<Granted> {
  const { tokens, user, clientId, scope } = deps;
  const subject: UserSubject = { appId: clientId, roles: scopesOf(deps.roles()), user };
  const asked = (form.get('scope') ?? '').split(' ');
  const resource = scope.replace(/\.default$/, '');
  const clientInfo = JSON.stringify({ uid: user.id, utid: tenantId });
  const more = {
    scope: [...subject.roles.map((role) => resource + role), scope].join(' '),
    id_token: await tokens.issueIdToken(subject, `${authority}/v2.0`, tenantId),
    client_info: Buffer.from(clientInfo).toString('base64url'),
    ...(asked.includes('offline_access') && { refresh_token: deps.refreshTokens.issue() }),
  };
  return { issued: await tokens.issue(subject, tenantId), more };
}
