import type { Queue } from 'bullmq';
import type { Window } from '../config/limits.ts';
import { callsWithin } from '../store/budget/forecast.ts';
import type { Memory } from '../store/budget/memory.ts';
import type { LaneName } from '../store/keys.ts';

/** A lane that the feeder fills, and how much of it is worth filling. */
export interface Supply {
  lane: LaneName;
  queue: Queue;
  /** How many of its calls could go out within the next minutes, by what stands. */
  demand(): number;
  /** A job of the lane is over. @returns whether it is time to feed. */
  isDue(): boolean;
}

/** How much of the campaigns' work waits in a lane, in ms of calls. */
const FEED_AHEAD_MS = 120_000;
/** However fast the calls, no more jobs than this wait in a lane: they are what pausing has to drop. */
const MOST_FED = 1_000;

export interface SupplyDeps {
  lane: LaneName;
  queue: Queue;
  memory: Memory;
  windows: readonly Window[];
  /** Nothing goes out before, on Redis' clock in ms; null: not known yet. */
  notBefore(): number | null;
  monotonic(): number;
}

/** By what this worker remembers of the slots: costs Redis nothing. */
export function createSupply({ lane, queue, memory, windows, ...deps }: SupplyDeps): Supply {
  let lastDemand = 0;
  let jobsSinceFed = 0;
  return {
    lane,
    queue,
    demand: () => {
      const now = deps.monotonic();
      const redisNow = memory.redisTime(now);
      const notBefore = deps.notBefore();
      if (redisNow === null || notBefore === null) return 0;
      const input = { now, stamps: memory.stamps('cancel'), windows, notBefore: notBefore - redisNow + now };
      lastDemand = callsWithin(input, FEED_AHEAD_MS, MOST_FED);
      return lastDemand;
    },
    isDue: () => {
      if (++jobsSinceFed < Math.max(5, lastDemand / 2)) return false;
      jobsSinceFed = 0;
      return true;
    },
  };
}
