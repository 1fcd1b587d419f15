import { AuthError, type INetworkModule, type NetworkRequestOptions } from '@azure/msal-node';
import type { Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { exchange, type HttpAnswer, type Send } from './exchange.ts';
import { httpDate, retryAfter } from './retry-after.ts';

/** The way to the sign-in service, and what was seen on it. */
export interface SignInWay {
  client: INetworkModule;
  /** What it last failed of: msal keeps that to itself. Empty: of nothing since `begin`. */
  failure(): string;
  /** How long the service said to wait, in ms; 0: it did not since `begin`. */
  namedWaitMs(): number;
  begin(): void;
  /** How far this machine's clock is ahead of the sign-in service's, in ms; as coarse as its answers tell the time. */
  aheadMs(): number;
}

/** No longer than this is waited at the service's word, in ms. */
const LONGEST_WAIT_MS = 3_600_000;

/**
 * msal's way out: undici, with a time limit, through the proxy where there is one.
 *
 * @param deps.timeoutMs most time for one request to the sign-in service; it may hang.
 * @param deps.send default: `exchange`.
 */
export function createSignInWay(deps: {
  dispatcher: Dispatcher;
  clock: Clock;
  timeoutMs: number;
  send?: Send | undefined;
}): SignInWay {
  const { send: exchangeBy = exchange } = deps;
  let failure = '';
  let namedWaitMs = 0;
  let aheadMs = 0;

  function noteWait(answer: HttpAnswer): void {
    if (answer.status < 300) return;
    namedWaitMs = Math.min(retryAfter(answer, undefined, deps.clock.wall()) ?? 0, LONGEST_WAIT_MS);
  }

  const send = async <T>(method: 'GET' | 'POST', url: string, options?: NetworkRequestOptions) => {
    const { origin, pathname, search } = new URL(url);
    const answer = await exchangeBy(deps.dispatcher, {
      origin,
      path: pathname + search,
      method,
      headers: options?.headers ?? {},
      timeoutMs: deps.timeoutMs,
      ...(options?.body !== undefined && { body: options.body }),
    });
    if (answer.kind !== 'answer') {
      const code = answer.code === 'TIMEOUT' ? 'request_timeout' : 'network_error';
      failure = `${code}: ${answer.code} from ${origin}: ${answer.message}`;
      throw new AuthError(code, '', `${answer.code}: ${answer.message}`);
    }
    noteWait(answer);
    const servedAt = httpDate(String(answer.headers['date']));
    if (servedAt !== null) aheadMs = deps.clock.wall() - servedAt;
    const headers = Object.fromEntries(
      Object.entries(answer.headers).map(([key, value]) => [key, String(value)]),
    );
    return { status: answer.status, headers, body: parseBody<T>(answer.body, answer.status) };
  };

  return {
    client: {
      sendGetRequestAsync: (url, options) => send('GET', url, options),
      sendPostRequestAsync: (url, options) => send('POST', url, options),
    },
    failure: () => failure,
    namedWaitMs: () => namedWaitMs,
    begin: () => {
      failure = '';
      namedWaitMs = 0;
    },
    aheadMs: () => aheadMs,
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

/**
 * Asks the sign-in service for a token, which is not one of the unwanted ones if that can be helped. Throws whatever msal does, or
 * a SignInError.
 */
export type TokenSource = (
  isUnwanted: (accessToken: string) => boolean,
) => Promise<{ accessToken: string; expiresOn: Date | null } | null>;
