import { StanddownError } from '../../base/errors.ts';
import { parseGuid } from '../../base/guid.ts';
import type { Separator } from './csv-cells.ts';
import { cleanName, ID_NAMES, idNameRank } from './id-column.ts';
import type { IdLine } from './id-line.ts';
import type { Line } from './lines.ts';
import { idsOf } from './plain-line.ts';

export type Format = 'plain' | 'csv' | 'jsonl';

/** Besides, one JSON document over the whole file, which is told by its first bytes: see `json-document.ts`. */
export type AnyFormat = Format | 'json';

/** Makes ids and problems of the lines of one file, the first of which is the one that told the format. */
export interface FormatReader {
  read(lines: readonly Line[]): IdLine[];
  /** What was waiting for more lines. */
  end(): IdLine[];
  /** CSV only, once its header was read. */
  details(): { separator?: Separator; column?: string };
}

const SEPARATOR = /[,;\t]/;

/**
 * What may stand before the first line that counts: blank lines, comments (Windows PowerShell's Export-Csv begins with
 * `#TYPE …`), and Excel's `sep=;`, whose word the header makes superfluous.
 */
export function isPreamble(line: Line): boolean {
  const text = line.text.trim();
  // The beginning of a line that is too long may be blank, its end not.
  if (text === '') return line.flaw === undefined;
  return text.startsWith('#') || /^"?sep=.?"?$/i.test(text);
}

/**
 * The format, from the first line that counts.
 *
 * A single word that is neither a GUID nor a column's name makes a plain list whose first line is a problem: a typing
 * error there must not turn the whole list into something else.
 *
 * @throws StanddownError `INPUT_INVALID` for a CSV without a header and for a JSON document.
 */
export function detectFormat(text: string, idColumn?: string): Format {
  const line = text.trim();
  if (parseGuid(line) !== null || idsOf(line) !== null) return 'plain';
  refuseJsonDocument(line);
  const cells = line.split(SEPARATOR);
  // `{guid},host` begins with a brace as well.
  if (line.startsWith('{') && !isGuid(cells[0] ?? '')) return 'jsonl';
  if (cells.some(isGuid)) {
    const names = cells.slice(0, 10).map((cell, at) => (isGuid(cell) ? ID_NAMES[0] : `column${at + 1}`));
    const header = names.filter((name, at) => name !== ID_NAMES[0] || names.indexOf(name) === at);
    throw new StanddownError(
      'INPUT_INVALID',
      `several columns, but no header line; insert one as the first line, such as ${header.join(SEPARATOR.exec(line)?.[0] ?? ',')}`,
    );
  }
  return cells.length > 1 || namesIdColumn(line, idColumn) || OPEN_QUOTE.test(line) ? 'csv' : 'plain';
}

/** A header whose first name has a line break in it. */
const OPEN_QUOTE = /^"[^"]*$/;

/** Whether a line is a CSV header, as far as can be said without parsing it. */
export function namesIdColumn(line: string, idColumn?: string): boolean {
  return line.split(SEPARATOR).some((cell) => idNameRank(cleanName(cell), idColumn) !== -1);
}

/**
 * A JSON document is read in one piece only where the file begins with it: this one comes after other lines.
 *
 * @throws StanddownError `INPUT_INVALID` for an array, an object over several lines, and an answer of the API.
 */
export function refuseJsonDocument(line: string): void {
  const start = line.trimStart();
  if (start.startsWith('[')) throw misplacedDocument('a JSON array');
  if (/^\{\s*$/.test(start)) throw misplacedDocument('a JSON object over several lines');
  if (API_ANSWER.test(start)) throw misplacedDocument('an answer of the API');
}

/** `{"@odata.context":"…","value":[…` */
const API_ANSWER = /^\{(?:\s*"@odata[^"]*"\s*:\s*(?:"[^"]*"|\d+)\s*,)*\s*"value"\s*:\s*\[/;

/** At the beginning of a file it would be read. */
function misplacedDocument(what: string): StanddownError {
  return new StanddownError('INPUT_INVALID', `${what} must begin the file; remove the lines before it`);
}

function isGuid(cell: string): boolean {
  return parseGuid(cell.trim()) !== null;
}
