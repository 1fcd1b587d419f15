import { AuthError } from '@azure/msal-node';
import { messageOf } from '../base/errors.ts';
import { foreign } from '../base/foreign.ts';

/** Longest code and message that are kept. */
const MAX_CODE = 100;
const MAX_MESSAGE = 2_000;

/** No token is to be had for now. `code` is msal's error code, which says what to look at. Both are the service's own text. */
export class SignInError extends Error {
  override readonly name = 'SignInError';
  readonly code: string;
  /** The sign-in service is not asked again before; monotonic, in ms. */
  retryAt = 0;

  constructor(code: string, message: string, cause?: unknown) {
    super(foreign(message, MAX_MESSAGE), { cause });
    this.code = foreign(code, MAX_CODE);
  }
}

/** The service's own sentence, without the code that stands beside it already: msal repeats that before it, and traces follow. */
export function gistOf({ code, message }: Pick<SignInError, 'code' | 'message'>): string {
  const described = / - Description: (.+?) - Correlation ID: /s.exec(message)?.[1] ?? message;
  const [text = ''] = described.slice(Math.max(0, described.indexOf('AADSTS'))).split(/\r?\n| Trace ID:/);
  const [word, number = word] = code.split(' ');
  return text
    .replace(`${word}: `, '')
    .replace(`${number}: `, '')
    .replace(/ \(correlation id \S+\)$/, '')
    .slice(0, 300);
}

/** @param network what the way to the sign-in service failed of; empty: of nothing. */
export function toSignInError(error: unknown, network: string): SignInError {
  if (error instanceof SignInError) return error;
  const code: unknown = error instanceof AuthError ? error.errorCode : Reflect.get(Object(error), 'code');
  // Entra's own number says more than OAuth's word: AADSTS7000215 is a wrong secret, AADSTS700016 a wrong client id.
  const number = /AADSTS\d+/.exec(messageOf(error))?.[0];
  const name = typeof code === 'string' && code !== '' ? code : 'sign_in_failed';
  if (!number) return new SignInError(name, network === '' ? messageOf(error) : network, error);
  // The service's sentence once, and what its support asks for: msal's text has it twice, and a log would add the cause's.
  const trace = / - Correlation ID: (\S+)/.exec(messageOf(error))?.[1];
  const gist = gistOf({ code: name, message: messageOf(error) });
  return new SignInError(
    name.includes(number) ? name : `${name} ${number}`,
    network === '' ? `${gist}${trace ? ` (correlation id ${trace})` : ''}` : network,
  );
}
