import { StanddownError } from '../base/errors.ts';
import { excerpt } from '../base/foreign.ts';
import { guidsToBytes, parseGuid } from '../base/guid.ts';
import { BATCH_IDS } from '../store/ledger/batch.ts';

type Item = string | readonly string[];
type Step = IteratorResult<Item>;

/** Ids one by one or in arrays, each a GUID in any case, with or without braces; a text by itself is one id. */
export type IdSource = string | AsyncIterable<Item> | Iterable<Item>;

/** A caller's ids, as they are taken. */
export interface Source {
  /** 16 bytes each, a thousand at a time: no further id is taken before somebody asks for the next thousand. */
  batches: AsyncGenerator<Buffer>;
  /** Whether it is what taking the ids threw. */
  threw(error: unknown): boolean;
  /** For one that was not read to its end, or not at all. */
  end(): Promise<void>;
}

/**
 * Begins at once and not when the first id is wanted: readline, for one, loses the lines that come before somebody asks for
 * them.
 *
 * @param stop ends it, with its reason, also while the caller's source keeps us waiting.
 * @throws StanddownError USAGE for what is no source
 */
export function openSource(ids: IdSource, stop: AbortSignal): Source {
  const iterator = begin(ids);
  let state: 'open' | 'asked' | 'over' = 'open';
  let failure: { error: unknown } | null = null;
  let giveUp: (reason: unknown) => void = () => undefined;
  const onStop = () => giveUp(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });

  // Not a race with one promise of the signal: that would keep something of each of a million ids.
  const untilStopped = <T>(work: Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      giveUp = reject;
      work.then(resolve, reject);
    });

  /** A promise only where the source gives one: it would take longer than the id itself. */
  function next(): Step | Promise<Step> {
    stop.throwIfAborted();
    state = 'asked';
    const step = iterator.next();
    return 'then' in step ? untilStopped(Promise.resolve(step)) : step;
  }

  async function* read(): AsyncGenerator<Buffer> {
    let batch: string[] = [];
    let place = 0;
    for (;;) {
      const asked = next();
      const { done, value } = asked instanceof Promise ? await asked : asked;
      state = done ? 'over' : 'open';
      if (done) break;
      for (const text of Array.isArray(value) ? value : [value]) {
        batch.push(readId(text, ++place));
        if (batch.length < BATCH_IDS) continue;
        yield guidsToBytes(batch);
        batch = [];
        stop.throwIfAborted();
      }
    }
    if (batch.length > 0) yield guidsToBytes(batch);
  }

  async function* noting(): AsyncGenerator<Buffer> {
    try {
      yield* read();
    } catch (error) {
      failure = { error };
      throw error;
    }
  }

  return {
    batches: noting(),
    threw: (error) => failure !== null && failure.error === error,
    end: async () => {
      stop.removeEventListener('abort', onStop);
      if (state === 'over') return;
      const ended = (async () => iterator.return?.())().catch(() => undefined);
      // One that was asked and has not answered would keep us waiting here, too.
      if (state === 'open') await ended;
    },
  };
}

function begin(ids: unknown): AsyncIterator<Item> | Iterator<Item> {
  if (typeof ids === 'string') return begin([ids]);
  if (isIterable<AsyncIterable<Item>>(ids, Symbol.asyncIterator)) return ids[Symbol.asyncIterator]();
  if (isIterable<Iterable<Item>>(ids, Symbol.iterator)) return ids[Symbol.iterator]();
  throw new StanddownError('USAGE', 'ids must be an id or an iterable');
}

function isIterable<T>(ids: unknown, symbol: symbol): ids is T {
  return typeof ids === 'object' && ids !== null && typeof Reflect.get(ids, symbol) === 'function';
}

function readId(text: unknown, place: number): string {
  const guid = typeof text === 'string' ? parseGuid(text) : null;
  if (guid !== null) return guid;
  const shown = typeof text === 'string' ? `"${excerpt(text, 60)}"` : `a value of type ${typeof text}`;
  const words = `id ${place} is not a GUID: ${shown}; the ids before it may have been submitted`;
  throw new StanddownError('INPUT_INVALID', words, { context: { place } });
}
