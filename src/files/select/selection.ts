import { parseGuid } from '../../base/guid.ts';
import type { Action } from '../../defender/classify.ts';
import type { Reader } from '../../defender/reader.ts';
import { matches, toFilter, withoutEnded } from './filter.ts';
import type { Where } from './where.ts';

export type Order = 'newest' | 'oldest';

export interface SelectionOptions {
  /** Of the actions in one status, by creation. Default `oldest`. */
  order?: Order;
  /** The first so many only. Default: all. */
  limit?: number;
  /** Told how many there are, after each page. */
  onProgress?: (selected: number) => void;
}

export interface Selection {
  /** In order: those that wait before those that run before others. */
  actions: Action[];
  /** How many there are beyond the limit. */
  left: number;
  /** How many the server listed that are not meant: they were left out. */
  strangers: number;
}

/** What waits has not begun to do harm: it is stopped first. */
const FIRST = ['Pending', 'InProgress'];

/**
 * The machine actions that are meant: those that have not ended, unless a status is named.
 *
 * @throws StanddownError NOT_PERMITTED, UPSTREAM_FAILED; the signal's reason.
 */
export async function selectActions(
  reader: Reader,
  wanted: Where,
  { order = 'oldest', limit = Number.POSITIVE_INFINITY, onProgress }: SelectionOptions = {},
): Promise<Selection> {
  const where = withoutEnded(wanted);
  const actions: Action[] = [];
  let strangers = 0;
  for await (const page of reader.byFilter(toFilter(where))) {
    for (const action of page) {
      if (parseGuid(action.id) === action.id && matches(where, action)) actions.push(action);
      else strangers++;
    }
    onProgress?.(actions.length);
  }
  actions.sort(comparer(order));
  const left = Math.max(0, actions.length - limit);
  return { actions: left > 0 ? actions.slice(0, limit) : actions, left, strangers };
}

function comparer(order: Order): (a: Action, b: Action) => number {
  const direction = order === 'oldest' ? 1 : -1;
  return (a, b) =>
    rank(a) - rank(b) ||
    direction * compare(a.summary.createdAt ?? '', b.summary.createdAt ?? '') ||
    compare(a.id, b.id);
}

function rank({ summary }: Action): number {
  const place = FIRST.indexOf(summary.status ?? '');
  return place === -1 ? FIRST.length : place;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
