import type { Keys } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { BUCKET_LUA, FIRST_BUCKETS, RECORDS_PER_BUCKET } from './record.ts';

/**
 * Splits one bucket, so that each stays small as the ledger grows.
 *
 * KEYS  1 state, 2 the bucket to split, 3 the new bucket
 * ARGV  1 buckets before
 * Returns  {buckets now, records}
 */
const growScript = defineScript(
  'grow',
  /* lua */ `
${BUCKET_LUA}
local f = redis.call('HMGET', KEYS[1], 'buckets', 'records')
local buckets = f[1] or '${FIRST_BUCKETS}'
if buckets ~= ARGV[1] then return {buckets, f[2] or '0'} end
local grown = tonumber(buckets) + 1
local entries = redis.call('HGETALL', KEYS[2])
local move, ids = {}, {}
for i = 1, #entries, 2 do
  if bucketOf(entries[i], grown) == grown - 1 then
    ids[#ids + 1] = entries[i]
    move[#move + 1] = entries[i]
    move[#move + 1] = entries[i + 1]
  end
end
for from = 1, #ids, 1000 do
  local to = math.min(from + 999, #ids)
  redis.call('HSET', KEYS[3], unpack(move, 2 * from - 1, 2 * to))
  redis.call('HDEL', KEYS[2], unpack(ids, from, to))
end
redis.call('HSET', KEYS[1], 'buckets', grown)
return {tostring(grown), f[2] or '0'}
`,
);

/**
 * Splits buckets until there are enough for `records`, at most `steps`.
 *
 * @returns how many buckets there are now.
 */
export async function grow(
  redis: RedisClient,
  keys: Keys,
  buckets: number,
  records: number,
  steps: number,
): Promise<number> {
  let now = buckets;
  for (let step = 0; step < steps && records > now * RECORDS_PER_BUCKET; step++) {
    const power = 2 ** Math.floor(Math.log2(now));
    const reply = asList(
      await growScript(redis, [keys.state, keys.bucket(now - power), keys.bucket(now)], [now]),
    );
    now = asNumber(reply[0]);
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
