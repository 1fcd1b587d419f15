import {
  AuthError,
  type AuthenticationResult,
  InteractionRequiredAuthError,
  PublicClientApplication,
} from '@azure/msal-node';
import { StanddownError } from '../errors.ts';
import type { RegisteredSignIn } from '../sign-in-config.ts';
import { aloneWithLogin, readLogin, writeLogin } from './login-file.ts';
import type { TokenSource } from './sign-in.ts';
import { gistOf, SignInError, toSignInError } from './sign-in-error.ts';
import type { SignInWay } from './sign-in-way.ts';

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
 * another process has just got serves here as well.
 */
export function userTokens(
  config: RegisteredSignIn,
  path: string,
  way: SignInWay,
  timeoutMs: number,
): TokenSource {
  return async (unlike) => {
    try {
      return await aloneWithLogin(path, timeoutMs, () => renew(config, path, way, unlike));
    } catch (error) {
      throw explain(error, way.failure());
    }
  };
}

async function renew(
  config: RegisteredSignIn,
  path: string,
  way: SignInWay,
  unlike: string | null,
): Promise<AuthenticationResult> {
  const msal = publicClient(config, way.client);
  const cache = msal.getTokenCache();
  cache.deserialize(await readLogin(path));
  const before = cache.serialize();
  const [account] = await cache.getAllAccounts();
  if (!account) throw new SignInError('login_needed', 'the login names nobody: run "standdown login" again');
  const request = { account, scopes: [config.scope] };
  let result = await msal.acquireTokenSilent(request);
  if (result.accessToken === unlike) {
    result = await msal.acquireTokenSilent({ ...request, forceRefresh: true });
  }
  // Not by `fromCache`: past `refresh_in` msal returns the cached token, and has exchanged the refresh token besides.
  const after = cache.serialize();
  if (after !== before) await writeLogin(path, after);
  return result;
}

/** So that what to do still finds room where a message is cut, in characters. */
const MOST_OF_WHY = 150;

/** What only the user can put right says so. */
function explain(error: unknown, network: string): SignInError {
  if (error instanceof StanddownError) {
    return new SignInError(error.code === 'TIMEOUT' ? 'login_busy' : 'login_unusable', error.message, error);
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
    `${why}: the login does not hold any more; run "standdown login" again`,
    error,
  );
}
