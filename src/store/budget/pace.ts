import type { Window } from '../../config/limits.ts';

/** What each refusal leaves of the pace … */
const LEFT = 0.7;
/** … and how little it comes to at most: somebody has to find out that there is room again. */
const LEAST = 0.1;
/** A pace comes back from nothing to the whole in so many of the shortest window. */
const RECOVERY_WINDOWS = 10;

/**
 * The pace: what share of the shortest window is used.
 *
 * Our own calls are never one too many by what is documented, so a 429 has a reason that is not known here: others may use the same
 * quota, it may be smaller than RATE_LIMITS says, or the API ran short of processor time. The penalty waits as long as the API asks for; the pace keeps the next window from ending the same
 * way. It is lowered by a part at each refusal and comes back evenly, as TCP does. Only the shortest window is narrowed:
 * over the longest one a penalty is the whole answer, and a narrower one would cost hours.
 */
export const PACE_LUA = /* lua */ `
-- From 0 to 1. share, at: as they stand in the state; recovery: ms from nothing to the whole.
local function paceOf(share, at, now, recovery)
  return math.min(1, (tonumber(share) or 1) + math.max(0, now - (tonumber(at) or now)) / recovery)
end

-- A call with this slot was refused. Those that were in flight when the pace was lowered do not lower it again.
local function slowDown(stateKey, op, slot, now, recovery)
  local p = redis.call('HMGET', stateKey, op .. ':pace', op .. ':pacedAt', op .. ':pacedSeq', 'seq')
  local pace = paceOf(p[1], p[2], now, recovery)
  if pace >= 1 then redis.call('HDEL', stateKey, op .. ':refusals') end
  redis.call('HINCRBY', stateKey, op .. ':refusals', 1)
  if p[3] and tonumber(slot) <= tonumber(p[3]) then return end
  redis.call('HSET', stateKey, op .. ':pace', string.format('%.4f', math.max(${LEAST}, pace * ${LEFT})),
    op .. ':pacedAt', math.floor(now), op .. ':pacedSeq', p[4] or slot)
end

-- The call with this slot was answered with 429. A penalty is never shortened, and no longer than the longest window.
local function refused(stateKey, op, slot, now, penaltyMs, longest, recovery)
  local untilMs = math.ceil(now + math.min(penaltyMs, longest))
  if untilMs > tonumber(redis.call('HGET', stateKey, op .. ':penalty') or '0') then
    redis.call('HSET', stateKey, op .. ':penalty', untilMs)
  end
  slowDown(stateKey, op, slot, now, recovery)
end
`;

/** How long a pace takes from nothing to the whole, in ms. */
export function recoveryMs(windows: readonly Window[]): number {
  return RECOVERY_WINDOWS * shortest(windows).lengthMs;
}

/** The windows as a pace, from 0 to 1, narrows them; as in `waitFor` in the scripts. */
export function pacedWindows(windows: readonly Window[], pace: number): readonly Window[] {
  const { lengthMs } = shortest(windows);
  return windows.map((window) =>
    window.lengthMs === lengthMs ? { ...window, max: paced(window.max, pace) } : window,
  );
}

/** How many calls a window still allows at a pace. */
export function paced(max: number, pace: number): number {
  return Math.max(1, Math.floor(max * pace));
}

/** The window that a pace narrows. */
export function shortest(windows: readonly Window[]): Window {
  return windows.reduce((best, window) => (window.lengthMs < best.lengthMs ? window : best));
}
