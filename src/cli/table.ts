import Table from 'cli-table3';
import { excerpt } from '../base/foreign.ts';
import { wrap } from './wrap.ts';

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/**
 * Rows of texts under titles, with two spaces between columns and no lines. Texts may come from outside: they are made
 * printable. Where a line would be longer than `width`, each
 * row becomes a few lines of its own, a title and a text each.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): string {
  const shown = rows.map((row) => row.map((text) => excerpt(text, Number.MAX_SAFE_INTEGER)));
  const table = alignColumns(columns, shown);
  const isTooWide = table.split('\n').some((line) => line.length > width);
  return isTooWide ? shown.map((row) => formatRecord(columns, row, width)).join('\n\n') : table;
}

/** One row, what says nothing left out. */
function formatRecord(columns: readonly Column[], row: readonly string[], width: number): string {
  const indent = Math.max(...columns.map(({ title }) => title.length)) + 2;
  return columns
    .map(({ title }, index) => ({ title, text: row[index] ?? '' }))
    .filter(({ text }) => text !== '')
    .map(({ title, text }) => `${title.padEnd(indent)}${wrap(text, width, indent)}`)
    .join('\n');
}

function alignColumns(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: columns.map(({ title }) => title),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: NO_LINES,
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid', 'middle'].flatMap((side) =>
    side === 'mid'
      ? [side, 'left-mid', 'mid-mid', 'right-mid'].map((name) => [name, ''])
      : [side, `${side}-mid`, `${side}-left`, `${side}-right`].map((name) => [name, '']),
  ),
);
