import { createHash } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { forget, remember } from '../base/secret.ts';
import type { SignInConfig } from '../config/sign-in.ts';
import type { Timings } from '../config/timings.ts';
import { applicationTokens } from './application.ts';
import { backoff } from './classify.ts';
import type { Send } from './exchange.ts';
import { managedIdentityTokens } from './managed-identity.ts';
import { type Permissions, permissionsOf } from './roles.ts';
import { SignInError, toSignInError } from './sign-in-error.ts';
import { createSignInWay, type SignInWay, type TokenSource } from './sign-in-way.ts';
import { userTokens } from './user-login.ts';

export { gistOf, SignInError } from './sign-in-error.ts';

export interface Token extends Permissions {
  accessToken: string;
  /** When it was asked for; monotonic, in ms. */
  askedAt: number;
  /** Wall time from which on a newer one is wanted, in ms. */
  renewAt: number;
  /** Wall time at which it ends, in ms. */
  expiresAt: number;
}

export interface SignIn {
  /** A token that may be sent. @throws SignInError, until its `retryAt` without asking again */
  token(): Promise<Token>;
  /** The API refused this one with 401: it is given to nobody any more. */
  refuse(token: Token): void;
  isRefused(token: Token): boolean;
  /** A 403 to this one is in doubt: it is given to nobody any more, also while no newer one is to be had. */
  suspect(token: Token): void;
  /** Whether a 403 to it can be believed; no: a permission may have been granted since it was asked for. */
  believes(token: Token): boolean;
  /** A token that was asked for after this one. @throws SignInError; this one may still be sent, unless it is suspected */
  renewed(token: Token): Promise<Token>;
  /** Somebody resumed something, and may have granted a permission before. */
  doubt(): void;
  /** In how many ms a newer token is wanted; 0: now. */
  dueMs(): number;
}

/** A token is renewed this long before it ends, or after half of its time, whichever is later. As msal does. */
const RENEW_BEFORE_MS = 300_000;

/** So many refused tokens are remembered: more than a source gives out again. */
const MOST_REFUSED = 100;

/**
 * The platform of a managed identity gives the same token for up to a day, and nothing makes it give another. It is tried again
 * after this long, in ms, so that one mistaken 401 does not cost the day.
 */
const SAME_TOKEN_AGAIN_MS = 300_000;

/**
 * Signs in through msal-node, in the way that is configured. One request at a time, however many calls ask for a token.
 * Once there is a token, a renewal that fails does no harm until the token has ended.
 *
 * After a failure the service is left alone for as long as it says, or for a time that grows with each real failure. Until then
 * whoever asks is told of that failure again.
 *
 * @param deps.timeoutMs most time for one request to the sign-in service; it may hang.
 * @param deps.send default: `exchange`.
 * @param deps.onUnkept told why what a user's login was exchanged for cannot be written; it is kept in memory, for as long as this
 *   lasts. Default: then there is no token.
 * @param deps.onAsked told whether that gave a token, also where the one that stands still does.
 * @param deps.onToken told of each new token.
 */
