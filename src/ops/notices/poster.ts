import { createHmac } from 'node:crypto';
import { Agent, type Dispatcher, request } from 'undici';
import { messageOf } from '../../base/errors.ts';
import { foreign } from '../../base/foreign.ts';
import type { NotifyConfig } from '../../config/notices.ts';
import type { Timings } from '../../config/timings.ts';
import { createGuardedLookup, literalProblem } from './address.ts';

/** `why`: in words, for the log. */
export type Posted = { ok: true } | { ok: false; why: string };

export interface Poster {
  /** Where to, for the log: the address may hold a token. */
  host: string;
  /** Tries once. Redirects are not followed. */
  post(id: string, body: string): Promise<Posted>;
  close(): Promise<void>;
}

export type PosterDeps = Pick<NotifyConfig, 'url' | 'secret' | 'allowPrivate'> & {
  timings: Timings;
  /** Ms since 1970, by this machine: a receiver compares it with its own. */
  wall(): number;
  /** How names are looked up. Default: as the system does. */
  lookup?: Parameters<typeof createGuardedLookup>[1];
};

/** Posts notices, signed. Straight to the receiver, through no proxy: only so can its address be looked at. */
export function createPoster(deps: PosterDeps): Poster {
  const { noticePostMs } = deps.timings;
  const url = new URL(deps.url.reveal());
  const { hostname, host } = url;
  const agent = new Agent({
    connections: 2,
    pipelining: 1,
    allowH2: false,
    connect: { timeout: noticePostMs, lookup: createGuardedLookup(deps.allowPrivate, deps.lookup) },
  });

  return {
    host,
    post: async (id, body) => {
      const problem = literalProblem(hostname, deps.allowPrivate);
      if (problem) return { ok: false, why: problem.message };
      const timestamp = Math.floor(deps.wall() / 1_000);
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'standdown',
        'standdown-notice': id,
        'standdown-timestamp': String(timestamp),
        'standdown-signature': `v1=${sign(deps.secret.reveal(), timestamp, body)}`,
      };
      const options = { dispatcher: agent, method: 'POST', headers, body } as const;
      return request(url, { ...options, signal: AbortSignal.timeout(noticePostMs) }).then(judge, (error) =>
        fail(error, noticePostMs),
      );
    },
    close: () => agent.destroy(),
  };
}

/** The status is all there is to know: the rest of an answer might never end. */
function judge({ statusCode, body }: Dispatcher.ResponseData): Posted {
  body.on('error', () => undefined).destroy();
  const ok = statusCode >= 200 && statusCode < 300;
  return ok ? { ok } : { ok, why: `the receiver answered ${statusCode}` };
}

function fail(error: unknown, timeoutMs: number): Posted {
  if (error instanceof DOMException) return { ok: false, why: `no answer within ${timeoutMs / 1_000} s` };
  const code: unknown = Reflect.get(Object(error), 'code');
  return {
    ok: false,
    why: foreign(`${typeof code === 'string' ? code : 'NETWORK'}: ${messageOf(error)}`, 300),
  };
}

/** HMAC-SHA256 of `<timestamp>.<body>`, in hex. */
function sign(secret: string, timestamp: number, body: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
}
