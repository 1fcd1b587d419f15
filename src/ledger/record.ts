import { RECORD_STATES } from '../outcome.ts';

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
local STATE, GENERATION, CAMPAIGN, FLAGS, ATTEMPTS, POSITION, PROBES, NOT_BEFORE, SLOT, LAPSE, NONCE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
-- Flags: an answer was lost; the record is in the index of expiries.
local UNCERTAIN, EXPIRES = 1, 2

local function newRecord(campaign, generation)
  return {OPEN, generation, campaign, 0, 0, 0, 0, 0, 0, 0, 0}
end

local function load(bucket, id)
  local raw = redis.call('HGET', bucket, id)
  if not raw then return nil end
  local r = cmsgpack.unpack(raw)
  for i = #r + 1, NONCE do r[i] = 0 end
  return r
end

local function save(bucket, id, r)
  local last = NONCE
  while r[last] == 0 do last = last - 1 end
  redis.call('HSET', bucket, id, cmsgpack.pack({unpack(r, 1, last)}))
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

local function isClaimed(r, now)
  return r[SLOT] ~= 0 and r[LAPSE] > now
end
`;

/** How many buckets a new ledger has. */
export const FIRST_BUCKETS = 16;

/** Records per bucket, on average, from which on buckets are split. Twice as many still store compactly. */
export const RECORDS_PER_BUCKET = 128;

/** Which bucket an action's 16 bytes belong to, of `buckets`. The same arithmetic as `bucketOf` in Lua. */
export function bucketOf(id: Buffer, buckets: number): number {
  const folded = id.readUInt32BE(0) ^ id.readUInt32BE(4) ^ id.readUInt32BE(8) ^ id.readUInt32BE(12);
  const hash = (folded ^ (folded >>> 16)) >>> 0;
  const power = 2 ** Math.floor(Math.log2(buckets));
  const index = hash % (2 * power);
  return index < buckets ? index : index - power;
}

export const BUCKET_LUA = /* lua */ `
local function bucketOf(id, buckets)
  local a, b, c, d = struct.unpack('>I4I4I4I4', id)
  local folded = bit.bxor(a, b, c, d)
  local hash = bit.bxor(folded, bit.rshift(folded, 16)) % 4294967296
  local power = 1
  while power * 2 <= buckets do power = power * 2 end
  local index = hash % (2 * power)
  if index >= buckets then index = index - power end
  return index
end
`;
