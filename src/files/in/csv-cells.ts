import { parse } from 'csv-parse/sync';

export type Separator = ',' | ';' | '\t';

export const SEPARATORS: readonly Separator[] = [',', ';', '\t'];

/** The cells of every record, or undefined where its quoting is broken. */
export function splitRecords(records: readonly string[], separator: Separator): (string[] | undefined)[] {
  const cells = records.map((record) => splitSimple(record, separator));
  const isQuoted = (record: string, at: number): boolean =>
    cells[at] === undefined && isWellFormed(record, separator);
  const quoted = records.map(isQuoted);
  if (!quoted.includes(true)) return cells;
  const parsed = parseQuoted(
    records.filter((_, at) => quoted[at]),
    separator,
  ).values();
  return cells.map((simple, at) => (quoted[at] ? parsed.next().value : simple));
}

export function countQuotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) count++;
  return count;
}

/**
 * Whether a record follows RFC 4180, spaces around quotes allowed. csv-parse would judge as well, but an error of its
 * costs 30 µs and the whole batch. Each character fits one branch only, so this stays linear.
 */
export function isWellFormed(record: string, separator: Separator): boolean {
  return WELL_FORMED[separator].test(record);
}

const WELL_FORMED: Record<Separator, RegExp> = {
  ',': wellFormed(','),
  ';': wellFormed(';'),
  '\t': wellFormed('\t'),
};

function wellFormed(separator: Separator): RegExp {
  const cell = `(?: *"[^"]*(?:""[^"]*)*" *|[^"${separator}\n]*)`;
  return new RegExp(`^${cell}(?:${separator}${cell})*$`);
}

/**
 * The two shapes that need no parser, which are nearly all there are: no quotes at all, and what Export-Csv writes, each
 * cell quoted with no quote inside. Where every quote is a cell's first or last, `","` can only be a border.
 */
function splitSimple(record: string, separator: Separator): string[] | undefined {
  if (!record.includes('"')) return record.split(separator);
  const cells = record.slice(1, -1).split(`"${separator}"`);
  const exact = record.startsWith('"') && record.endsWith('"') && countQuotes(record) === 2 * cells.length;
  return exact ? cells : undefined;
}

/** A call of csv-parse costs about 15 µs, so many records go in at once; well-formed, none runs into the next. */
function parseQuoted(records: readonly string[], separator: Separator): string[][] {
  return parse(records.join('\n'), {
    delimiter: separator,
    record_delimiter: '\n',
    relax_column_count: true,
    trim: true,
    max_record_size: 0,
  });
}
