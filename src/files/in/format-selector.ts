import { unreachable } from '../../base/errors.ts';
import { createCsvReader } from './csv-reader.ts';
import {
  detectFormat,
  type Format,
  type FormatReader,
  isPreamble,
  namesIdColumn,
  refuseJsonDocument,
} from './format.ts';
import { type IdLine, problemLine } from './id-line.ts';
import { readJsonLine } from './json-line.ts';
import { type Line, NOT_DECODABLE, TOO_LONG } from './lines.ts';
import { readPlainLine } from './plain-line.ts';

interface FormatSelector extends FormatReader {
  /** Undefined until a line has told. */
  format(): Format | undefined;
}

/** Finds the format from the first line that counts and hands all lines from there on to its reader. */
/** @param idColumn name of the column or key with the ids; default: one of ID_NAMES. */
export function createFormatSelector(idColumn?: string): FormatSelector {
  let format: Format | undefined;
  let reader: FormatReader | undefined;

  const select = (lines: readonly Line[]): IdLine[] => {
    const problems: IdLine[] = [];
    for (const [at, line] of lines.entries()) {
      if (isPreamble(line)) continue;
      if (isTelling(line, idColumn)) {
        format = detectFormat(line.text, idColumn);
        reader = createReader(format, idColumn);
        return [...problems, ...reader.read(lines.slice(at))];
      }
      problems.push(problemLine(line.number, line.flaw ?? '', line.text));
    }
    return problems;
  };

  return {
    read: (lines) => (reader === undefined ? select(lines) : reader.read(lines)),
    end: () => reader?.end() ?? [],
    details: () => reader?.details() ?? {},
    format: () => format,
  };
}

function createReader(format: Format, idColumn: string | undefined): FormatReader {
  switch (format) {
    case 'csv':
      return createCsvReader(idColumn);
    case 'jsonl':
      return eachLine((line) => readJsonLine(line, idColumn));
    case 'plain':
      return eachLine(readPlainLine);
    default:
      return unreachable(format);
  }
}

function eachLine(readLine: (line: Line) => IdLine | IdLine[] | undefined): FormatReader {
  return {
    read: (lines) => lines.flatMap((line) => readLine(line) ?? []),
    end: () => [],
    details: () => ({}),
  };
}

/**
 * A flawed line is a problem and says nothing, with two exceptions: a JSON document in one long line is refused, and a
 * header in an old code page (`Gerät`) still names its columns, so that only the lines with such letters are lost.
 */
function isTelling(line: Line, idColumn: string | undefined): boolean {
  if (line.flaw === TOO_LONG) refuseJsonDocument(line.text);
  return line.flaw === undefined || (line.flaw === NOT_DECODABLE && namesIdColumn(line.text, idColumn));
}
