import { OUTCOMES_OR_OPEN } from '../files/report/tally.ts';
import type { Indexed } from './campaign-index.ts';
import type { Row } from './row.ts';

/** What somebody wants to see of a campaign's requests. */
export interface Wanted {
  /** Words, each of which has to be somewhere in a row. */
  search: string;
  outcome: string;
  type: string;
  /** Null: in the order of the list. */
  sort: SortColumn | null;
  descending: boolean;
  /** From 1. */
  page: number;
  size: number;
}

export interface Found {
  rows: readonly Row[];
  /** All that match. */
  total: number;
  /** All there are. */
  all: number;
  page: number;
  pages: number;
}

/** What a table can be sorted by. */
export const SORT_COLUMNS = {
  outcome: (row: Row) => OUTCOMES_OR_OPEN.indexOf(row.outcome),
  id: (row: Row) => row.id,
  device: (row: Row) => row.device.toLowerCase(),
  type: (row: Row) => row.type,
  status: (row: Row) => row.status,
  decided: (row: Row) => row.decidedAt,
  attempts: (row: Row) => row.attempts,
  http: (row: Row) => row.httpStatus,
  error: (row: Row) => row.error,
} as const;

export type SortColumn = keyof typeof SORT_COLUMNS;

/** Characters of a search. Each row is looked through for each of its words. */
const MOST_SEARCH = 200;

export const SIZES = [50, 100, 500] as const;

export function readWanted(query: Readonly<Record<string, string>>): Wanted {
  const sort = query['sort'] ?? '';
  return {
    search: (query['q'] ?? '').trim().slice(0, MOST_SEARCH),
    outcome: query['outcome'] ?? '',
    type: query['type'] ?? '',
    sort: Object.hasOwn(SORT_COLUMNS, sort) ? (sort as SortColumn) : null,
    descending: query['dir'] === 'desc',
    page: readPage(query['page']),
    size: SIZES.find((known) => String(known) === query['size']) ?? SIZES[0],
  };
}

/** From 1; 1 for what is no page number. */
export function readPage(text = ''): number {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 1;
}

/** The same as a query, with some of it changed. What says nothing is left out. */
export function toQuery(wanted: Wanted, change: Partial<Wanted>): string {
  const { search, outcome, type, sort, descending, page, size } = { ...wanted, ...change };
  const given: Record<string, string> = {
    q: search,
    outcome,
    type,
    sort: sort ?? '',
    dir: sort !== null && descending ? 'desc' : '',
    page: page > 1 ? String(page) : '',
    size: size === SIZES[0] ? '' : String(size),
  };
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ''));
  return `?${query}`;
}

/** Whether the list itself answers it, page by page, without all rows being known. */
export function isPlain({ search, outcome, type, sort }: Wanted): boolean {
  return search === '' && outcome === '' && type === '' && sort === null;
}

/** So many searches are kept: who turns pages of one must not be disturbed by another. */
const MOST_KEPT = 4;

/** A page of the rows that match, sorted. */
export function createFinder() {
  const kept = new Map<string, readonly Row[]>();
  const keyOf = ({ version }: Indexed, wanted: Wanted) =>
    JSON.stringify([version, { ...wanted, page: 0, size: 0 }]);
  return {
    /** Null: it has to be searched for. Turning pages, and looking again while nothing happens, is for nothing. */
    found: (indexed: Indexed, wanted: Wanted): Found | null => {
      const rows = kept.get(keyOf(indexed, wanted));
      return rows ? { ...pageOf(rows, wanted), all: indexed.rows.length } : null;
    },
    search: (indexed: Indexed, wanted: Wanted): Found => {
      const rows = sortRows(indexed.rows.filter(matcher(wanted)), wanted);
      for (const [key] of kept) if (kept.size >= MOST_KEPT) kept.delete(key);
      kept.set(keyOf(indexed, wanted), rows);
      return { ...pageOf(rows, wanted), all: indexed.rows.length };
    },
  };
}

type Turned = Pick<Wanted, 'page' | 'size'>;

/** Which page of so many rows that is, and where it begins. The last one where there are not so many. */
export function placeOf(total: number, { page: asked, size }: Turned) {
  const pages = Math.max(1, Math.ceil(total / size));
  const page = Math.min(asked, pages);
  return { page, pages, start: (page - 1) * size };
}

function pageOf(rows: readonly Row[], turned: Turned): Omit<Found, 'all'> {
  const { page, pages, start } = placeOf(rows.length, turned);
  return { rows: rows.slice(start, start + turned.size), total: rows.length, page, pages };
}

function matcher({ search, outcome, type }: Wanted): (row: Row) => boolean {
  const words = [...new Set(search.toLowerCase().split(/\s+/).filter(Boolean))];
  return (row) => {
    if (outcome !== '' && row.outcome !== outcome) return false;
    if (type !== '' && row.type !== type) return false;
    return words.every((word) => holds(row, word));
  };
}

function holds(row: Row, word: string): boolean {
  return (
    row.id.includes(word) ||
    row.device.toLowerCase().includes(word) ||
    row.error.toLowerCase().includes(word) ||
    row.type.toLowerCase().includes(word) ||
    row.status.toLowerCase().includes(word) ||
    row.elsewhere.toLowerCase().includes(word)
  );
}

/** What says nothing comes last, whichever way; what is alike stays in the order of the list. */
function sortRows(rows: Row[], { sort, descending }: Wanted): Row[] {
  if (sort === null) return rows;
  const keyOf = SORT_COLUMNS[sort];
  const sign = descending ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: keyOf(row) }));
  keyed.sort(({ key: a }, { key: b }) => {
    if (a === b) return 0;
    if (a === '' || b === '') return a === '' ? 1 : -1;
    return a < b ? -sign : sign;
  });
  return keyed.map(({ row }) => row);
}
