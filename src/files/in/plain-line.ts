import { parseGuid } from '../../base/guid.ts';
import { type IdLine, idLine, problemLine } from './id-line.ts';
import type { Line } from './lines.ts';

/** What stands between ids on one line: as people and programs write lists. */
const BETWEEN = /[,;\s]+/;

/** The ids on a line of a plain list; none on a blank line or one that begins with `#`. Ids and anything else are a problem. */
export function readPlainLine({ number, text, flaw }: Line): IdLine[] {
  const trimmed = text.trim();
  if (trimmed.startsWith('#')) return [];
  if (flaw !== undefined) return [problemLine(number, flaw, text)];
  if (trimmed === '') return [];
  const ids = idsOf(trimmed);
  if (ids !== null) return ids.map((id) => idLine(number, id, text));
  const isMixed = trimmed.split(BETWEEN).some((part) => parseGuid(part) !== null);
  return [
    isMixed ? problemLine(number, 'contains something other than ids', text) : idLine(number, text, text),
  ];
}

/** The ids in a text that holds nothing else but what separates them; null: it holds something else, or nothing. */
export function idsOf(text: string): string[] | null {
  const parts = text.split(BETWEEN).filter((part) => part !== '');
  const isList = parts.length > 0 && parts.every((part) => parseGuid(part) !== null);
  return isList ? parts : null;
}
