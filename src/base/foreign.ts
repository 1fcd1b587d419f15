import { startWithoutSecrets } from './secret.ts';

/* Text from outside: an answer, an error's message, a name, a line of a file. It may repeat a secret, be of any length,
 * and hold what moves a cursor or turns text around. Whatever is stored, logged or shown of it passes here first. */

/** So many characters are looked at for each one that is kept: what is taken out makes room for more. */
const LOOKED_AT = 50;

/** Longest excerpt, in characters, escapes included. */
const MAX_EXCERPT = 120;

/** In one line, white space made single spaces: without secrets, printable, at most `max` characters, an ellipsis included. */
export function foreign(text: string, max: number): string {
  const clean = startWithoutSecrets(text, LOOKED_AT * max);
  return bounded(clean.replace(/\s+/g, ' ').trim(), max, text.length > LOOKED_AT * max);
}

/** As `foreign`, white space included: a tab becomes `\u0009`. For what is quoted as it stands. */
export function excerpt(text: string, max = MAX_EXCERPT): string {
  const clean = startWithoutSecrets(text, LOOKED_AT * max);
  return bounded(clean, max, text.length > LOOKED_AT * max);
}

/** Controls, formats (bidi, zero width) and others that cannot be seen, line separators, lone surrogates, private use, unassigned. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const UNPRINTABLES = new RegExp(UNPRINTABLE, 'gu');

/** Whatever could move a cursor, reverse text or hide becomes `\uXXXX`; the ends of lines and tabs stay. For a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLES, (char) => (char === '\n' || char === '\t' ? char : escaped(char)));
}

/**
 * The same for a line of JSON, which stays JSON.
 *
 * @param isRead whether its texts are read before they are shown, as by a log for people: then they show the escapes.
 */
export function printableJson(line: string, isRead: boolean): string {
  const backslash = isRead ? '\\\\' : '\\';
  const unit = (char: string) => `${backslash}u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const safe = line.replace(UNPRINTABLES, (char) =>
    char === '\n' ? char : char.split('').map(unit).join(''),
  );
  if (!isRead) return safe;
  // Of a text with an end of line the lines stay, and tabs. A backslash that is one itself is passed over with its twin.
  return safe.replace(/\\[\s\S]/g, (pair) => (/[bfru]$/.test(pair) ? `\\${pair}` : pair));
}

/** Printable and cut between two code points. */
function bounded(text: string, max: number, isCut: boolean): string {
  let out = '';
  let fitting = 0;
  for (const char of text) {
    const shown = UNPRINTABLE.test(char) ? escaped(char) : char;
    if (out.length + shown.length > max) return `${out.slice(0, fitting)}…`;
    out += shown;
    if (out.length < max) fitting = out.length;
  }
  return isCut ? `${out.slice(0, fitting)}…` : out;
}

function escaped(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** A text as one word of a command line of sh, in quotes where it needs them. Single ones: nothing in them is expanded. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
