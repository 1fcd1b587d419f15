import { inspect } from 'node:util';

/** Every secret's value while it is in use, so that the log can make sure of leaving it out. */
const known = new Set<string>();

/** Shorter texts would take harmless words out of the log. */
const SHORTEST = 6;

/** A text that does not show itself when it is printed, logged, inspected or turned into JSON. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    remember(value);
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
