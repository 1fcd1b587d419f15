import { FAST_CLOCK } from '../../config/limits.ts';

/**
 * Taking and settling slots, inside the scripts that begin and finish a call.
 *
 * One sorted set per operation holds the slots of the longest window: member = the slot's number, score = its stamp in
 * ms of Redis' clock. A call is allowed when, for every window, the max-th newest slot is older than the window's length, and a
 * little more: Redis' clock may run fast.
 *
 * A slot is stamped when the answer arrives: the server counted the call somewhere between sending and answer, so the
 * stamp is never earlier than its count, and network delay cannot squeeze too many into one of its windows. Until then
 * the slot's stamp is `until`, two call timeouts after it was taken: the first passes before the caller gives up, the
 * second because a lost call may still arrive. A lost answer therefore needs no further bookkeeping.
 */
export const SLOTS_LUA = /* lua */ `
local function lengthen(length)
  return length * ${1 + FAST_CLOCK}
end

-- How long until every window has room. windows: max, length, max, length, … from ARGV[first] on; of the shortest one
-- only as much as the pace says is used. sure: from sureTime; the windows have to have had room then. again: ms after which to look again while the deciding slot is in flight.
-- Returns nil when there is room now, else ms and whether that only says when to look again (the deciding slot is in flight).
local function waitFor(slotsKey, now, sure, first, pace, again)
  local exact, inFlight
  local shortest = math.huge
  for i = first, #ARGV, 2 do shortest = math.min(shortest, tonumber(ARGV[i + 1])) end
  for i = first, #ARGV, 2 do
    local max, length = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    if length == shortest then max = math.max(1, math.floor(max * pace)) end
    length = lengthen(length)
    local slot = redis.call('ZREVRANGE', slotsKey, max - 1, max - 1, 'WITHSCORES')
    local stamp = tonumber(slot[2])
    if stamp and stamp > sure then inFlight = true
    elseif stamp and stamp + length >= sure then exact = math.max(exact or 0, stamp + length - now)
    end
  end
  if sure < now and (inFlight or exact) then return again, true end
  if inFlight then return math.max(exact or 0, again), (exact or 0) <= again end
  return exact, false
end

-- Takes the next slot. Returns its number.
local function take(stateKey, slotsKey, now, untilMs, longest)
  local slot = redis.call('HINCRBY', stateKey, 'seq', 1)
  redis.call('ZADD', slotsKey, untilMs, slot)
  if slot % 64 == 0 then redis.call('ZREMRANGEBYSCORE', slotsKey, '-inf', now - lengthen(longest)) end
  return slot
end

-- how: 'answered', 'lost' (it may still be counted) or 'unsent' (it provably never left).
local function settle(slotsKey, slot, how, now, untilMs)
  if how == 'unsent' then redis.call('ZREM', slotsKey, slot)
  elseif how == 'lost' then redis.call('ZADD', slotsKey, 'NX', untilMs, slot)
  -- Also after until: where its worker's machine slept, or this clock jumped, it may have been counted at any time up to now.
  else redis.call('ZADD', slotsKey, now, slot)
  end
end
`;
