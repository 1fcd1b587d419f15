import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../secret.ts';

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

/** Why there is no session: nobody signed in, it is over, or it was not made by this console with its present tokens. */
export type NoSession = 'none' | 'expired' | 'wrong';

/** A shift; then the token is asked for again. */
export const SESSION_MS = 12 * 3_600_000;

export interface SessionDeps {
  /** Null: there is no such token. */
  tokens: Readonly<Record<Role, Secret | null>>;
  /** Who acts where nobody has to sign in. */
  operator: string;
  /** Ms since 1970. */
  wall(): number;
}

export type Sessions = ReturnType<typeof createSessions>;

/**
 * Who may do what. A session is a signed cookie that holds no token; its key comes from the role's token, so that another
 * token ends it and a restart of the console does not.
 */
export function createSessions({ tokens, operator, wall }: SessionDeps) {
  const needsSignIn = tokens.read !== null || tokens.act !== null;
  // Without tokens there is nothing that could outlast this process.
  const own = randomBytes(32);
  /** Signed out before their time, and when that would have been: their pages elsewhere, and copies, are no good either. */
  const ended = new Map<string, number>();
  const keyOf = (role: Role) => (needsSignIn ? tokens[role] && hmac(tokens[role].reveal(), 'session') : own);

  function open(role: Role, name: string): string {
    const session: Session = { role, name, expiresAt: wall() + SESSION_MS };
    const text = Buffer.from(JSON.stringify(session)).toString('base64url');
    return `${text}.${hmac(keyOf(role) ?? own, text).toString('base64url')}`;
  }

  function read(cookie: string | undefined): Session | NoSession {
    if (!cookie) return 'none';
    const [text = '', mac = ''] = cookie.split('.');
    for (const role of ['act', 'read'] as const) {
      const key = keyOf(role);
      if (key === null || !isSame(mac, hmac(key, text).toString('base64url'))) continue;
      // Only what was signed here is parsed.
      const session = JSON.parse(Buffer.from(text, 'base64url').toString()) as Session;
      if (session.role === role) return session.expiresAt > wall() && !ended.has(text) ? session : 'expired';
    }
    return 'wrong';
  }

  /** Told to a session's own pages only, and expected in every form that they send. */
  const formKey = (cookie: string) => hmac(own, cookie).toString('base64url');

  return {
    needsSignIn,
    read,
    /** Ends a session for whoever has its cookie. */
    end: (cookie: string): void => {
      const session = read(cookie);
      if (typeof session === 'string') return;
      for (const [text, expiresAt] of ended) if (expiresAt <= wall()) ended.delete(text);
      ended.set(cookie.split('.')[0] ?? '', session.expiresAt);
    },
    formKey,
    isFormKey: (cookie: string, given: unknown) =>
      typeof given === 'string' && isSame(given, formKey(cookie)),
    /** A cookie for a right token; null for any other. */
    signIn: (token: string, name: string): string | null => {
      // Both are compared in any case, so that the time tells nothing.
      const [mayAct, mayRead] = [tokens.act, tokens.read].map(
        (known) => known !== null && isSame(token, known.reveal()),
      );
      return mayAct ? open('act', name) : mayRead ? open('read', name) : null;
    },
    /** A cookie for whoever comes, where nobody has to sign in. */
    enter: () => open('act', operator),
  };
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** In constant time, whatever their lengths. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
