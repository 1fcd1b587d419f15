import { Secret } from '../base/secret.ts';

/** Where notices go, and when. */
export interface NotifyConfig {
  /** May hold a token of the receiver's. */
  url: Secret;
  /** Signs each notice. */
  secret: Secret;
  /** A campaign that is blocked for longer gets a notice, in ms. */
  holdMs: number;
  /** Whether the receiver may be on this machine or in a private network, and be spoken to in plain http. */
  allowPrivate: boolean;
}

export const LEAST_SECRET = 16;

/** A part of an address that is as long may be a token. */
const TOKEN_LENGTH = 16;

/** @returns the settings; null: no notices; or what is wrong with them, a sentence each. */
export function readNotify(given: {
  url: string | undefined;
  secret: string | undefined;
  holdMs: number;
  allowPrivate: boolean;
}): NotifyConfig | null | string[] {
  const { url, secret, holdMs, allowPrivate } = given;
  if (url === undefined) return null;
  const mistakes: string[] = [];
  const problem = urlProblem(url, allowPrivate);
  if (problem !== null) mistakes.push(`NOTIFY_URL: ${problem}`);
  if (secret === undefined) mistakes.push('NOTIFY_SECRET: required with NOTIFY_URL, to sign notices');
  else if (secret.length < LEAST_SECRET)
    mistakes.push(`NOTIFY_SECRET: must be at least ${LEAST_SECRET} characters long`);
  if (mistakes.length > 0 || secret === undefined) return mistakes;
  return { url: new Secret(url, tokensIn(url)), secret: new Secret(secret), holdMs, allowPrivate };
}

function urlProblem(text: string, allowPrivate: boolean): string | null {
  if (!URL.canParse(text)) return 'not a valid URL (must begin with https://)';
  const { protocol, username, password, hash } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') return 'not a valid URL (must begin with https://)';
  if (protocol === 'http:' && !allowPrivate)
    return 'must begin with https:// (plain http is only for a private network, with NOTIFY_ALLOW_PRIVATE=true)';
  return username || password || hash ? 'must not contain a user name, password or fragment' : null;
}

/** What of an address the log has to leave out: parts of the path that may be tokens, and all of the query. */
function tokensIn(text: string): string[] {
  const { pathname, search, searchParams } = new URL(text);
  const long = pathname.split('/').filter((part) => part.length >= TOKEN_LENGTH);
  return [...long, search, ...searchParams.values()];
}
