import type { Keys } from '../keys.ts';
import { asList, asNumber, defineScript, type RedisClient } from '../script.ts';
import { BATCH_LUA, type Batch, ID_BYTES } from './batch.ts';
import { ASKED_LUA, outcomeKeysOf } from './outcomes.ts';
import { FIRST_BUCKETS, RECORD_LUA } from './record.ts';

/**
 * Removes the records of a campaign whose retention is over, and what is told of them by key: should an id come again, that
 * would be of before. Records that another campaign owns by now stay, and all of a campaign that is not closed: it has this number since
 * Redis lost its data.
 *
 * KEYS  1 state, 2 campaign, then the batch's buckets, then each id's outcome
 * ARGV  1 campaign number, 2 buckets, 3 ids, 4 places
 * Returns  {'done', removed} | {'again', buckets}
 */
const forgetScript = defineScript(
  'forget',
  /* lua */ `
${RECORD_LUA}
${BATCH_LUA}
${ASKED_LUA}
local number, removed = tonumber(ARGV[1]), 0
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[2] then return {'again', buckets} end
if redis.call('HGET', KEYS[2], 'state') ~= 'deleted' then return {'done', '0'} end
-- The place before that of the next id's outcome.
local place = #KEYS - #ARGV[3] / ${ID_BYTES}
local isAsked = areAsked(place)
each(ARGV[3], ARGV[4], 3, function(id, bucket)
  place = place + 1
  local r = load(bucket, id)
  if not r or r[CAMPAIGN] ~= number then return end
  removed = removed + redis.call('HDEL', bucket, id)
  if isAsked then redis.call('UNLINK', KEYS[place]) end
end)
if removed > 0 then redis.call('HINCRBY', KEYS[1], 'records', -removed) end
return {'done', tostring(removed)}
`,
);

export type Forgotten = { kind: 'done'; removed: number } | { kind: 'again'; buckets: number };

export async function forgetBatch(
  redis: RedisClient,
  keys: Keys,
  input: { campaign: number; buckets: number; batch: Batch },
): Promise<Forgotten> {
  const { batch } = input;
  const reply = asList(
    await forgetScript(
      redis,
      [keys.state, keys.campaign(input.campaign), ...batch.bucketKeys, ...outcomeKeysOf(keys, batch.ids)],
      [input.campaign, input.buckets, batch.ids, batch.places],
    ),
  );
  if (reply[0] === 'again') return { kind: 'again', buckets: asNumber(reply[1]) };
  return { kind: 'done', removed: asNumber(reply[1]) };
}
