import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { decodeJwt, exportJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';

export interface AccessTokensDeps {
  clock: Clock;
  /** The first is that of a token that says nothing of it. */
  tenantIds: readonly string[];
  /** The resource the tokens are for. */
  audience: string;
  lifetimeMs: number;
  signingKey: KeyObject;
}

export interface IssuedToken {
  token: string;
  jti: string;
  expiresInSeconds: number;
  /** Seconds since 1970, as in the token. */
  expiresAt: number;
}

/** Whom a token is for, and what it permits. */
export type Subject = { appId: string; roles: readonly string[]; user: null } | UserSubject;

export interface UserSubject {
  appId: string;
  /** The delegated permissions, by their short names. */
  roles: readonly string[];
  user: { id: string; name: string };
}

export type Bearer =
  | { ok: true; jti: string; roles: readonly string[]; isDelegated: boolean }
  | { ok: false; reason: string };

export interface AccessTokens {
  issue(subject: Subject, tenantId: string): Promise<IssuedToken>;
  /** What tells a client who signed in. */
  issueIdToken(subject: UserSubject, issuer: string, tenantId: string): Promise<string>;
  /** Judges an Authorization header. At once for a token seen before. */
  verify(authorization: string | undefined): Bearer | Promise<Bearer>;
  /** Whose quota a call uses, by what its token claims: it is counted before anything is known of that. */
  tenantOf(authorization: string | undefined): string;
  /** No token issued so far is good any more. */
  revoke(): void;
  /** The public key, as the sign-in service publishes it. */
  jwk: JWK;
}

interface GoodToken {
  bearer: Bearer & { ok: true };
  /** Seconds since 1970. */
  expiresAt: number;
}

const EXPIRED: Bearer = { ok: false, reason: 'The token has expired.' };

/** The key that signs tokens: read from PEM, or made. */
export async function signingKeyOf(pem: string | undefined): Promise<KeyObject> {
  if (pem !== undefined) return createPrivateKey(pem);
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2_048 });
  return privateKey;
}

/** Issues and verifies RS256 access tokens. */
export async function createAccessTokens(deps: AccessTokensDeps): Promise<AccessTokens> {
  const { clock, tenantIds, audience, signingKey } = deps;
  const publicKey = createPublicKey(signingKey);
  const kid = randomUUID();
  const issuerOf = (tenantId: string) => `https://sts.windows.net/${tenantId}/`;
  const [firstTenant = ''] = tenantIds;
  const issued = new Set<string>();
  const claimed = new Map<string, string>();
  // By header: a signature is verified once, not thousands of times a second.
  const good = new Map<string, GoodToken>();
  const seconds = () => Math.floor(clock.wall() / 1_000);

  const check = async (authorization: string): Promise<Bearer> => {
    const [scheme = '', token = ''] = authorization.split(' ');
    if (scheme.toLowerCase() !== 'bearer') return { ok: false, reason: 'A bearer token is expected.' };
    try {
      const issuer = tenantIds.map(issuerOf);
      const expected = { issuer, audience, algorithms: ['RS256'], currentDate: new Date(clock.wall()) };
      const { payload } = await jwtVerify<{ roles?: string[]; scp?: string }>(token, publicKey, expected);
      const { jti = '', exp = 0, scp } = payload;
      if (!issued.has(jti)) return { ok: false, reason: 'The token has been revoked.' };
      const roles = scp?.split(' ') ?? payload.roles ?? [];
      const bearer = { ok: true, jti, roles, isDelegated: scp !== undefined } as const;
      good.set(authorization, { bearer, expiresAt: exp });
      return bearer;
    } catch (error) {
      return { ok: false, reason: messageOf(error) };
    }
  };

  return {
    issue: async (subject, tenantId) => {
      const jti = randomUUID();
      const iat = seconds();
      const expiresInSeconds = Math.max(1, Math.floor(deps.lifetimeMs / 1_000));
      const claims = { tid: tenantId, appid: subject.appId, ...claimsOf(subject), ver: '1.0' };
      const times = { iat, nbf: iat, exp: iat + expiresInSeconds };
      const token = await new SignJWT({ ...claims, ...times, iss: issuerOf(tenantId), aud: audience, jti })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid })
        .sign(signingKey);
      issued.add(jti);
      return { token, jti, expiresInSeconds, expiresAt: times.exp };
    },
    issueIdToken: ({ appId, user }, issuer, tenantId) => {
      const iat = seconds();
      const claims = {
        tid: tenantId,
        oid: user.id,
        sub: user.id,
        name: user.name,
        preferred_username: user.name,
      };
      return new SignJWT({ ...claims, iat, nbf: iat, exp: iat + 3_600, iss: issuer, aud: appId, ver: '2.0' })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid })
        .sign(signingKey);
    },
    verify: (authorization) => {
      if (authorization === undefined) return { ok: false, reason: 'No token was sent.' };
      const known = good.get(authorization);
      if (!known) return check(authorization);
      return known.expiresAt > seconds() ? known.bearer : EXPIRED;
    },
    tenantOf: (authorization = '') => {
      const known = claimed.get(authorization) ?? claimedTenant(authorization);
      if (!tenantIds.includes(known)) return firstTenant;
      claimed.set(authorization, known);
      return known;
    },
    revoke: () => {
      issued.clear();
      good.clear();
    },
    jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' },
  };
}

function claimedTenant(authorization: string): string {
  try {
    return String(decodeJwt(authorization.split(' ')[1] ?? '')['tid']);
  } catch {
    return '';
  }
}

/** An application holds roles; a user has lent it scopes. */
function claimsOf({ roles, user }: Subject) {
  return user ? { scp: roles.join(' '), oid: user.id, upn: user.name } : { roles: [...roles] };
}
