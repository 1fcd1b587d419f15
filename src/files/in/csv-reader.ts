import { plural } from '../../base/words/number.ts';
import { splitRecords } from './csv-cells.ts';
import { type CsvHeader, createHeaderCollector } from './csv-header.ts';
import { createRecordJoiner, type RecordJoiner } from './csv-records.ts';
import type { FormatReader } from './format.ts';
import { type IdLine, idLine, problemLine } from './id-line.ts';
import type { Line } from './lines.ts';

interface Body {
  header: CsvHeader;
  joiner: RecordJoiner;
}

/** @param idColumn name of the column with the ids; default: one of ID_NAMES. */
export function createCsvReader(idColumn?: string): FormatReader {
  const collector = createHeaderCollector(idColumn);
  let body: Body | undefined;

  const readBody = (lines: readonly Line[], { header, joiner }: Body): IdLine[] =>
    readRecords(lines.flatMap(joiner.take), header);

  return {
    read(lines) {
      if (body !== undefined) return readBody(lines, body);
      for (const [at, line] of lines.entries()) {
        const header = collector.take(line);
        if (header === undefined) continue;
        body = { header, joiner: createRecordJoiner(header.separator) };
        return readBody(lines.slice(at + 1), body);
      }
      return [];
    },
    end: () => (body === undefined ? collector.refuse() : readRecords(body.joiner.end(), body.header)),
    details: () => (body === undefined ? {} : detailsOf(body.header)),
  };
}

function detailsOf({ separator, columns, idName }: CsvHeader): ReturnType<FormatReader['details']> {
  return columns === 1 ? { column: idName } : { separator, column: idName };
}

function readRecords(records: readonly Line[], header: CsvHeader): IdLine[] {
  const usable = records.filter((record) => record.flaw === undefined);
  const cells = splitRecords(
    usable.map((record) => record.text),
    header.separator,
  ).values();
  return records
    .map((record) => readRecord(record, record.flaw === undefined ? cells.next().value : undefined, header))
    .filter((result) => result !== undefined);
}

/** Nothing for a record whose cells are all blank: spreadsheets leave such lines at the end. */
function readRecord(record: Line, cells: string[] | undefined, header: CsvHeader): IdLine | undefined {
  const { number, text, flaw } = record;
  if (cells === undefined) return problemLine(number, flaw ?? 'misplaced quotes', text);
  const id = cells[header.idIndex]?.trim() ?? '';
  if (id === '' && cells.every((cell) => cell.trim() === '')) return undefined;
  // Spreadsheets and hands leave cells out at the end, or put empty ones there.
  const isTooLong = cells.slice(header.columns).some((cell) => cell.trim() !== '');
  if (isTooLong || cells.length <= header.idIndex) {
    return problemLine(
      number,
      `${plural(cells.length, 'column')}, but the header has ${header.columns}`,
      text,
    );
  }
  return idLine(number, id, text);
}
