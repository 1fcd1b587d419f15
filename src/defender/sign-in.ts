import {
  AuthError,
  ConfidentialClientApplication,
  type INetworkModule,
  type NetworkRequestOptions,
} from '@azure/msal-node';
import type { Dispatcher } from 'undici';
import type { Clock } from '../clock.ts';
import type { SignInConfig } from '../config.ts';
import { messageOf } from '../errors.ts';
import { forget, remember, withoutSecrets } from '../secret.ts';
import { readCredential } from './credential.ts';
import { exchange } from './exchange.ts';
import { rolesOf } from './roles.ts';

export interface Token {
  accessToken: string;
  /** What it permits; null where it cannot be read. */
  roles: string[] | null;
  /** Wall time from which on a newer one is wanted, in ms. */
  renewAt: number;
  /** Wall time at which it ends, in ms. */
  expiresAt: number;
}

/** No token is to be had for now. `code` is msal's error code, which says what to look at. */
export class SignInError extends Error {
  override readonly name = 'SignInError';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(withoutSecrets(message), { cause });
    this.code = code;
  }
}

/** Entra's own sentence, where there is one: msal repeats its code before it, and traces follow. */
export function gistOf({ code, message }: Pick<SignInError, 'code' | 'message'>): string {
  const [text = ''] = message.slice(Math.max(0, message.indexOf('AADSTS'))).split(/\r?\n| Trace ID:/);
  return text.replace(`${code.split(' ')[0]}: `, '').slice(0, 300);
}

export interface SignIn {
  /** A token that still holds. @throws SignInError */
  token(): Promise<Token>;
  /** Another token than this one, which the API refused. @throws SignInError */
  renewed(refused: Token): Promise<Token>;
}

/** What was signed is not valid yet, or not any more. */
const UNTIMELY = 'AADSTS700024';

function isToken(value: unknown): boolean {
  return typeof value === 'string' && /^[!-~]+$/.test(value);
}

/** A token is renewed this long before it ends, or after half of its time, whichever is later. As msal does. */
const RENEW_BEFORE_MS = 300_000;

/**
 * Signs in with client credentials through msal-node. One request at a time, however many calls ask for a token. Once
 * there is a token, a renewal that fails does no harm until the token has ended.
 *
 * @param deps.timeoutMs most time for one request to the sign-in service; it may hang.
 * @param deps.onAsked told whether that gave a token, also where the one that stands still does.
 */
