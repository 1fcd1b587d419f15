import type { Timings } from '../../config/timings.ts';

/**
 * What every script that may send does first: make sure that Redis still holds the slots it is believed to hold.
 *
 * The tenant's `state` hash carries the run id of the Redis process, an epoch and the number of the last slot. When the
 * process is another one (restart, failover), the hash is gone (data lost) or the number went back (older AOF), slots
 * may be missing: a new epoch opens, with a grace in which nobody sends and every worker puts back what it remembers.
 * A new epoch's numbers start at the time in ms, far above any number given before: they never repeat.
 */
export const GUARD_LUA = /* lua */ `
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + t[2] / 1000
end

local function ms(time)
  return string.format('%.3f', time)
end

-- Asked anew each time: a slot of a cluster may be another process' from one command to the next.
local function runId()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
end

-- Whether that was a process before this one, since which each one ended in order, and the next began with all that it had. Only the
-- embedded server says so, by what its config file is called (redis/embedded-files.ts).
local function wasAtRest(run)
  local runs = string.match(redis.call('INFO', 'server'), 'config_file:[^\\r\\n]*after%-([%x%-]+)%.conf') or ''
  return run and #run == 40 and string.find(runs, run, 1, true) ~= nil
end

-- Opens a new epoch. Returns its number.
local function reopen(stateKey, now, known, graceMs, reason)
  local epoch = math.max(math.floor(now), known) + 1
  redis.call('HSET', stateKey, 'run', runId(), 'epoch', epoch, 'seq', epoch, 'grace', ms(now + graceMs), 'why', reason)
  return epoch
end

-- s: run, epoch, seq of the state hash. expected: the caller's epoch, seq, time and tolerance in ms.
-- Returns nil when all is well, or the refusal to answer with.
local function guard(stateKey, now, s, expected, graceMs)
  local seq = tonumber(s.seq) or 0
  local reason
  local isSame = s.run == runId()
  if not s.epoch then reason = 'new'
  elseif not isSame and not wasAtRest(s.run) then reason = 'restarted'
  elseif seq < expected.seq then reason = 'rewound'
  end
  if reason then
    reopen(stateKey, now, math.max(seq, expected.seq), graceMs, reason)
    return {'epoch', reason}
  end
  if not isSame then redis.call('HSET', stateKey, 'run', runId()) end
  if expected.epoch ~= '' and s.epoch ~= expected.epoch then return {'epoch', s.epoch} end
  if expected.time > 0 and math.abs(now - expected.time) > expected.tolerance then return {'time'} end
  return nil
end

-- The time up to which the clock surely ran on. A caller that does not know it relies on when a worker last found so: since then it may have
-- jumped, and what is to be moved along may not have been moved yet.
local function sureTime(now, expected, steady)
  if expected.time > 0 then return now end
  return math.min(now, tonumber(steady) or now)
end

-- Slots that were taken or settled since the caller last looked: those in flight have a stamp still to come.
local function since(slotsKey, seen)
  return redis.call('ZRANGEBYSCORE', slotsKey, '(' .. seen, '+inf', 'WITHSCORES')
end
`;

/** How far Redis' clock may be from what the caller expects before nothing is sent, in ms; the usual round trip comes on top. */
export const TIME_TOLERANCE_MS = 1_000;

/** After a time as long as the longest window no earlier call matters, so that is the longest grace needed. */
export function graceFor({ graceMs }: Timings, longestMs: number): number {
  return Math.min(graceMs, longestMs);
}
