import { excerpt } from '../../base/foreign.ts';
import { parseGuid } from '../../base/guid.ts';

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

function guidProblem(text: string): string {
  if (text.trim() === '') return 'empty id';
  if (/^\s*[0-9a-f]{32}\s*$/i.test(text)) return 'not a GUID: the dashes are missing (8-4-4-4-12)';
  const strange = /[^\t-\r -~]/u.exec(text)?.[0].codePointAt(0);
  // Look-alikes (full-width digits, Cyrillic letters) cannot be seen: name them.
  if (strange !== undefined)
    return `not a GUID: it contains U+${strange.toString(16).toUpperCase().padStart(4, '0')}`;
  return 'not a GUID';
}