export function createSignIn(deps: {
  config: SignInConfig;
  dispatcher: Dispatcher;
  clock: Clock;
  timeoutMs: number;
  onAsked?: ((ok: boolean) => void) | undefined;
}): SignIn {
  const { config, clock } = deps;
  let current: Token | null = null;
  let asking: Promise<Token> | null = null;
  let application: { credential: string; msal: ConfidentialClientApplication } | null = null;
  /** What the way to the sign-in service last failed of: msal keeps that to itself. */
  let network = '';
  /** How far this machine's clock is ahead of the sign-in service's, in ms; as coarse as its answers tell the time. */
  let aheadMs = 0;
  const client = networkClient(deps, {
    onFailure: (failure) => {
      network = failure;
    },
    onDate: (servedAt) => {
      aheadMs = clock.wall() - servedAt;
    },
  });

  async function msal(): Promise<ConfidentialClientApplication> {
    const credential = await readCredential(config.credential);
    const fingerprint = JSON.stringify(credential);
    if (application?.credential !== fingerprint) {
      const authority = `${config.authorityHost}/${config.tenantId}`;
      application = {
        credential: fingerprint,
        msal: new ConfidentialClientApplication({
          auth: {
            clientId: config.clientId,
            authority,
            knownAuthorities: [new URL(authority).host],
            ...credential,
          },
          system: { networkClient: client, disableInternalRetries: true },
        }),
      };
    }
    return application.msal;
  }

  async function ask(skipCache: boolean): Promise<Token> {
    network = '';
    try {
      const app = await msal();
      const result = await app.acquireTokenByClientCredential({ scopes: [config.scope], skipCache });
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
      const failure = toSignInError(error, network);
      if (!failure.code.includes(UNTIMELY)) throw failure;
      // It keeps what it signed, up to ten minutes: a clock that was set right meanwhile would not help.
      application = null;
      throw new SignInError(failure.code, `${gistOf(failure)} (${describeClock(aheadMs)})`, error);
    }
  }

  function toToken(accessToken: string, expiresAt: number): Token {
    const now = clock.wall();
    const renewAt = Math.max(expiresAt - RENEW_BEFORE_MS, now + (expiresAt - now) / 2);
    if (current && current.accessToken !== accessToken) forget(current.accessToken);
    remember(accessToken);
    current = { accessToken, roles: rolesOf(accessToken), renewAt, expiresAt };
    return current;
  }

  function askOnce(skipCache: boolean): Promise<Token> {
    if (asking) return asking;
    asking = ask(skipCache).finally(() => {
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
      const now = clock.wall();
      if (current && now < current.renewAt) return current;
      const standing = current;
      try {
        return await askOnce(standing !== null);
      } catch (error) {
        if (standing && now < standing.expiresAt) return standing;
        throw error;
      }
    },
    renewed: async (refused) => {
      if (current && current.accessToken !== refused.accessToken) return current;
      return askOnce(true);
    },
  };
}

/** msal's way out: undici, with a time limit, through the proxy where there is one. */
function networkClient(
  deps: { dispatcher: Dispatcher; timeoutMs: number },
  told: { onFailure(what: string): void; onDate(servedAt: number): void },
): INetworkModule {
  const send = async <T>(method: 'GET' | 'POST', url: string, options?: NetworkRequestOptions) => {
    const { origin, pathname, search } = new URL(url);
    const answer = await exchange(deps.dispatcher, {
      origin,
      path: pathname + search,
      method,
      headers: options?.headers ?? {},
      timeoutMs: deps.timeoutMs,
      ...(options?.body !== undefined && { body: options.body }),
    });
    if (answer.kind !== 'answer') {
      const code = answer.code === 'TIMEOUT' ? 'request_timeout' : 'network_error';
      told.onFailure(`${code}: ${answer.code} from ${origin}: ${answer.message}`);
      throw new AuthError(code, '', `${answer.code}: ${answer.message}`);
    }
    const servedAt = Date.parse(String(answer.headers['date']));
    if (!Number.isNaN(servedAt)) told.onDate(servedAt);
    const headers = Object.fromEntries(
      Object.entries(answer.headers).map(([key, value]) => [key, String(value)]),
    );
    return { status: answer.status, headers, body: parseBody<T>(answer.body, answer.status) };
  };
  return {
    sendGetRequestAsync: (url, options) => send('GET', url, options),
    sendPostRequestAsync: (url, options) => send('POST', url, options),
  };
}

/** A gateway's page in place of an answer is told to msal in the sign-in service's own form. */
function parseBody<T>(text: string, status: number): T {
  try {
    return JSON.parse(text);
  } catch {
    throw new AuthError('unreadable_answer', '', `the sign-in service answered ${status} without JSON`);
  }
}

/** In whole minutes: whether they differ by a second more or less changes nothing. */
function describeClock(aheadMs: number): string {
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  if (minutes === 0) return "this machine's clock agrees with the sign-in service's";
  return `this machine's clock is ${minutes} min ${aheadMs > 0 ? 'ahead of' : 'behind'} the sign-in service's: set it right`;
}

function toSignInError(error: unknown, network: string): SignInError {
  if (error instanceof SignInError) return error;
  const code: unknown = error instanceof AuthError ? error.errorCode : Reflect.get(Object(error), 'code');
  // Entra's own number says more than OAuth's word: AADSTS7000215 is a wrong secret, AADSTS700016 a wrong client id.
  const number = /AADSTS\d+/.exec(messageOf(error))?.[0];
  const name = typeof code === 'string' && code !== '' ? code : 'sign_in_failed';
  return new SignInError(
    number && !name.includes(number) ? `${name} ${number}` : name,
    network === '' ? messageOf(error) : network,
    error,
  );
}
