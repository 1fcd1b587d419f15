import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../base/secret.ts';

/** Whoever may act may read, too. */
export type Role = 'read' | 'act';

export interface Session {
  role: Role;
  /** Who it is, for the audit. */
  name: string;
  /** Ms since 1970. */
  expiresAt: number;
}

/** What whoever may only read is told where a change is asked for. */
export const READS_ONLY =
  'You are signed in with the read token, which does not allow changes. Sign in with the act token to make them.';

/** A form without the key of its session: of a page from before, or not of the console at all. */
export const OUTDATED_FORM = 'This form is out of date. Go back, reload the page and try again.';

/** Why there is no session: nobody signed in, or it is over. */
export type NoSession = 'none' | 'ended';

/** A shift; then the token is asked for again. */
export const SESSION_MS = 12 * 3_600_000;

/**
 * Sessions of one role at once: beyond that the oldest of the same address ends, or the oldest of all. Who may only read ends no
 * session of those who may act.
 */
const MOST_OF_AN_ADDRESS = 100;
const MOST = 2_000;

export interface SessionDeps {
  /** Null: there is no such token. */
  tokens: Readonly<Record<Role, Secret | null>>;
  /** Who acts where nobody has to sign in. */
  operator: string;
  /** Ms since 1970. */
  wall(): number;
}

export type Sessions = ReturnType<typeof createSessions>;

interface Kept extends Session {
  address: string;
}

/**
 * Who may do what. A session is known by a random cookie, and to this process alone: nothing that can be found out elsewhere
 * makes one, and none outlasts a sign-out, its token or this process.
 */
export function createSessions({ tokens, operator, wall }: SessionDeps) {
  const needsSignIn = tokens.read !== null || tokens.act !== null;
  const own = randomBytes(32);
  /** By a digest of the cookie: how long a search takes tells nothing of it. The oldest stands first. */
  const kept = new Map<string, Kept>();

  function read(cookie: string | undefined): Session | NoSession {
    if (!cookie) return 'none';
    if (!needsSignIn) return isEntered(cookie) ? operatorNow() : 'ended';
    const session = kept.get(digest(cookie));
    return session && session.expiresAt > wall() ? session : 'ended';
  }

  /** Where nobody has to sign in, a cookie only keeps other sites' forms out: there is nothing to remember of it. */
  const operatorNow = (): Session => ({ role: 'act', name: operator, expiresAt: wall() + SESSION_MS });
  const entered = (nonce: string) => `${nonce}.${hmac(own, `enter ${nonce}`)}`;
  const isEntered = (cookie: string) => isSame(cookie, entered(cookie.split('.')[0] ?? ''));

  function open(role: Role, name: string, address: string): string {
    makeRoom(role, address);
    const cookie = randomBytes(32).toString('base64url');
    kept.set(digest(cookie), { role, name, address, expiresAt: wall() + SESSION_MS });
    return cookie;
  }

  function makeRoom(role: Role, address: string): void {
    for (const [key, { expiresAt }] of kept) if (expiresAt <= wall()) kept.delete(key);
    const same = [...kept].filter(([, session]) => session.role === role);
    const near = same.filter(([, session]) => session.address === address);
    const [oldest] = near.length >= MOST_OF_AN_ADDRESS ? near : same.length >= MOST ? same : [];
    if (oldest) kept.delete(oldest[0]);
  }

  /** Told to a session's own pages only, and expected in every form that they send. */
  const formKey = (cookie: string) => hmac(own, `form ${cookie}`);

  return {
    needsSignIn,
    read,
    /** Ends a session for whoever has its cookie. */
    end: (cookie: string): void => void kept.delete(digest(cookie)),
    formKey,
    isFormKey: (cookie: string, given: unknown) =>
      typeof given === 'string' && isSame(given, formKey(cookie)),
    /** What a token permits; null: it is wrong. */
    roleOf: (token: string): Role | null => {
      // Both are compared in any case, so that the time tells nothing.
      const [mayAct, mayRead] = [tokens.act, tokens.read].map(
        (known) => known !== null && isSame(token, known.reveal()),
      );
      return mayAct ? 'act' : mayRead ? 'read' : null;
    },
    /** A cookie for whoever has shown a right token. */
    open,
    /** A cookie for whoever comes, where nobody has to sign in. */
    enter: () => entered(randomBytes(16).toString('base64url')),
  };
}

function hmac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url');
}

function digest(cookie: string): string {
  return createHash('sha256').update(cookie).digest('base64url');
}

/** In constant time, whatever their lengths. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
