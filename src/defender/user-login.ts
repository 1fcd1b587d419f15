import {
  AuthError,
  type AuthenticationResult,
  InteractionRequiredAuthError,
  PublicClientApplication,
} from '@azure/msal-node';
import { type ErrorCode, StanddownError } from '../base/errors.ts';
import type { RegisteredSignIn } from '../config/sign-in.ts';
import { aloneWithLogin, readLogin, rememberTokens, writeLogin } from './login-file.ts';
import { gistOf, SignInError, toSignInError } from './sign-in-error.ts';
import type { SignInWay, TokenSource } from './sign-in-way.ts';

/** msal for an application without a credential of its own. */
export function publicClient(
  { authorityHost, tenantId, clientId }: RegisteredSignIn,
  networkClient: SignInWay['client'],
): PublicClientApplication {
  return new PublicClientApplication({
    auth: {
      clientId,
      authority: `${authorityHost}/${tenantId}`,
      knownAuthorities: [new URL(authorityHost).host],
    },
    system: { networkClient, disableInternalRetries: true },
  });
}

/**
 * A user who has logged in. The login is read afresh each time, so that a new one is used at once, and so that a token which
 * another process has just got serves here as well. Where what it was exchanged for cannot be written, that is kept in memory,
 * and written the next time: the token is good all the same.
 *
 * @param onUnkept told why it cannot be written.
 */
export function userTokens(
  config: RegisteredSignIn,
  path: string,
  way: SignInWay,
  timeoutMs: number,
  onUnkept: (error: unknown) => void,
): TokenSource {
  /** What could not be written, and what stood in the file then. Where something else stands there by now, that counts. */
  let unkept: { in: string; text: string } | null = null;

  async function readLatest(): Promise<string> {
    const stored = await readLogin(path);
    if (unkept?.in !== stored) unkept = null;
    if (unkept) rememberTokens(path, unkept.text);
    return unkept?.text ?? stored;
  }

  async function keep(before: string, after: string): Promise<void> {
    try {
      await writeLogin(path, after);
      unkept = null;
    } catch (error) {
      unkept = { in: unkept?.in ?? before, text: after };
      onUnkept(error);
    }
  }

  return async (isUnwanted) => {
    try {
      return await aloneWithLogin(path, timeoutMs, async () => {
        const before = await readLatest();
        const { result, after } = await renew(config, before, way, isUnwanted);
        if (after !== null || unkept) await keep(before, after ?? before);
        return result;
      });
    } catch (error) {
      throw explain(error, way.failure());
    }
  };
}

/** `after`: what the login has become; null: it is as it was. */
async function renew(
  config: RegisteredSignIn,
  login: string,
  way: SignInWay,
  isUnwanted: (accessToken: string) => boolean,
): Promise<{ result: AuthenticationResult; after: string | null }> {
  // A new one each time: after a 429 or 5xx it would give that answer again for a minute without asking.
  const msal = publicClient(config, way.client);
  const cache = msal.getTokenCache();
  cache.deserialize(login);
  const before = cache.serialize();
  const [account] = await cache.getAllAccounts();
  if (!account)
    throw new SignInError('login_needed', 'the login file contains no user; run "standdown login" again');
  const request = { account, scopes: [config.scope] };
  let result = await msal.acquireTokenSilent(request);
  if (isUnwanted(result.accessToken)) {
    result = await msal.acquireTokenSilent({ ...request, forceRefresh: true });
  }
  // Not by `fromCache`: past `refresh_in` msal returns the cached token, and has exchanged the refresh token besides.
  const after = cache.serialize();
  return { result, after: after === before ? null : after };
}

/** So that what to do still finds room where a message is cut, in characters. */
const MOST_OF_WHY = 150;

/** Of the file and its lock. */
const LOGIN_TROUBLE: Partial<Record<ErrorCode, string>> = {
  TIMEOUT: 'login_busy',
  INPUT_INVALID: 'login_unusable',
  CONFIG_INVALID: 'login_unusable',
};

/** What only the user can put right says so. */
function explain(error: unknown, network: string): SignInError {
  if (error instanceof StanddownError) {
    const code = LOGIN_TROUBLE[error.code];
    if (code) return new SignInError(code, error.message, error);
  }
  const failure = toSignInError(error, network);
  const isEnded =
    error instanceof InteractionRequiredAuthError ||
    (error instanceof AuthError && error.errorCode === 'invalid_grant');
  if (!isEnded) return failure;
  const number = /AADSTS\d+/.exec(failure.code)?.[0];
  const why = gistOf(failure).replace(/\.$/, '').slice(0, MOST_OF_WHY);
  return new SignInError(
    number ? `login_needed ${number}` : 'login_needed',
    `${why}: the login is no longer valid; run "standdown login" again`,
    error,
  );
}
