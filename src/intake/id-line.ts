import { parseGuid } from '../guid.ts';

/** Longest {@link IdLine.text}, in characters, escapes included. */
const MAX_EXCERPT = 120;

/** What one line (or one CSV record, named by the line it starts on; the first is 1) holds: an id, or why not. */
export type IdLine =
  | {
      line: number;
      /** A canonical GUID: lower case, `8-4-4-4-12`. */
      id: string;
      problem?: never;
      text?: never;
    }
  | {
      line: number;
      /** What is wrong, in a few words for people. */
      problem: string;
      /** The offending text: at most 120 characters, control and other invisible characters escaped. Safe to print. */
      text: string;
      id?: never;
    };

/** The id in `candidate`; otherwise the problem, shown with `whole` when the candidate itself is blank. */
export function idLine(line: number, candidate: string, whole: string): IdLine {
  const id = parseGuid(candidate);
  if (id !== null) return { line, id };
  return problemLine(line, guidProblem(candidate), candidate.trim() === '' ? whole : candidate);
}

export function problemLine(line: number, problem: string, text: string): IdLine {
  return { line, problem, text: excerpt(text) };
}

/** Bounded and printable: whatever could move a cursor, reverse text or hide becomes `\uXXXX`. */
export function excerpt(text: string, max = MAX_EXCERPT): string {
  const head = text.length > max ? `${text.slice(0, max - 1)}…` : text;
  if (!UNPRINTABLE.test(head)) return detached(head);
  let out = '';
  for (const char of text.slice(0, 2 * max)) {
    const shown = UNPRINTABLE.test(char) ? escaped(char) : char;
    if (out.length + shown.length >= max) return `${out}…`;
    out += shown;
  }
  return out;
}

/** Controls, formats (bidi, zero width), line separators, lone surrogates, private use, unassigned. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

function escaped(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

function guidProblem(text: string): string {
  if (text.trim() === '') return 'the id is empty';
  if (/^\s*[0-9a-f]{32}\s*$/i.test(text)) return 'not a GUID: its dashes are missing (8-4-4-4-12)';
  const strange = /[^\t-\r -~]/u.exec(text)?.[0].codePointAt(0);
  // Look-alikes (full-width digits, Cyrillic letters) cannot be seen: name them.
  if (strange !== undefined)
    return `not a GUID: it holds U+${strange.toString(16).toUpperCase().padStart(4, '0')}`;
  return 'not a GUID';
}

/** A copy of its own: a slice would keep the whole piece of the file it was cut from in memory. */
function detached(text: string): string {
  return ` ${text}`.slice(1);
}
