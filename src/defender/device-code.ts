import type { DeviceCodeRequest, INetworkModule, NetworkResponse } from '@azure/msal-node';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import { foreign } from '../base/foreign.ts';
import { remember } from '../base/secret.ts';
import type { RegisteredSignIn } from '../config/sign-in.ts';
import type { Timings } from '../config/timings.ts';
import { aloneWithLogin, writeLogin } from './login-file.ts';
import { SignInError, toSignInError } from './sign-in-error.ts';
import type { SignInWay } from './sign-in-way.ts';
import { publicClient } from './user-login.ts';

/** What the user has to do, on any device. */
export interface LoginPrompt {
  verificationUri: string;
  userCode: string;
  /** How long the code is good, in ms. */
  lifetimeMs: number;
}

export interface LoginDeps {
  config: RegisteredSignIn;
  /** Where the login is kept. */
  path: string;
  way: SignInWay;
  clock: Clock;
  timings: Timings;
  /** Most time for one request to the sign-in service, in ms. */
  timeoutMs: number;
  signal: AbortSignal;
  onPrompt(prompt: LoginPrompt): void;
}

/**
 * Logs a user in by a device code, and keeps the login in place of the one before.
 *
 * @returns the user's name, and a token.
 * @throws SignInError; StanddownError INPUT_INVALID when it cannot be kept, TIMEOUT when others do not let go of it; the signal's reason.
 */
export async function logIn(deps: LoginDeps): Promise<{ user: string; accessToken: string }> {
  const { config, way, signal, path, timeoutMs } = deps;
  const last: Refusal = { error: '', text: '' };
  const msal = publicClient(config, patiently(deps, last));
  const request: DeviceCodeRequest = {
    scopes: [config.scope],
    deviceCodeCallback: ({ userCode, verificationUri, expiresIn }) =>
      deps.onPrompt({ userCode, verificationUri, lifetimeMs: 1_000 * expiresIn }),
  };
  way.begin();
  try {
    const result = await unlessAborted(signal, msal.acquireTokenByDeviceCode(request));
    if (!result) throw new SignInError('empty_answer', 'the sign-in service returned no token');
    // What was lost on the way here was made up for.
    way.begin();
    const text = msal.getTokenCache().serialize();
    await aloneWithLogin(path, timeoutMs, () => writeLogin(path, text));
    return { user: foreign(result.account?.username ?? '', 200), accessToken: result.accessToken };
  } catch (error) {
    request.cancel = true;
    if (signal.aborted || error instanceof StanddownError) throw error;
    throw explain(error, way, last);
  }
}

/** msal looks at its `cancel` only between two questions, seconds apart. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined);
  }
}

/** Why the last question brought no token, in the sign-in service's words; empty: it did. */
interface Refusal {
  error: string;
  text: string;
}

/** What msal is told in place of an answer after which it would give up. */
const PENDING = 'authorization_pending';

/**
 * msal asks until the user has decided, but gives up at `slow_down` and at the first answer that is lost, though the code is
 * still good. It is told that nothing is decided yet, and its next question waits longer.
 */
function patiently({ way, clock, timings, signal }: LoginDeps, last: Refusal): INetworkModule {
  const { client } = way;
  let slowerMs = 0;
  /** Before the next question alone, at the service's word. */
  let namedMs = 0;

  function later<T>(): NetworkResponse<T> {
    slowerMs += timings.loginSlowerMs;
    namedMs = way.namedWaitMs();
    return { status: 400, headers: {}, body: { error: PENDING } as T };
  }

  return {
    sendGetRequestAsync: client.sendGetRequestAsync,
    sendPostRequestAsync: async <T>(
      url: string,
      options?: Parameters<INetworkModule['sendPostRequestAsync']>[1],
    ) => {
      if (!new URLSearchParams(options?.body ?? '').has('device_code')) {
        const begun = await client.sendPostRequestAsync<T>(url, options);
        return { ...begun, body: codeIn<T>(begun.body, last) };
      }
      const waitMs = Math.max(slowerMs, namedMs);
      namedMs = 0;
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      way.begin();
      const answer = await client.sendPostRequestAsync<T>(url, options).catch(() => null);
      const refusal = refusalIn(answer?.body);
      if (!answer || answer.status === 429 || answer.status >= 500 || refusal.error === 'slow_down')
        return later<T>();
      Object.assign(last, refusal);
      return answer;
    },
  };
}

function refusalIn(body: unknown): Refusal {
  const { error = '', error_description: text = '' } = refusalSchema.safeParse(body).data ?? {};
  return { error, text };
}

const refusalSchema = z.looseObject({
  error: z.string().optional(),
  error_description: z.string().optional(),
});

/** msal looks neither at a refusal here nor at what is missing. */
const codeSchema = z.looseObject({
  device_code: z.string().min(1),
  // Both are shown on a terminal as they are.
  user_code: z.string().regex(/^[!-~]+$/),
  verification_uri: z.string().regex(/^https:\/\/[!-~]+$/),
  expires_in: z.number().positive(),
  // As RFC 8628 has it.
  interval: z.number().min(0).default(5),
});

function codeIn<T>(body: unknown, last: Refusal): T {
  const code = codeSchema.safeParse(body);
  if (code.success) {
    remember(code.data.device_code);
    return code.data as T;
  }
  const { error, text } = refusalIn(body);
  Object.assign(last, {
    error: error || 'empty_answer',
    text: text || 'the sign-in service returned no code',
  });
  throw new Error(last.text);
}

/** msal passes on no more than the word. */
const WORDS: Readonly<Record<string, string>> = {
  authorization_declined: 'the login was declined',
  access_denied: 'the login was declined',
  expired_token: 'the code was not entered in time',
  device_code_expired: 'the code was not entered in time',
  bad_verification_code: 'the sign-in service no longer accepts the code',
};

function explain(error: unknown, way: SignInWay, last: Refusal): SignInError {
  const failure = toSignInError(error, way.failure());
  return refused(last.error === PENDING ? { error: failure.code, text: '' } : last) ?? failure;
}

/** Null: there is nothing to say. */
function refused({ error, text }: Refusal): SignInError | null {
  const words = (Object.hasOwn(WORDS, error) ? WORDS[error] : undefined) ?? text;
  const number = /AADSTS\d+/.exec(text)?.[0];
  return words === '' ? null : new SignInError(number ? `${error} ${number}` : error, words);
}
