import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { systemClock } from '../base/clock.ts';
import type { View } from './view.ts';

/** Without a word for so long, a proxy may end the connection. */
const WORD_MS = 15_000;

/** The more there is to do, the rarer the looks: each is followed by a pause of so many times what it took, but not more than this, in ms. */
const REST = 4;
const MOST_REST_MS = 10_000;

export interface LiveDeps {
  look(): Promise<View>;
  /** Whether whoever looks still may. */
  mayLook(): boolean;
  /** Why a look failed, for a person. */
  describe(error: unknown): string;
  /** Aborted when the console stops. */
  stop: AbortSignal;
}

/** Whether this asks for a page's changes rather than for the page: the address is the same. */
export function asksForChanges(request: FastifyRequest): boolean {
  return request.headers.accept === 'text/event-stream';
}

/**
 * Sends what changes on a page as server-sent events, until whoever looks is gone: the regions that are not as they were,
 * and the data. The first event brings all of them, for the page may be older than the connection. After a trouble the next
 * look that succeeds is told of even where nothing has changed: until then the page says that it is as it was.
 */
export async function sendChanges(reply: FastifyReply, deps: LiveDeps) {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, deps.stop]);
  const send = (event: string, data: unknown) =>
    raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  /** Digests: the parts themselves may be large, and many look. */
  const sent = new Map<string, string>();
  let spokenAt = performance.now();
  let everyMs = 2_000;
  let inTrouble = false;
  while (!signal.aborted) {
    if (!deps.mayLook()) {
      send('leave', null);
      break;
    }
    if (raw.writableNeedDrain) {
      // Whoever does not take what was sent gets no more of it.
      await systemClock.sleep(everyMs, signal).catch(() => undefined);
      continue;
    }
    let restMs = 0;
    try {
      const startedAt = performance.now();
      const view = await deps.look();
      everyMs = view.everyMs ?? everyMs;
      restMs = Math.min(REST * (performance.now() - startedAt), MOST_REST_MS);
      const changes = changesOf(view, sent);
      if (signal.aborted) break;
      if (changes || inTrouble || performance.now() - spokenAt > WORD_MS) {
        send('change', changes ?? {});
        inTrouble = false;
        spokenAt = performance.now();
      }
    } catch (error) {
      send('trouble', deps.describe(error));
      inTrouble = true;
      spokenAt = performance.now();
    }
    await systemClock.sleep(Math.max(everyMs, restMs), signal).catch(() => undefined);
  }
  raw.end();
}

/** The page's own script keeps these up to date: a second that has passed is no change. */
function withoutCountdowns(text: string): string {
  return text.replace(/(<span class="left"[^>]*>)[^<]*/g, '$1');
}

function changesOf({ regions = {}, data }: View, sent: Map<string, string>) {
  const changed = Object.entries({ ...regions }).flatMap(([id, part]) => {
    const text = String(part);
    const essence = createHash('sha256').update(withoutCountdowns(text)).digest('base64');
    if (sent.get(id) === essence) return [];
    sent.set(id, essence);
    return [[id, text] as const];
  });
  if (changed.length === 0 && data === undefined) return null;
  return { regions: Object.fromEntries(changed), ...(data !== undefined && { data }) };
}
