import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf, StanddownError } from '../base/errors.ts';
import { ownFolder } from '../base/own-folder.ts';
import { forget, remember } from '../base/secret.ts';
import { withLock } from '../store/redis/lock.ts';
import { SignInError } from './sign-in-error.ts';

/*
 * What a user's login left behind, as msal writes it: who it was, and a refresh token, treated as good once: Entra does not
 * revoke a used one, but another authority may, and what it is exchanged for lasts longer. Only its owner may read it. Whoever uses the token does so under a lock that all processes of this machine share, and writes what it was
 * exchanged for before another may look.
 */

/** Another process may be in the middle of its requests to the sign-in service: a few of them, each with its time. */
const REQUESTS_OF_OTHERS = 4;

/**
 * Runs something alone with the login.
 *
 * @param timeoutMs most time for one request to the sign-in service.
 * @throws StanddownError TIMEOUT when another process has it for longer than a few of these take, INPUT_INVALID when its lock
 *   cannot be had, CONFIG_INVALID when others could have put it there; and whatever the work throws.
 */
export async function aloneWithLogin<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  const waitMs = REQUESTS_OF_OTHERS * timeoutMs;
  const params = { path: lock, waitMs, what: 'signing in', code: 'TIMEOUT' } as const;
  // What the work fails of is told apart from what befalls the lock.
  let done: PromiseSettledResult<T> | undefined;
  const alone = async () => {
    [done] = await Promise.allSettled([work()]);
  };
  const locked = ownLogins(path).then(() => withLock(params, alone));
  await locked.catch((cause: unknown) => {
    // What came of the work counts, also where the lock could not be given back.
    if (done) return;
    if (cause instanceof StanddownError) throw cause;
    const message = `cannot use the lock of the login, ${lock}: ${messageOf(cause)}`;
    throw new StanddownError('INPUT_INVALID', message, { cause });
  });
  if (done?.status !== 'fulfilled') throw done?.reason;
  return done.value;
}

/** The folder of all logins, and the one that it is in; in that one others may write, as in a volume that a group shares. */
async function ownLogins(path: string): Promise<void> {
  await ownFolder(dirname(dirname(path)), { shared: true });
  await ownFolder(dirname(path), { deep: true });
}

/** @throws SignInError login_needed when there is none. */
export async function readLogin(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (Reflect.get(Object(cause), 'code') === 'ENOENT')
      throw new SignInError('login_needed', 'no user is logged in; run "standdown login"', cause);
    throw new SignInError('login_unusable', `cannot read the login: ${messageOf(cause)}`, cause);
  }
  rememberTokens(path, text);
  return text;
}

/** Where a login is written before it takes its place: one name, so that none is left of a process that was killed. */
const partOf = (path: string) => `${path}.part`;

/**
 * Puts a login in the place of the one before, whole or not at all. Only for who is alone with it.
 *
 * @throws StanddownError INPUT_INVALID
 */
export async function writeLogin(path: string, text: string): Promise<void> {
  rememberTokens(path, text);
  const temporary = partOf(path);
  try {
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new StanddownError('INPUT_INVALID', `cannot save the login to ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Whether there was one. Only for who is alone with it. @throws StanddownError INPUT_INVALID */
export async function removeLogin(path: string): Promise<boolean> {
  try {
    await rm(partOf(path), { force: true });
    await rm(path);
    return true;
  } catch (cause) {
    if (Reflect.get(Object(cause), 'code') === 'ENOENT') return false;
    throw new StanddownError('INPUT_INVALID', `cannot delete ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Of each login, its refresh tokens as last seen: unlike others they do not look like tokens. */
const seen = new Map<string, readonly string[]>();

/** From now on the log leaves these out, and no others of this login. @throws SignInError login_needed */
export function rememberTokens(path: string, text: string): void {
  const tokens = refreshTokensIn(text);
  for (const token of seen.get(path) ?? []) if (!tokens.includes(token)) forget(token);
  for (const token of tokens) remember(token);
  seen.set(path, tokens);
}

/** What of msal's cache has to be there. */
const loginSchema = z.looseObject({
  Account: z.record(z.string(), z.unknown()),
  RefreshToken: z.record(z.string(), z.looseObject({ secret: z.string() })),
});

/** @throws SignInError login_needed where it is no login. */
function refreshTokensIn(text: string): string[] {
  try {
    const { RefreshToken } = loginSchema.parse(JSON.parse(text));
    return Object.values(RefreshToken).map(({ secret }) => secret);
  } catch {
    // No cause: the parser quotes a piece of the file, which may be one of a token that nobody knows yet.
    throw new SignInError('login_needed', 'the login file is damaged; run "standdown login" again');
  }
}
