import { type Limits, longestMs, reservedIn, type Window } from '../config/limits.ts';
import { type ForecastInput, upcoming } from '../store/budget/forecast.ts';
import type { Past, Refusal } from './budget-history.ts';

/** What is drawn of one window. Lists are as long as the times; null: nothing there. */
export interface WindowChart {
  lengthMs: number;
  max: number;
  /** What bulk may use of it. */
  bulkMax: number;
  used: (number | null)[];
  /** Where older calls are not known: at least so many. */
  least: (number | null)[];
  forecast: (number | null)[];
}

export interface BudgetChart {
  /** Ms since 1970 by Redis' clock. */
  now: number;
  /** In seconds since 1970, as a time axis takes them. */
  times: number[];
  windows: WindowChart[];
  refusals: readonly Refusal[];
}

/** To each side of now; a point takes about two pixels. */
const POINTS = 240;

/** A forecast is drawn for the longest window to come, so no more calls than can go out in it. */
const MOST_FORECAST = 100_000;

/** Calls within each rolling window, over the longest window past and the longest to come. */
export function chartBudget(
  limits: Limits,
  past: Past,
  outlook: { input: ForecastInput; left: number; isKnown: boolean },
): BudgetChart {
  const { now } = outlook.input;
  const span = longestMs(limits.windows);
  const step = span / POINTS;
  const times = Array.from({ length: 2 * POINTS + 1 }, (_, index) => now - span + index * step);
  const calls = [...past.stamps.map((stamp) => Math.min(stamp, now)), ...expected(outlook, now + span)];
  return {
    now,
    times: times.map((time) => time / 1_000),
    windows: limits.windows.map((window) => ({
      lengthMs: window.lengthMs,
      max: window.max,
      bulkMax: window.max - reservedIn(limits, window),
      ...countRolling(calls, times, window, { now, knownSince: past.knownSince, isKnown: outlook.isKnown }),
    })),
    refusals: past.refusals.filter(({ until }) => until > now - span),
  };
}

function expected({ input, left }: { input: ForecastInput; left: number }, end: number): number[] {
  const found: number[] = [];
  for (const time of upcoming(input, Math.min(left, MOST_FORECAST))) {
    if (time > end) break;
    // As slots are stamped: when the answer comes.
    found.push(time + (input.latencyMs ?? 0));
  }
  return found;
}

function countRolling(
  calls: readonly number[],
  times: readonly number[],
  { lengthMs }: Window,
  { now, knownSince, isKnown }: { now: number; knownSince: number; isKnown: boolean },
): Pick<WindowChart, 'used' | 'least' | 'forecast'> {
  const drawn: Pick<WindowChart, 'used' | 'least' | 'forecast'> = { used: [], least: [], forecast: [] };
  let begun = 0;
  let left = 0;
  for (const time of times) {
    while (begun < calls.length && (calls[begun] ?? 0) <= time) begun++;
    while (left < begun && (calls[left] ?? 0) < time - lengthMs) left++;
    const number = begun - left;
    const isWhole = time - lengthMs >= knownSince;
    drawn.used.push(time <= now && isWhole ? number : null);
    drawn.least.push(time <= now && !isWhole ? number : null);
    drawn.forecast.push(isKnown && time >= now ? number : null);
  }
  return drawn;
}
