import type { Dispatcher } from 'undici';
import type { Clock } from '../clock.ts';
import { forget, remember } from '../secret.ts';
import type { SignInConfig } from '../sign-in-config.ts';
import type { Timings } from '../timings.ts';
import { applicationTokens } from './application.ts';
import type { Send } from './exchange.ts';
import { managedIdentityTokens } from './managed-identity.ts';
import { type Permissions, permissionsOf } from './roles.ts';
import { SignInError, toSignInError } from './sign-in-error.ts';
import { createSignInWay, type SignInWay } from './sign-in-way.ts';
import { userTokens } from './user-login.ts';

export { gistOf, SignInError } from './sign-in-error.ts';

export interface Token extends Permissions {
  accessToken: string;
  /** Wall time from which on a newer one is wanted, in ms. */
  renewAt: number;
  /** Wall time at which it ends, in ms. */
  expiresAt: number;
}

export interface SignIn {
  /** A token that still holds. @throws SignInError */
  token(): Promise<Token>;
  /** Another token than this one, which the API refused. @throws SignInError */
  renewed(refused: Token): Promise<Token>;
}

/** Asks msal for a token: another one than `unlike`, if there is any. Throws whatever msal does, or a SignInError. */
export type TokenSource = (
  unlike: string | null,
) => Promise<{ accessToken: string; expiresOn: Date | null } | null>;

/** A token is renewed this long before it ends, or after half of its time, whichever is later. As msal does. */
const RENEW_BEFORE_MS = 300_000;

/**
 * Signs in through msal-node, in the way that is configured. One request at a time, however many calls ask for a token.
 * Once there is a token, a renewal that fails does no harm until the token has ended.
 *
 * @param deps.timeoutMs most time for one request to the sign-in service; it may hang.
 * @param deps.send default: `exchange`.
 * @param deps.onUnkept told why what a user's login was exchanged for cannot be written; it is kept in memory, for as long as this
 *   lasts. Default: then there is no token.
 * @param deps.onAsked told whether that gave a token, also where the one that stands still does.
 */
export function createSignIn(deps: {
  config: SignInConfig;
  dispatcher: Dispatcher;
  clock: Clock;
  timeoutMs: number;
  timings: Timings;
  onAsked?: ((ok: boolean) => void) | undefined;
  onUnkept?: ((error: unknown) => void) | undefined;
  send?: Send | undefined;
}): SignIn {
  const { clock } = deps;
  let current: Token | null = null;
  let asking: Promise<Token> | null = null;
  const way = createSignInWay(deps);
  const source = tokenSource(deps, way);

  async function ask(unlike: string | null): Promise<Token> {
    way.begin();
    try {
      const result = await source(unlike);
      if (!result?.accessToken) throw new SignInError('empty_answer', 'the sign-in service gave no token');
      // msal passes on whatever stands there; it becomes part of a header.
      if (!isToken(result.accessToken))
        throw new SignInError('unreadable_answer', 'the sign-in service gave something that is no token');
      const endsAt = result.expiresOn?.getTime();
      return toToken(
        result.accessToken,
        endsAt && Number.isFinite(endsAt) ? endsAt : clock.wall() + 3_600_000,
      );
    } catch (error) {
      throw toSignInError(error, way.failure());
    }
  }

  function toToken(accessToken: string, expiresAt: number): Token {
    const now = clock.wall();
    const renewAt = Math.max(expiresAt - RENEW_BEFORE_MS, now + (expiresAt - now) / 2);
    if (current && current.accessToken !== accessToken) forget(current.accessToken);
    remember(accessToken);
    current = { accessToken, ...permissionsOf(accessToken), renewAt, expiresAt };
    return current;
  }

  function askOnce(unlike: Token | null): Promise<Token> {
    if (asking) return asking;
    asking = ask(unlike?.accessToken ?? null).finally(() => {
      asking = null;
    });
    const { onAsked } = deps;
    if (onAsked)
      asking.then(
        () => onAsked(true),
        () => onAsked(false),
      );
    return asking;
  }

  return {
    token: async () => {
      const standing = current;
      if (standing && clock.wall() < standing.renewAt) return standing;
      try {
        return await askOnce(standing);
      } catch (error) {
        // The attempt may have taken longer than the token lasted.
        const now = clock.wall();
        if (!standing || now >= standing.expiresAt) throw error;
        standing.renewAt = Math.min(now + deps.timings.renewAgainMs, standing.expiresAt);
        return standing;
      }
    },
    renewed: async (refused) => {
      if (current && current.accessToken !== refused.accessToken) return current;
      return askOnce(refused);
    },
  };
}

function tokenSource(
  {
    config,
    timeoutMs,
    onUnkept = (error) => {
      throw error;
    },
  }: Pick<Parameters<typeof createSignIn>[0], 'config' | 'timeoutMs' | 'onUnkept'>,
  way: SignInWay,
): TokenSource {
  if (config.tenantId === null) return managedIdentityTokens(config, way);
  const { credential } = config;
  if (credential.kind === 'login') return userTokens(config, credential.path, way, timeoutMs, onUnkept);
  return applicationTokens(config, credential, way);
}

function isToken(value: unknown): boolean {
  return typeof value === 'string' && /^[!-~]+$/.test(value);
}
