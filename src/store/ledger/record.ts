import { RECORD_STATES } from '../../base/outcome.ts';
import { MOST_CALL_TIMEOUT_MS, MOST_DELAY_MS } from '../../config/timings.ts';

/**
 * What was written with the longest of these may seem to last longer: it was rounded up to whole ms, and Redis' clock may have been put
 * back by as much as goes unnoticed, which is about a second. In ms; more than it takes does no harm.
 */
const SLACK_MS = 60_000;

/**
 * The ledger's records, as the scripts see them.
 *
 * A record is a MessagePack array with trailing zeros left out, under 64 bytes in any case: one larger value would make
 * Redis convert its whole hash to a form that takes three times the memory. It is read and written in Lua only.
 *
 * The hashes ("buckets") grow by linear hashing: with n of them, a record is in bucket h mod 2m, or h mod m where that
 * one does not exist yet (m: the largest power of two up to n). So one bucket at a time can be split, and each stays
 * small enough to be stored compactly. Every script is told the n that its keys were built with and answers `again`
 * with the present one when that has changed.
 */
export const RECORD_LUA = /* lua */ `
local STATES = {${RECORD_STATES.map((state, code) => `[${code}]='${state}'`).join(',')}}
local CODES = {}
for code, state in pairs(STATES) do CODES[state] = code end

local OPEN, CHECKING = ${RECORD_STATES.indexOf('open')}, ${RECORD_STATES.indexOf('checking')}
local STATE, GENERATION, CAMPAIGN, FLAGS, ATTEMPTS, POSITION, PROBES, NOT_BEFORE, SLOT, LAPSE, NONCE, FAILED, UNEXPLAINED =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
-- PROBES: calls that failed and were not charged as attempts. FAILED: the slot of the last one, as long as it waits for
-- another try; negative where it is charged already. UNEXPLAINED: how many in a row were answered without a reason.
-- Flags: a call may have been carried out; the record is in the index of expiries; the action is known not to take place.
local UNCERTAIN, EXPIRES, STOPPED = 1, 2, 4

local function newRecord(campaign, generation)
  return {OPEN, generation, campaign, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
end

local function unpacked(raw)
  local r = cmsgpack.unpack(raw)
  for i = #r + 1, UNEXPLAINED do r[i] = 0 end
  return r
end

local function load(bucket, id)
  local raw = redis.call('HGET', bucket, id)
  if not raw then return nil end
  return unpacked(raw)
end

local function packed(r)
  local last = UNEXPLAINED
  while r[last] == 0 do last = last - 1 end
  return cmsgpack.pack({unpack(r, 1, last)})
end

local function save(bucket, id, r)
  redis.call('HSET', bucket, id, packed(r))
end

local function hasFlag(r, flag)
  return bit.band(r[FLAGS], flag) ~= 0
end

local function setFlag(r, flag, on)
  if on then r[FLAGS] = bit.bor(r[FLAGS], flag) else r[FLAGS] = bit.band(r[FLAGS], bit.bnot(flag)) end
end

local function release(r)
  r[SLOT], r[LAPSE], r[NONCE] = 0, 0, 0
end

local function isDecided(r)
  return r[STATE] ~= OPEN and r[STATE] ~= CHECKING
end

-- Redis' clock may have been put back: what seems to last longer than anything can, lasts no more. ms.
local LONGEST_CALL, LONGEST_DELAY = ${MOST_CALL_TIMEOUT_MS + SLACK_MS}, ${MOST_DELAY_MS + SLACK_MS}

local function isClaimed(r, now)
  return r[SLOT] ~= 0 and r[LAPSE] > now and r[LAPSE] - now <= LONGEST_CALL
end

-- After a call that failed it may be as long as the server asked for: at most the longest window, where that is known.
local function isPutOff(r, now, longest)
  local most = r[FAILED] ~= 0 and math.max(LONGEST_DELAY, longest or math.huge) or LONGEST_DELAY
  return r[NOT_BEFORE] > now and r[NOT_BEFORE] - now <= most + 1
end

-- jumped, jumpedAt: as they stand in the state. A claim from before that jump lasts one call's time, its own worker's,
-- counted from it: on the clock by which it was made it may seem to be over, or to last for hours.
local function wasBefore(r, jumped)
  return jumped and r[SLOT] ~= 0 and r[SLOT] < tonumber(jumped)
end
`;

/**
 * How an id goes from one campaign to another. What it ended as stays in the campaign that it leaves, with its counts and
 * results: that campaign keeps the record as it was then. So a report, once it is complete, says the same for ever.
 */
export const KEPT_LUA = /* lua */ `
local function keep(kept, id, r) redis.call('HSET', kept, id, packed(r)) end

-- For a campaign that takes up again what it has kept. Says whether it had.
local function unkeep(kept, campaign, id)
  local raw = redis.call('HGET', kept, id)
  if not raw then return false end
  local r = unpacked(raw)
  redis.call('HDEL', kept, id)
  redis.call('HINCRBY', campaign, 'total', -1)
  redis.call('HINCRBY', campaign, STATES[r[STATE]], -1)
  if hasFlag(r, STOPPED) then redis.call('HINCRBY', campaign, 'stopped', -1) end
  return true
end
`;

/** `expires(r, id, k, at, by, requestedAt)` for a single cancel that expires; the caller saves. k: expiries, checking. */
export const EXPIRY_LUA = /* lua */ `
local function expires(r, id, k, at, by, requestedAt)
  redis.call('ZADD', k.expiries, at, id)
  -- Whoever ends it then does not have the job that says whose it is.
  redis.call('HSET', k.checking, id, cjson.encode({by = by, at = requestedAt}))
  setFlag(r, EXPIRES, true)
end
`;

/** How many buckets a new ledger has. */
export const FIRST_BUCKETS = 16;

/**
 * Records per bucket, on average, from which on buckets are split. Eight times as many would still be stored compactly,
 * but a compact hash is searched from its beginning: 128 cost 3.3 µs to add one, and save 1 byte per record.
 */
export const RECORDS_PER_BUCKET = 64;

/** Which bucket an action's 16 bytes at `offset` (default 0) belong to, of `buckets`. The same hash as `hashOf` in Lua. */
export function bucketOf(ids: Buffer, buckets: number, offset = 0): number {
  const word = (at: number) => ids.readUInt32BE(offset + at);
  const folded = word(0) ^ word(4) ^ word(8) ^ word(12);
  const hash = (folded ^ (folded >>> 16)) >>> 0;
  const power = 2 ** Math.floor(Math.log2(buckets));
  const index = hash % (2 * power);
  return index < buckets ? index : index - power;
}

export const HASH_LUA = /* lua */ `
-- Signed, which is all the same where only single bits are looked at.
local function hashOf(id)
  local a, b, c, d = struct.unpack('>I4I4I4I4', id)
  local folded = bit.bxor(a, b, c, d)
  return bit.bxor(folded, bit.rshift(folded, 16))
end
`;
