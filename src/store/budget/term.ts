import { type Clock, stopwatch } from '../../base/clock.ts';

/** A worker that was held up for longer than this between asking and sending does not send; the usual way to Redis and back comes on top. */
const MOST_DELAY_MS = 2_000;

/** The time of one call. It begins before its slot is asked for, so that none of its ends comes later than others believe. */
export interface Term {
  elapsed(): number;
  /** Not after a delay, and not after a sleep of the machine: by then the slot may count no more. */
  maySend(): boolean;
}

export function startTerm(
  clock: Pick<Clock, 'wall' | 'monotonic'>,
  { callTimeoutMs, roundTripMs }: { callTimeoutMs: number; roundTripMs: number },
): Term {
  const elapsed = stopwatch(clock);
  const most = Math.min(MOST_DELAY_MS + roundTripMs, callTimeoutMs);
  return { elapsed, maySend: () => elapsed() < most };
}
