import type { Window } from '../../config/limits.ts';

/** How many calls were answered within a window, over time. */
export interface RollingCount {
  window: Window;
  /** The most within any such window. */
  peak: number;
  /** Ms since 1970 of the peak: when its window ended. */
  peakAt: number;
  /** The most in each of equal parts of the time from first to last. */
  parts: number[];
}

export interface Timeline {
  /** Ms since 1970. */
  first: number;
  last: number;
  calls: number;
  counts: RollingCount[];
}

/** Parts of a drawing: about one for each pixel of its width. */
const PARTS = 600;

/** Gathers the times of calls, in any order: 8 bytes each, a thousandth of what they were told with. */
export function createTimes() {
  let times = new Float64Array(1_024);
  let length = 0;
  return {
    add: (ms: number): void => {
      if (length === times.length) {
        const larger = new Float64Array(2 * length);
        larger.set(times);
        times = larger;
      }
      times[length++] = ms;
    },
    /** Null when there were none. */
    timeline: (windows: readonly Window[]): Timeline | null => {
      const sorted = times.subarray(0, length).sort();
      const first = sorted[0];
      const last = sorted.at(-1);
      if (first === undefined || last === undefined) return null;
      const counts = windows.map((window) => countRolling(sorted, window, first, last));
      return { first, last, calls: length, counts };
    },
  };
}

/**
 * Counts the calls in (t - length, t] at every call, which is where such a count peaks, and at the beginning of every part.
 *
 * @param times ascending.
 */
function countRolling(times: Float64Array, window: Window, first: number, last: number): RollingCount {
  const parts: number[] = [];
  const partMs = Math.max(1, last - first) / PARTS;
  const most = { peak: 0, peakAt: first };
  let begun = 0;
  let oldest = 0;
  for (let part = 0; part < PARTS; part++) {
    const start = first + part * partMs;
    const end = part === PARTS - 1 ? Number.POSITIVE_INFINITY : start + partMs;
    const leave = (t: number) => {
      while (oldest < begun && at(times, oldest) <= t - window.lengthMs) oldest++;
    };
    leave(start);
    let largest = begun - oldest;
    for (; begun < times.length && at(times, begun) < end; ) {
      const t = at(times, begun++);
      leave(t);
      largest = Math.max(largest, begun - oldest);
      if (begun - oldest > most.peak) Object.assign(most, { peak: begun - oldest, peakAt: t });
    }
    parts.push(largest);
  }
  return { window, ...most, parts };
}

function at(times: Float64Array, index: number): number {
  return times[index] ?? Number.NaN;
}
