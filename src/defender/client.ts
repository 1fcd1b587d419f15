import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { z } from 'zod';
import type { Secret } from '../base/secret.ts';
import { proxyUrl } from '../config/proxy.ts';
import { type Action, parseJson, readAction } from './classify.ts';
import { type Exchange, exchange, type HttpAnswer, type NoAnswer, type Send } from './exchange.ts';

/** How many ids one list call asks for. The longest URL the API takes is not documented; this is about 4 kB. */
export const IDS_PER_LIST = 100;

export type CallOptions = Pick<Exchange, 'timeoutMs' | 'signal' | 'maySend'> & { accessToken: string };

/** The calls of the API that Standdown makes. Ids are lower-case GUIDs. None of them is ever repeated here. */
export interface DefenderClient {
  /** Where machine actions are: host and path, without credentials. */
  address: string;
  cancel(id: string, comment: string, options: CallOptions): Promise<HttpAnswer | NoAnswer>;
  get(id: string, options: CallOptions): Promise<HttpAnswer | NoAnswer>;
  /** The actions among these ids, at most IDS_PER_LIST. */
  list(ids: readonly string[], options: CallOptions): Promise<HttpAnswer | NoAnswer>;
  /** A page of the list, by the query of its address with the question mark. */
  page(query: string, options: CallOptions): Promise<HttpAnswer | NoAnswer>;
  /** The query of a page's next link; null where it leads anywhere but to the list: nothing is sent there. */
  queryOf(link: string): string | null;
}

/**
 * @param deps.apiUrl base of the API, without a slash at the end.
 * @param deps.send default: `exchange`.
 */
export function createClient(deps: {
  apiUrl: string;
  dispatcher: Dispatcher;
  send?: Send | undefined;
}): DefenderClient {
  const { send = exchange } = deps;
  const { origin, pathname } = new URL(deps.apiUrl);
  const base = `${pathname === '/' ? '' : pathname}/api/machineactions`;

  const call = (method: 'GET' | 'POST', path: string, kind: string, options: CallOptions, body?: string) => {
    const { accessToken, ...rest } = options;
    const headers = {
      authorization: `Bearer ${accessToken}`,
      accept: 'application/json',
      'user-agent': 'standdown',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    return send(deps.dispatcher, {
      ...rest,
      origin,
      path: base + path,
      template: base + kind,
      method,
      headers,
      ...(body !== undefined && { body }),
    });
  };

  const page = (query: string, options: CallOptions) => call('GET', query, '', options);

  return {
    address: origin + base,
    // The body's names are case-sensitive: Comment.
    cancel: (id, comment, options) =>
      call(
        'POST',
        `/${encodeURIComponent(id)}/cancel`,
        '/{id}/cancel',
        options,
        JSON.stringify({ Comment: comment }),
      ),
    get: (id, options) => call('GET', `/${encodeURIComponent(id)}`, '/{id}', options),
    list: (ids, options) => page(listQuery(filterOfIds(ids), ids.length), options),
    page,
    queryOf: (link) => {
      const here = `${origin}${base}`;
      if (!URL.canParse(link, here)) return null;
      const url = new URL(link, here);
      const isList = url.origin === origin && url.pathname.toLowerCase() === base.toLowerCase();
      return isList && url.username === '' && url.password === '' ? url.search : null;
    },
  };
}

/** The `$filter` that lists these. */
export function filterOfIds(ids: readonly string[]): string {
  return `id in (${ids.map((id) => `'${id}'`).join(',')})`;
}

/** @param top at most 10,000. */
export function listQuery(filter: string, top: number, skip = 0): string {
  return `?$filter=${encodeURIComponent(filter)}&$top=${top}${skip > 0 ? `&$skip=${skip}` : ''}`;
}

const pageSchema = z.object({
  value: z.array(z.unknown()),
  '@odata.nextLink': z.string().nullish(),
});

/** A list's answer. */
export interface Listing {
  actions: Action[];
  /** How many objects it holds; what is no action among them is passed over. */
  received: number;
  nextLink: string | null;
}

/** Reads a list's answer; null when it is none. */
export function readListing(answer: HttpAnswer): Listing | null {
  const page = pageSchema.safeParse(parseJson(answer.body));
  if (!page.success) return null;
  const { value, '@odata.nextLink': nextLink } = page.data;
  const actions = value.map(readAction).filter((action) => action !== null);
  return { actions, received: value.length, nextLink: nextLink ?? null };
}

/** The actions in a list's answer; null when it is none. */
export function readPage(answer: HttpAnswer): Action[] | null {
  return readListing(answer)?.actions ?? null;
}

/**
 * The way out: through the proxy where there is one.
 *
 * HTTP/1.1 with one request at a time per connection, because there a request that was aborted before it was written is
 * known not to have left, and undici repeats none by itself.
 *
 * @throws StanddownError CONFIG_INVALID when the proxy cannot be used.
 */
export function createDispatcher(options: {
  connections: number;
  httpsProxy: Secret | null;
  noProxy: string | null;
}): Dispatcher {
  const agent = {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    connect: { timeout: 10_000 },
  };
  if (!options.httpsProxy) return new Agent(agent);
  return new EnvHttpProxyAgent({
    ...agent,
    httpProxy: '',
    httpsProxy: proxyUrl(options.httpsProxy),
    noProxy: options.noProxy ?? '',
  });
}
