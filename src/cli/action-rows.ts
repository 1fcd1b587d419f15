import { formatUtc } from '../base/words/time.ts';
import type { Action } from '../defender/classify.ts';
import { BOM, csvText } from '../files/report/csv.ts';
import { formatTable } from './table.ts';

export type RowFormat = 'jsonl' | 'csv';

/** A machine action as `select` writes it and `submit` takes it. */
export function toRow({ id, requestor, summary }: Action) {
  return {
    machineActionId: id,
    type: summary.type,
    status: summary.status,
    machineId: summary.machineId,
    computerDnsName: summary.computerDnsName,
    requestor,
    createdAt: summary.createdAt,
  };
}

const COLUMNS: (keyof ReturnType<typeof toRow>)[] = [
  'machineActionId',
  'type',
  'status',
  'machineId',
  'computerDnsName',
  'requestor',
  'createdAt',
];

/** Rows made into text at once. */
const PART = 500;

/** The lines of a file, a part at a time. @param hasBom CSV: whether it begins with a byte-order mark. */
export function* actionLines(
  actions: readonly Action[],
  format: RowFormat,
  hasBom: boolean,
): Generator<string> {
  if (format === 'csv') yield `${hasBom ? BOM : ''}${csvText([COLUMNS])}`;
  for (let at = 0; at < actions.length; at += PART) {
    const rows = actions.slice(at, at + PART).map(toRow);
    yield format === 'csv'
      ? csvText(rows.map((row) => COLUMNS.map((column) => row[column])))
      : rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  }
}

/** The same for a person. @param width of the terminal. */
export function actionTable(actions: readonly Action[], width: number): string {
  const columns = ['machine action', 'type', 'status', 'device', 'created'].map((title) => ({ title }));
  const rows = actions
    .map(toRow)
    .map((row) => [
      row.machineActionId,
      row.type ?? '',
      row.status ?? '',
      row.computerDnsName ?? '',
      row.createdAt === null ? '' : formatUtc(row.createdAt),
    ]);
  return formatTable(columns, rows, width);
}

/** The same for ids of which less is known. */
export function rowLines(
  rows: readonly Record<string, string | null>[],
  columns: string[],
  format: RowFormat,
): string {
  if (format === 'jsonl') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return csvText([columns, ...rows.map((row) => columns.map((column) => row[column] ?? null))]);
}
