import type { Keys } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { FIRST_BUCKETS, HASH_LUA, RECORDS_PER_BUCKET } from './record.ts';

/** Buckets that one script splits at most: a few milliseconds of Redis' time. No more than a new ledger has. */
const SPLITS = FIRST_BUCKETS;

/**
 * Splits the next buckets, so that each stays small as the ledger grows.
 *
 * KEYS  1 state, then for each split the bucket to split and the new one
 * ARGV  1 buckets before, then for each split the largest power of two up to the number of buckets before it
 * Returns  {buckets now}
 */
const growScript = defineScript(
  'grow',
  /* lua */ `
${HASH_LUA}
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[1] then return {buckets} end

-- Of what was in bucket b, those whose hash has the next bit set belong to the new bucket b + power.
local function split(from, to, power)
  local entries = redis.call('HGETALL', from)
  local move, ids = {}, {}
  for i = 1, #entries, 2 do
    if bit.band(hashOf(entries[i]), power) ~= 0 then
      ids[#ids + 1] = entries[i]
      move[#move + 1] = entries[i]
      move[#move + 1] = entries[i + 1]
    end
  end
  for first = 1, #ids, 1000 do
    local last = math.min(first + 999, #ids)
    redis.call('HSET', to, unpack(move, 2 * first - 1, 2 * last))
    redis.call('HDEL', from, unpack(ids, first, last))
  end
end

for i = 2, #ARGV do
  split(KEYS[2 * i - 2], KEYS[2 * i - 1], tonumber(ARGV[i]))
end
buckets = tostring(tonumber(buckets) + #ARGV - 1)
redis.call('HSET', KEYS[1], 'buckets', buckets)
return {buckets}
`,
);

/**
 * Splits buckets until there are enough for `records`, at most `most` of them.
 *
 * @returns how many buckets there are now.
 */
export async function grow(
  redis: RedisClient,
  keys: Keys,
  buckets: number,
  records: number,
  most: number,
): Promise<number> {
  const wanted = Math.min(Math.ceil(records / RECORDS_PER_BUCKET), buckets + most);
  let now = buckets;
  while (now < wanted) {
    const splits = Array.from({ length: Math.min(SPLITS, wanted - now) }, (_, index) => {
      const before = now + index;
      return { before, power: 2 ** Math.floor(Math.log2(before)) };
    });
    const touched = splits.flatMap(({ before, power }) => [keys.bucket(before - power), keys.bucket(before)]);
    const reply = await growScript(
      redis,
      [keys.state, ...touched],
      [now, ...splits.map(({ power }) => power)],
    );
    now = asNumber(asList(reply)[0]);
  }
  return now;
}

/** How many buckets and records the ledger has. */
export async function ledgerSize(
  redis: RedisClient,
  keys: Keys,
): Promise<{ buckets: number; records: number }> {
  const [buckets, records] = await redis.hmget(keys.state, 'buckets', 'records');
  return { buckets: asNumber(buckets) || FIRST_BUCKETS, records: asNumber(asText(records)) };
}
