import { inspect } from 'node:util';

/** Every secret in use, with the forms in which it may be written, so that the log can make sure of leaving it out. */
const known = new Map<string, readonly string[]>();

/** All of these forms, the longest first: one secret may be a part of another. Null: to be put together anew. */
let inUse: readonly string[] | null = null;

/** Shorter texts would take harmless words out of the log. */
const SHORTEST = 6;

/** A text that does not show itself when it is printed, logged, inspected or turned into JSON. */
export class Secret {
  readonly #value: string;

  /** @param parts what of the text the log has to leave out. Default: all of it. */
  constructor(value: string, parts: readonly string[] = [value]) {
    this.#value = value;
    for (const part of parts) remember(part);
  }

  /** The only way to the text: for the one call that needs it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** A URL: only the passwords in it are secret, so that the log may say where it leads. */
export function secretUrl(url: string): Secret {
  return new Secret(url, passwordsIn(url));
}

/** Passwords as they are written and as they are meant; more than is one rather than less where the URL is garbled. */
function passwordsIn(url: string): string[] {
  const userinfos = [/^[^:]*:\/\/([^/?#]*)@/, /^[^:]*:\/\/(.*)@/].map((form) => form.exec(url)?.[1] ?? '');
  const passwords = userinfos.map((userinfo) => userinfo.slice(userinfo.indexOf(':') + 1));
  for (const [, value = ''] of url.matchAll(/[?&]\w*password=([^&#]*)/gi)) passwords.push(value);
  return passwords.flatMap((password) => [password, decoded(password)]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** From now on the log leaves this text out. */
export function remember(value: string): void {
  if (value.length < SHORTEST || known.has(value)) return;
  known.set(value, formsOf(value));
  inUse = null;
}

/** A token that is not used any more need not be looked for. */
export function forget(value: string): void {
  if (known.delete(value)) inUse = null;
}

/** As it stands, in JSON, in a URL and in a form. */
function formsOf(value: string): string[] {
  const forms = [
    value,
    JSON.stringify(value).slice(1, -1),
    // A lone surrogate, which a sign-in service's JSON may hold, has no form in a URL.
    encodeURIComponent(value.toWellFormed()),
    new URLSearchParams([['', value]]).toString().slice(1),
  ];
  return [...new Set(forms)];
}

function formsInUse(): readonly string[] {
  inUse ??= [...known.values()].flat().sort((a, b) => b.length - a.length);
  return inUse;
}

/** What begins like a token in JSON (`{"` is `eyJ`), however it goes on: no look ahead, so that no text takes long. */
const TOKEN_LIKE = /(?<!\w)eyJ[\w-]{10}[\w.-]*/g;
const BEARER = /(\bBearer(?:\s|%20|\+)+)[^\s"',]+/gi;

/**
 * Takes every known secret, and whatever looks like a token, out of a text. Each pass goes through the text once: what others
 * wrote must not be able to keep the process busy.
 */
export function withoutSecrets(text: string): string {
  let clean = text;
  for (const form of formsInUse()) if (clean.includes(form)) clean = clean.replaceAll(form, '[secret]');
  return clean.replace(TOKEN_LIKE, '[secret]').replace(BEARER, '$1[secret]');
}

/**
 * The start of a text, at most `length` characters, without secrets. More than that is not looked at, but for the rest of a secret
 * that begins there: of one that was cut in two, half would stay.
 */
export function startWithoutSecrets(text: string, length: number): string {
  if (text.length <= length) return withoutSecrets(text);
  const longest = formsInUse()[0]?.length ?? 0;
  const clean = withoutSecrets(text.slice(0, length + longest));
  return clean.slice(0, Math.max(0, clean.length - longest));
}
