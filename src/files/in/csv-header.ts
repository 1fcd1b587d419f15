import { StanddownError } from '../../base/errors.ts';
import { excerpt } from '../../base/foreign.ts';
import { either } from '../../base/words/list.ts';
import { countQuotes, SEPARATORS, type Separator, splitRecords } from './csv-cells.ts';
import { cleanName, findIdName, ID_NAMES } from './id-column.ts';
import { type Line, MAX_LINE, TOO_LONG } from './lines.ts';

export interface CsvHeader {
  separator: Separator;
  /** How many columns a record must have. */
  columns: number;
  /** Index of the column that holds the id. */
  idIndex: number;
  /** The column's name as the file writes it, bounded and printable. */
  idName: string;
}

interface HeaderCollector {
  /** The header, once its last line came: there is more than one where a name in quotes has a line break in it. */
  take(line: Line): CsvHeader | undefined;
  /** @throws StanddownError `INPUT_INVALID`: the header is not complete, and never will be. */
  refuse(): never;
}

/** @throws StanddownError `INPUT_INVALID` from `take`, as {@link readHeader}, and when no quote closes within 64 Ki. */
export function createHeaderCollector(wanted?: string): HeaderCollector {
  const texts: string[] = [];
  let size = 0;
  let quotes = 0;
  const refuse = (): never => {
    throw new StanddownError(
      'INPUT_INVALID',
      'a quote in the header line is never closed; close it or remove it',
    );
  };
  return {
    take(line) {
      texts.push(line.text);
      size += line.text.length + 1;
      quotes += countQuotes(line.text);
      if (line.flaw === TOO_LONG) return refuse();
      if (quotes % 2 === 0) return readHeader(texts.join('\n'), wanted);
      return size > MAX_LINE ? refuse() : undefined;
    },
    refuse,
  };
}

/**
 * Finds the separator and the id column: the separator that brings out such a column, or most columns.
 *
 * @throws StanddownError `INPUT_INVALID` when there is no such column, two of one name, or the quotes are broken.
 */
function readHeader(record: string, wanted: string | undefined): CsvHeader {
  const readings = SEPARATORS.map((separator) => reading(record, separator, wanted)).filter(
    (one) => one !== undefined,
  );
  const best = readings.toSorted(
    (a, b) => Number(b.found !== 'none') - Number(a.found !== 'none') || b.width - a.width,
  )[0];
  if (best === undefined)
    throw new StanddownError(
      'INPUT_INVALID',
      'the header line has misplaced quotes; remove them or quote whole column names',
    );
  const { separator, width, names, found } = best;
  if (found === 'twice') throw refused('the header has the id column twice; rename one of them', names, null);
  if (found === 'none' && wanted !== undefined)
    throw refused(`the header has no column ${excerpt(wanted, 40)}`, names, [wanted]);
  if (found === 'none') throw refused(`the header has no id column (${either(ID_NAMES)})`, names);
  return { separator, columns: width, idIndex: found, idName: excerpt((names[found] ?? '').trim(), 40) };
}

interface Reading {
  separator: Separator;
  names: string[];
  width: number;
  found: number | 'none' | 'twice';
}

function reading(record: string, separator: Separator, wanted: string | undefined): Reading | undefined {
  const names = splitRecords([record], separator)[0];
  if (names === undefined) return undefined;
  return { separator, names, width: names.length, found: findIdName(names.map(cleanName), wanted) };
}

function refused(
  what: string,
  names: readonly string[],
  expected: readonly string[] | null = ID_NAMES,
): StanddownError {
  const shown = names.slice(0, 20).map((name) => excerpt(name.trim(), 40) || '(unnamed)');
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return new StanddownError('INPUT_INVALID', `${what}; its columns are ${shown.join(', ')}${more}`, {
    context: expected === null ? {} : { columns: shown, expected: [...expected] },
  });
}
