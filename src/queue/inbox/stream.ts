import { messageOf } from '../../base/errors.ts';
import type { Timings } from '../../config/timings.ts';
import type { Keys } from '../../store/keys.ts';
import { isAfter } from '../../store/redis/entry-id.ts';
import { asList, asText, type RedisClient } from '../../store/script.ts';
import type { InboxEntry } from './entry.ts';
import { GROUP } from './scripts.ts';

/**
 * The one consumer of the group, whichever worker reads: what counts is how long an entry has been held. Workers come
 * and go, and a consumer for each of them would stay.
 */
const CONSUMER = 'worker';

/** Entries read at once: a few at first, and twice as many each time while they come in full parts, up to so many. */
const FIRST_PART = 20;
const MOST_PART = 500;

/** About so many bytes of entries are read at once: a field that nobody reads may be as large as its service likes. */
const PART_BYTES = 4 * 1024 * 1024;

/** Of what a dead worker held, so many at once: an entry that is too much for a process shall not be met by all. */
const CLAIMED_PART = 50;

/** Before every entry. */
const FIRST = '0-0';

/**
 * Reads the inbox.
 *
 * @param deps.blocking a connection for nothing else, that bears to be sent commands again.
 */
export function createInboxStream({
  blocking,
  keys,
  timings,
}: {
  blocking: RedisClient;
  keys: Keys;
  timings: Timings;
}) {
  /** The last entry that was taken in or left for later, in the group or past it. */
  let seen = FIRST;

  /** Entries to be read next. */
  let count = FIRST_PART;

  function sized(entries: InboxEntry[], asked: number): InboxEntry[] {
    const bytes = entries.flatMap(({ fields }) => fields).reduce((sum, { length }) => sum + length, 0);
    const fitting = Math.floor((entries.length * PART_BYTES) / Math.max(1, bytes));
    const wanted = entries.length < asked ? FIRST_PART : 2 * asked;
    count = entries.length === 0 ? FIRST_PART : Math.max(1, Math.min(fitting, wanted, MOST_PART));
    return entries;
  }

  async function call(name: string, ...args: (string | number)[]): Promise<unknown> {
    return blocking.callBuffer(name, ...args);
  }

  return {
    /** Creates the stream and the group where they are missing; everything in the stream is then new. */
    async prepare(): Promise<void> {
      try {
        await call('XGROUP', 'CREATE', keys.inbox, GROUP, '0', 'MKSTREAM');
        // Another stream's places: Redis may have lost its data, and its clock may be another one.
        seen = FIRST;
      } catch (error) {
        if (!messageOf(error).startsWith('BUSYGROUP')) throw error;
      }
    },

    /** New entries; waits for them, `blockMs` at most. They are this worker's until they leave or are claimed. */
    async read(blockMs: number): Promise<InboxEntry[]> {
      const asked = count;
      const place = ['COUNT', asked, 'BLOCK', blockMs, 'STREAMS', keys.inbox, '>'];
      return sized(firstStream(await call('XREADGROUP', 'GROUP', GROUP, CONSUMER, ...place)), asked);
    },

    /** Looks further on, past what is left for later; nobody's become this worker's. */
    async peek(blockMs: number): Promise<InboxEntry[]> {
      const asked = count;
      const place = ['COUNT', asked, 'BLOCK', blockMs, 'STREAMS', keys.inbox, seen];
      return sized(firstStream(await call('XREAD', ...place)), asked);
    },

    /** Those from an id on, whoever holds them; nobody's become this worker's. */
    async from(id: string): Promise<InboxEntry[]> {
      const asked = count;
      return sized(entriesOf(await call('XRANGE', keys.inbox, id, '+', 'COUNT', asked)), asked);
    },

    /** These were taken in, or left for later: they are not looked at again. */
    passed(entries: readonly InboxEntry[]): void {
      const last = entries.at(-1);
      if (last && isAfter(last.id, seen)) seen = last.id;
    },

    /**
     * What a worker held that is gone, a part at a time. A part may be empty and not be the last: only so many are looked
     * at at once, and others may hold them, or somebody may have removed them.
     */
    async *claim(): AsyncGenerator<InboxEntry[]> {
      let from = FIRST;
      do {
        const asked = Math.min(CLAIMED_PART, count);
        const place = [keys.inbox, GROUP, CONSUMER, timings.inboxIdleMs, from, 'COUNT', asked];
        const [next, entries] = asList(await call('XAUTOCLAIM', ...place));
        from = textOf(next);
        yield sized(entriesOf(entries), asked);
      } while (from !== FIRST);
    },

    /** Ends what blocks; for the end. */
    close: () => blocking.disconnect(),
  };
}

/** Streams and their entries are pairs in a list, or in RESP3 a map, which comes as one list. */
function firstStream(reply: unknown): InboxEntry[] {
  if (reply === null) return [];
  const [first, second] = asList(reply);
  return entriesOf(Array.isArray(first) ? first[1] : second);
}

/** Of an entry that somebody removed, a server may give nothing. */
function entriesOf(list: unknown): InboxEntry[] {
  const entries: InboxEntry[] = [];
  for (const item of asList(list)) {
    if (!Array.isArray(item)) continue;
    const [id, fields]: unknown[] = item;
    if (!Array.isArray(fields)) continue;
    entries.push({ id: textOf(id), fields: fields.filter((field) => Buffer.isBuffer(field)) });
  }
  return entries;
}

function textOf(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : asText(value);
}
