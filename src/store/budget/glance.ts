import { type Limits, type Window, windowsFor } from '../../config/limits.ts';
import { type Keys, OPERATIONS, type Operation } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { pacedWindows } from './pace.ts';
import { type Hold, loweredPace, standingHolds } from './view.ts';

/**
 * Counts the slots in each window, and says what holds: a view of the budget without its slots, which are thousands.
 *
 * KEYS  1 state, 2 holds, 3… slots of each operation
 * ARGV  length of each window, ms
 * Returns  {now, state's fields, holds' fields and values, how many slots for each operation and window}
 */
const glanceScript = defineScript(
  'glance',
  /* lua */ `
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local state = redis.call('HMGET', KEYS[1], 'grace', 'cancel:penalty', 'cancel:hold', 'cancel:reason', 'cancel:pace', 'cancel:pacedAt',
  'cancel:refusals', 'why')
for i = 1, #state do state[i] = state[i] or '' end
local counts = {}
for k = 3, #KEYS do
  for w = 1, #ARGV do
    counts[#counts + 1] = redis.call('ZCOUNT', KEYS[k], string.format('%.3f', now - tonumber(ARGV[w])), '+inf')
  end
end
return {string.format('%.3f', now), state, redis.call('HGETALL', KEYS[2]), counts}
`,
);

/** How one window stands. */
export interface WindowCount extends Window {
  operation: Operation;
  /** Calls that count in it now, those in flight included. */
  used: number;
}

export interface Glance {
  /** Redis' clock, in ms. */
  now: number;
  windows: WindowCount[];
  /** Why no cancel of bulk goes out, the most telling first; without a full window. */
  holds: Hold[];
  /** Whether a window is full for cancels of bulk. */
  full: boolean;
  /** The share of the shortest window that is used for cancels, from 0 to 1. */
  pace: number;
}

/** Looks at the budgets of all operations without touching them. */
export async function glance(redis: RedisClient, keys: Keys, limits: Limits): Promise<Glance> {
  const { windows } = limits;
  const touched = [keys.state, keys.holds, ...OPERATIONS.map(keys.slots)];
  const lengths = windows.map(({ lengthMs }) => lengthMs);
  const [time, fields, flat, counts] = asList(await glanceScript(redis, touched, lengths));
  const now = asNumber(time);
  const state = asList(fields).map(asText);
  const used = asList(counts).map(asNumber);
  const pace = loweredPace(state.slice(4, 7).map(asNumber), windows, now)?.share ?? 1;
  const bulk = pacedWindows(windowsFor(limits, 'bulk'), pace);
  return {
    now,
    windows: OPERATIONS.flatMap((operation, at) =>
      windows.map((window, w) => ({ ...window, operation, used: used[at * windows.length + w] ?? 0 })),
    ),
    holds: standingHolds([...state.slice(0, 4), state[7] ?? null], byName(asList(flat)), now),
    // Cancel is the first of the operations.
    full: bulk.some(({ max }, w) => (used[w] ?? 0) >= max),
    pace,
  };
}

function byName(flat: readonly unknown[]): Record<string, string> {
  const named: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) named[asText(flat[i])] = asText(flat[i + 1]);
  return named;
}
