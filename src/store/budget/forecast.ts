import type { Window } from '../../config/limits.ts';

/**
 * When a number of further calls will have been made, as fast as the windows allow: pure arithmetic over what stands.
 *
 * The n-th call goes out when, for every window, the call `max` places before it has become older than the window. The
 * first tens of thousands are counted call by call. By then the tightest window decides, in turns of its length, and the
 * rest is added as whole turns: a million calls cost no more.
 */
export interface ForecastInput {
  /** Any clock, in ms; the answer is on the same one. */
  now: number;
  /** Stamps of the slots that still count, ascending, on that clock. */
  stamps: readonly number[];
  windows: readonly Window[];
  /** No call before this time: a penalty or a hold. */
  notBefore?: number;
  /** What one call takes from slot to answer, in ms; 0 by default. It delays every turn of a window. */
  latencyMs?: number;
}

/** The time at which the `calls`-th further call goes out; `now` for none. */
export function forecast(input: ForecastInput, calls: number): number {
  if (calls <= 0) return input.now;
  const { windows, latencyMs = 0 } = input;
  const tightest = windows.reduce((best, window) => (pace(window) > pace(best) ? window : best));
  const simulated = Math.min(calls, repeatAfter(windows));
  const turns = Math.floor((calls - simulated) / tightest.max);
  const rest = calls - simulated - turns * tightest.max;
  let sent = input.now;
  for (const time of upcoming(input, simulated + rest)) sent = time;
  return sent + turns * (tightest.lengthMs + latencyMs);
}

/** How many calls could go out within the next `withinMs`, at most `limit`. */
export function callsWithin(input: ForecastInput, withinMs: number, limit: number): number {
  const end = input.now + withinMs;
  let calls = 0;
  for (const time of upcoming(input, limit)) {
    if (time > end) return calls;
    calls++;
  }
  return limit;
}

/** The times at which the next calls go out, `calls` of them. */
export function* upcoming(input: ForecastInput, calls: number): Generator<number, void, void> {
  const { windows, latencyMs = 0 } = input;
  const times = [...input.stamps];
  let sent = Math.max(input.now, input.notBefore ?? 0);
  for (let call = 0; call < calls; call++) {
    for (const window of windows) {
      const deciding = times[times.length - window.max];
      if (deciding !== undefined) sent = Math.max(sent, deciding + window.lengthMs);
    }
    yield sent;
    times.push(sent + latencyMs);
  }
}

/** Milliseconds a call costs when the window is used to the full. */
function pace(window: Window): number {
  return window.lengthMs / window.max;
}

/** How many calls are counted one by one: all of any usual campaign, and several turns of the widest window. */
function repeatAfter(windows: readonly Window[]): number {
  return 20_000 + 3 * Math.max(...windows.map((window) => window.max));
}
