import { type Predicate, parseFilter } from './filter.ts';
import { FilterError } from './filter-tokens.ts';
import type { MachineAction } from './machine-action.ts';

/** The most that `$top` may ask for, and the most a page may hold. */
export const MAX_PAGE_SIZE = 10_000;

export interface ListQuery {
  filter: string | null;
  predicate: Predicate;
  /** Null: as many as there are. */
  top: number | null;
  skip: number;
}

export interface Page {
  items: MachineAction[];
  /** The query of the next page; null: this was the last. */
  nextQuery: string | null;
}

const KNOWN_OPTIONS: ReadonlySet<string> = new Set(['$filter', '$top', '$skip']);

/** Reads the query of a list call, or says in words what is wrong with it. */
export function parseListQuery(search: string): ListQuery | string {
  const parameters = new URLSearchParams(search);
  for (const name of parameters.keys()) {
    if (name.startsWith('$') && !KNOWN_OPTIONS.has(name)) return `Query option '${name}' is not allowed.`;
    if (parameters.getAll(name).length > 1) return `Query option '${name}' is given more than once.`;
  }
  const top = readCount(parameters.get('$top'), MAX_PAGE_SIZE);
  if (top === 'bad') return `$top must be a whole number and at most ${MAX_PAGE_SIZE}.`;
  const skip = readCount(parameters.get('$skip'), Number.MAX_SAFE_INTEGER);
  if (skip === 'bad') return '$skip must be a whole number.';
  const filter = parameters.get('$filter');
  const predicate = readFilter(filter);
  return typeof predicate === 'string' ? predicate : { filter, predicate, top, skip: skip ?? 0 };
}

/** One page. `$top` bounds the whole answer, `pageSize` only the page: what is cut off by it gets a next link. */
export function readPage(actions: Iterable<MachineAction>, query: ListQuery, pageSize: number): Page {
  const wanted = Math.min(query.top ?? Number.POSITIVE_INFINITY, pageSize);
  const items: MachineAction[] = [];
  let matched = 0;
  for (const action of actions) {
    if (!query.predicate(action)) continue;
    matched += 1;
    if (matched <= query.skip) continue;
    if (items.length === wanted) return { items, nextQuery: nextQuery(query, wanted) };
    items.push(action);
  }
  return { items, nextQuery: null };
}

function nextQuery(query: ListQuery, given: number): string | null {
  const left = query.top === null ? null : query.top - given;
  if (left === 0) return null;
  const parts: string[] = [];
  if (query.filter !== null) parts.push(`$filter=${encodeURIComponent(query.filter)}`);
  if (left !== null) parts.push(`$top=${left}`);
  parts.push(`$skip=${query.skip + given}`);
  return parts.join('&');
}

function readCount(text: string | null, max: number): number | null | 'bad' {
  if (text === null) return null;
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return count <= max ? count : 'bad';
}

function readFilter(filter: string | null): Predicate | string {
  if (filter === null) return () => true;
  try {
    return parseFilter(filter);
  } catch (error) {
    if (error instanceof FilterError) return error.message;
    throw error;
  }
}