export function createSignIn(deps: {
  config: SignInConfig;
  dispatcher: Dispatcher;
  clock: Clock;
  timeoutMs: number;
  timings: Timings;
  onAsked?: ((ok: boolean) => void) | undefined;
  onToken?: ((token: Token) => void) | undefined;
  onUnkept?: ((error: unknown) => void) | undefined;
  send?: Send | undefined;
}): SignIn {
  const { clock, timings } = deps;
  let current: Token | null = null;
  let asking: Promise<Token> | null = null;
  let failures = 0;
  let failure: SignInError | null = null;
  let doubtedAt = Number.NEGATIVE_INFINITY;
  let suspected: Token | null = null;
  const way = createSignInWay(deps);
  const source = tokenSource(deps, way);
  const refused = createRefusals(deps.config, clock);

  async function ask(unlike: string | null): Promise<Token> {
    const askedAt = clock.monotonic();
    way.begin();
    try {
      const result = await source((accessToken) => accessToken === unlike || refused.has(accessToken));
      if (!result?.accessToken)
        throw new SignInError('empty_answer', 'the sign-in service returned no token');
      // msal passes on whatever stands there; it becomes part of a header.
      if (!isToken(result.accessToken))
        throw new SignInError('unreadable_answer', 'the sign-in service returned an invalid token');
      if (refused.has(result.accessToken))
        throw new SignInError(
          'token_refused',
          'the API rejected the token (401), and the sign-in service returns no other',
        );
      const endsAt = result.expiresOn?.getTime();
      failures = 0;
      failure = null;
      return toToken(
        result.accessToken,
        askedAt,
        endsAt && Number.isFinite(endsAt) ? endsAt : clock.wall() + 3_600_000,
      );
    } catch (error) {
      failure = toSignInError(error, way.failure());
      const pauseMs = backoff(++failures, Math.random(), timings);
      failure.retryAt = clock.monotonic() + Math.max(pauseMs, way.namedWaitMs());
      throw failure;
    }
  }

  function toToken(accessToken: string, askedAt: number, expiresAt: number): Token {
    const now = clock.wall();
    const renewAt = Math.max(expiresAt - RENEW_BEFORE_MS, now + (expiresAt - now) / 2);
    if (current && current.accessToken !== accessToken) forget(current.accessToken);
    remember(accessToken);
    current = { accessToken, ...permissionsOf(accessToken), askedAt, renewAt, expiresAt };
    deps.onToken?.(current);
    return current;
  }

  function askOnce(unlike: Token | null): Promise<Token> {
    if (asking) return asking;
    if (failure && clock.monotonic() < failure.retryAt) return Promise.reject(failure);
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

  const isUsable = (token: Token) =>
    token !== suspected && !refused.has(token.accessToken) && clock.wall() < token.expiresAt;

  return {
    token: async () => {
      const standing = current && isUsable(current) ? current : null;
      if (!standing) return askOnce(suspected);
      // A newer one is wanted, and nobody waits for it while this one holds: the sign-in service may hang.
      if (clock.wall() >= standing.renewAt) {
        askOnce(standing).catch(() => {
          standing.renewAt = Math.min(clock.wall() + timings.renewAgainMs, standing.expiresAt);
        });
      }
      return standing;
    },
    refuse: ({ accessToken }) => refused.add(accessToken),
    isRefused: ({ accessToken }) => refused.has(accessToken),
    suspect: (token) => {
      // The answer may be late: by then there may be a newer one, which is suspected itself.
      if (token === current) suspected = token;
    },
    believes: ({ askedAt }) =>
      askedAt > doubtedAt && clock.monotonic() - askedAt < timings.permissionsBelievedMs,
    renewed: async (token) => {
      const isNewer = current !== null && current.askedAt > token.askedAt && isUsable(current);
      return isNewer && current ? current : askOnce(token);
    },
    doubt: () => {
      doubtedAt = clock.monotonic();
    },
    dueMs: () => (current && isUsable(current) ? Math.max(0, current.renewAt - clock.wall()) : 0),
  };
}

/** Tokens that the API refused, by their hashes. */
function createRefusals(config: SignInConfig, clock: Clock) {
  const since = new Map<string, number>();
  const hashOf = (accessToken: string) => createHash('sha256').update(accessToken).digest('base64');
  return {
    add: (accessToken: string): void => {
      since.set(hashOf(accessToken), clock.monotonic());
      const [oldest] = since.keys();
      if (since.size > MOST_REFUSED && oldest !== undefined) since.delete(oldest);
    },
    has: (accessToken: string): boolean => {
      if (since.size === 0) return false;
      const at = since.get(hashOf(accessToken));
      if (at === undefined) return false;
      return config.credential.kind !== 'managed' || clock.monotonic() - at < SAME_TOKEN_AGAIN_MS;
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
