import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { SHORT_WAIT_MS } from '../config/timings.ts';

/** One job of a lane, from when it was taken until it is out of this worker's hands. */
export interface Turn {
  /** Its call goes out: nobody waits for it any more. */
  calls(): void;
  /** Resolves when the jobs of the lane that were taken later, and go back too, have gone back; after `SHORT_WAIT_MS` at the latest. Never rejects. */
  toGoBack(): Promise<void>;
  end(): void;
}

/**
 * Keeps a lane in its order. A job that may not be called yet goes back to the front of its lane. Those that were taken together have
 * to go back in the opposite order, the last one first; otherwise the first actions of a campaign would fall behind at every full
 * window, and what was submitted later would overtake them.
 */
export function createOrder(clock: Clock) {
  const taken: Place[] = [];

  /** The latest of those that were taken after this one and may still go back. */
  function later(place: Place): Place | undefined {
    const last = taken.findLast(({ gone }) => gone !== null);
    return last === place ? undefined : last;
  }

  function leave(place: Place): void {
    place.gone?.resolve();
    place.gone = null;
  }

  async function toGoBack(place: Place): Promise<void> {
    place.gone ??= Promise.withResolvers();
    const patience = new AbortController();
    const atLatest = clock.sleep(SHORT_WAIT_MS, patience.signal).then(
      () => true,
      () => true,
    );
    // Others that heard the same at the same time come to this, too.
    await nextTurn();
    for (let next = later(place), isLate = false; next?.gone && !isLate; next = later(place))
      isLate = await Promise.race([next.gone.promise.then(() => false), atLatest]);
    patience.abort();
  }

  /** When Redis has handed it out: the processor may hear of it later. */
  function take(jobId: string): Place {
    const place: Place = { jobId, gone: Promise.withResolvers() };
    taken.push(place);
    return place;
  }

  return {
    take: (jobId: string): void => void take(jobId),
    turnOf: (jobId: string): Turn => {
      const place = taken.findLast((one) => one.jobId === jobId) ?? take(jobId);
      return {
        calls: () => leave(place),
        toGoBack: () => toGoBack(place),
        end: () => {
          leave(place);
          taken.splice(taken.indexOf(place), 1);
        },
      };
    },
  };
}

interface Place {
  jobId: string;
  /** Resolves when it has gone; null: it does not go back, as things stand. */
  gone: PromiseWithResolvers<void> | null;
}
