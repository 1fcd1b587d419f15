import { withCode } from '../../base/words/code.ts';
import type { ReportLine } from '../../store/campaign/report.ts';
import { describeNotes } from '../words/campaign.ts';

/** How the reader in the browser shows and sorts a column. */
type ColumnKind = 'text' | 'outcome' | 'number' | 'time' | 'id';

export interface RowColumn {
  title: string;
  kind: ColumnKind;
  /** Null or an empty text: nothing to say. */
  value(line: ReportLine, campaign: string): string | number | null;
  /** Whether few different values come again and again: then each is written once for many rows. */
  repeats?: boolean;
  /** Whether it is left out when it says the same in every row. */
  onlyIfVaried?: boolean;
}

/** The columns of a page's table. One that has nothing to say in any row is not shown. */
export const ROW_COLUMNS: readonly RowColumn[] = [
  { title: 'Outcome', kind: 'outcome', repeats: true, value: (line) => line.outcome ?? 'open' },
  { title: 'Machine action', kind: 'id', value: (line) => line.machineActionId },
  { title: 'Device', kind: 'text', value: ({ action }) => action?.computerDnsName ?? null },
  { title: 'Error', kind: 'text', repeats: true, value: errorOf },
  { title: 'Type', kind: 'text', repeats: true, value: ({ action }) => action?.type ?? null },
  { title: 'Action status', kind: 'text', repeats: true, value: ({ action }) => action?.status ?? null },
  { title: 'Notes', kind: 'text', repeats: true, value: notesOn },
  { title: 'Finished (UTC)', kind: 'time', value: (line) => toMs(line.decidedAt) },
  { title: 'Verified (UTC)', kind: 'time', value: (line) => toMs(line.verifiedAt) },
  { title: 'HTTP', kind: 'number', value: (line) => line.httpStatus ?? null },
  { title: 'Attempts', kind: 'number', value: (line) => line.attempts },
  { title: 'Owned by', kind: 'text', repeats: true, onlyIfVaried: true, value: (line) => line.campaign },
  {
    title: 'Requested by',
    kind: 'text',
    repeats: true,
    onlyIfVaried: true,
    value: (line) => line.requestedBy ?? null,
  },
  { title: 'Machine id', kind: 'id', value: ({ action }) => action?.machineId ?? null },
  { title: 'Correlation id', kind: 'id', value: (line) => line.correlationId ?? null },
];

/** Rows as they are embedded: repeated texts once, and in the rows their place among them. */
export interface RowChunk {
  texts: string[];
  rows: (string | number | null)[][];
}

/** @param campaign whose report it is. */
export function toChunk(lines: readonly ReportLine[], campaign: string): RowChunk {
  const texts: string[] = [];
  const places = new Map<string, number>();
  const placeOf = (text: string) => {
    const known = places.get(text) ?? texts.push(text) - 1;
    places.set(text, known);
    return known;
  };
  const rows = lines.map((line) =>
    ROW_COLUMNS.map(({ value, repeats }) => {
      const cell = value(line, campaign);
      return repeats && typeof cell === 'string' ? placeOf(cell) : cell;
    }),
  );
  return { texts, rows };
}

function notesOn({ uncertain, campaign: owner }: ReportLine, campaign: string): string | null {
  return describeNotes({ uncertain, owner: owner === campaign ? null : owner }) || null;
}

function errorOf({ errorCode, errorMessage }: ReportLine): string | null {
  return withCode(errorCode, errorMessage) || null;
}

function toMs(iso: string | null | undefined): number | null {
  return iso ? Date.parse(iso) : null;
}
