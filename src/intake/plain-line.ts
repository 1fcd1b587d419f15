import { type IdLine, idLine, problemLine } from './id-line.ts';
import type { Line } from './lines.ts';

/** The id on a line of a plain list; nothing for a blank line or one that begins with `#`. */
export function readPlainLine({ number, text, flaw }: Line): IdLine | undefined {
  const trimmed = text.trim();
  if (trimmed.startsWith('#')) return undefined;
  if (flaw !== undefined) return problemLine(number, flaw, text);
  return trimmed === '' ? undefined : idLine(number, text, text);
}
