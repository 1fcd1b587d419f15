import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { z } from 'zod';
import type { Secret } from '../secret.ts';
import { type Action, readAction } from './classify.ts';
import { type Exchange, exchange, type HttpAnswer, type NoAnswer } from './exchange.ts';

/** How many ids one list call asks for. The longest URL the API takes is not documented; this is about 4 kB. */
export const IDS_PER_LIST = 100;

export type CallOptions = Pick<Exchange, 'timeoutMs' | 'signal' | 'maySend'> & { accessToken: string };

/** The three calls of the API that Standdown makes. Ids are lower-case GUIDs. None of them is ever repeated here. */
export interface DefenderClient {
  cancel(id: string, comment: string, options: CallOptions): Promise<HttpAnswer | NoAnswer>;
  get(id: string, options: CallOptions): Promise<HttpAnswer | NoAnswer>;
  /** The actions among these ids, at most IDS_PER_LIST. */
  list(ids: readonly string[], options: CallOptions): Promise<HttpAnswer | NoAnswer>;
}

/** @param deps.apiUrl base of the API, without a slash at the end. */
export function createClient(deps: { apiUrl: string; dispatcher: Dispatcher }): DefenderClient {
  const { origin, pathname } = new URL(deps.apiUrl);
  const base = `${pathname === '/' ? '' : pathname}/api/machineactions`;

  const call = (method: 'GET' | 'POST', path: string, options: CallOptions, body?: string) => {
    const { accessToken, ...rest } = options;
    const headers = {
      authorization: `Bearer ${accessToken}`,
      accept: 'application/json',
      'user-agent': 'standdown',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    return exchange(deps.dispatcher, {
      ...rest,
      origin,
      path: base + path,
      method,
      headers,
      ...(body !== undefined && { body }),
    });
  };

  return {
    // The body's names are case-sensitive: Comment.
    cancel: (id, comment, options) =>
      call('POST', `/${encodeURIComponent(id)}/cancel`, options, JSON.stringify({ Comment: comment })),
    get: (id, options) => call('GET', `/${encodeURIComponent(id)}`, options),
    list: (ids, options) => {
      const filter = `id in (${ids.map((id) => `'${id}'`).join(',')})`;
      return call('GET', `?$filter=${encodeURIComponent(filter)}&$top=${ids.length}`, options);
    },
  };
}

const pageSchema = z.object({ value: z.array(z.unknown()) });

/** The actions in a list's answer; null when it is none. What is no action in it is passed over. */
export function readPage(answer: HttpAnswer): Action[] | null {
  try {
    const page = pageSchema.safeParse(JSON.parse(answer.body));
    if (!page.success) return null;
    return page.data.value.map(readAction).filter((action) => action !== null);
  } catch {
    return null;
  }
}

/**
 * The way out: through the proxy where there is one.
 *
 * HTTP/1.1 with one request at a time per connection, because there a request that was aborted before it was written is
 * known not to have left, and undici repeats none by itself.
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
    httpsProxy: options.httpsProxy.reveal(),
    noProxy: options.noProxy ?? '',
  });
}
