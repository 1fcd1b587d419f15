import { StanddownError } from '../base/errors.ts';
import type { Action } from './classify.ts';
import { filterOfIds, IDS_PER_LIST, type Listing, listQuery } from './client.ts';
import { TOO_LARGE } from './exchange.ts';
import { createLister, type ListerDeps } from './lister.ts';

export type { ReadWait } from './lister.ts';

export interface ReaderDeps extends ListerDeps {
  /** Actions asked for at once. Default and most: 10,000. */
  pageSize?: number;
}

/** Reads machine actions, as many as there are, within the list's own budget. */
export interface Reader {
  /**
   * The actions that a `$filter` lets through, a page at a time, each action once. The filter is the server's to apply:
   * what comes is to be checked again.
   *
   * @throws StanddownError NOT_PERMITTED, UPSTREAM_FAILED; the signal's reason.
   */
  byFilter(filter: string): AsyncGenerator<Action[], void, void>;
  /**
   * The actions among these ids (lower-case GUIDs), 100 a call; those that do not exist are not there.
   *
   * @throws as byFilter
   */
  byIds(ids: readonly string[]): Promise<Action[]>;
}

/** However it is escaped. */
function plain(query: string): string {
  return String(new URLSearchParams(query));
}

function filterIn(query: string): string | null {
  return new URLSearchParams(query).get('$filter');
}

/** The most that `$top` may ask for. */
const MOST_PER_PAGE = 10_000;

/** More pages, and pages in a row that bring nothing new, are not the list's but a circle's. */
const MOST_PAGES = 1_000;
const MOST_IDLE_PAGES = 10;

/**
 * A list of several pages is read up to so many times. An action that leaves it between two pages (it ends, and the
 * filter is for pending ones) moves those behind it up, and one of them to a page that was read already.
 */
const MOST_READINGS = 3;

export function createReader(deps: ReaderDeps): Reader {
  const pageSize = Math.min(deps.pageSize ?? MOST_PER_PAGE, MOST_PER_PAGE);
  const list = createLister(deps);
  const { client } = deps;

  /**
   * Follows next links, and goes on by itself where `$top` is what ended the page, or where the link leads astray: to another address,
   * which would see the token; past the filter, to all actions there are; or back.
   */
  async function* pagesOf(filter: string, most: number): AsyncGenerator<Action[], void, void> {
    const asked = new Set<string>();
    const seen = new Set<string>();
    let page = { query: listQuery(filter, most), top: most, received: 0 };
    let received = 0;
    const onMyOwn = (top: number) => {
      page = { query: listQuery(filter, top, received), top, received: 0 };
    };
    for (let idle = 0; asked.size < MOST_PAGES && idle < MOST_IDLE_PAGES && !asked.has(plain(page.query)); ) {
      asked.add(plain(page.query));
      const listing = await listUnlessTooLarge(page);
      if (listing === null) {
        onMyOwn(Math.ceil(page.top / 10));
        continue;
      }
      received += listing.received;
      page.received += listing.received;
      const known = seen.size;
      for (const { id } of listing.actions) seen.add(id);
      idle = seen.size === known ? idle + 1 : 0;
      yield listing.actions;
      const next = listing.nextLink === null ? null : client.queryOf(listing.nextLink);
      if (next !== null && filterIn(next) === filter && !asked.has(plain(next))) page.query = next;
      else if (listing.nextLink === null && page.received < page.top) return;
      else if (listing.received > 0) onMyOwn(page.top);
      else break;
    }
    throw new StanddownError('UPSTREAM_FAILED', 'the list of machine actions has no end', {
      context: { pages: asked.size, received },
    });
  }

  /** Null: too long an answer, and fewer can be asked for. Scripts and their output may be part of an action. */
  async function listUnlessTooLarge({ query, top }: { query: string; top: number }): Promise<Listing | null> {
    try {
      return await list(query);
    } catch (error) {
      if (error instanceof StanddownError && error.context['errorCode'] === TOO_LARGE && top > 1) return null;
      throw error;
    }
  }

  return {
    byFilter: async function* (filter) {
      const seen = new Set<string>();
      for (let reading = 1; reading <= MOST_READINGS; reading++) {
        const known = seen.size;
        let pages = 0;
        for await (const actions of pagesOf(filter, pageSize)) {
          pages++;
          const fresh = actions.filter(({ id }) => !seen.has(id) && seen.add(id));
          if (fresh.length > 0) yield fresh;
        }
        if (pages === 1 || (reading > 1 && seen.size === known)) return;
      }
    },
    byIds: async (ids) => {
      const wanted = [...new Set(ids)];
      const found = new Map<string, Action>();
      for (let at = 0; at < wanted.length; at += IDS_PER_LIST) {
        const some = new Set(wanted.slice(at, at + IDS_PER_LIST));
        let left = some.size;
        for await (const actions of pagesOf(filterOfIds([...some]), some.size)) {
          // Only what was asked for: a list may ignore its filter.
          for (const action of actions) if (some.has(action.id)) found.set(action.id, action);
          left -= actions.length;
          if (left <= 0) break;
        }
      }
      return [...found.values()];
    },
  };
}
