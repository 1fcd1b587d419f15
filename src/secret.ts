import { inspect } from 'node:util';

/** Every secret's value while it is in use, so that the log can make sure of leaving it out. */
const known = new Set<string>();

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
  if (value.length >= SHORTEST) known.add(value);
}

/** A token that is not used any more need not be looked for. */
export function forget(value: string): void {
  known.delete(value);
}

const TOKEN_LIKE = /\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|(?<=\bBearer\s+)[^\s"',]+/g;

/** Takes every known secret, and whatever looks like a token, out of a text. */
export function withoutSecrets(text: string): string {
  let clean = text;
  for (const value of known) {
    for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)]) {
      if (clean.includes(form)) clean = clean.replaceAll(form, '[secret]');
    }
  }
  return clean.replace(TOKEN_LIKE, '[secret]');
}
