import type { Keys } from '../keys.ts';
import { asList, asNumber, defineScript, type RedisClient } from '../script.ts';
import { ATTEMPTS_LUA } from './attempts.ts';
import { BATCH_LUA, type Batch, ID_BYTES } from './batch.ts';
import { ASKED_LUA, outcomeKeysOf } from './outcomes.ts';
import { FIRST_BUCKETS, RECORD_LUA } from './record.ts';
import { DECIDE_LUA, REQUESTED_BY } from './result.ts';

/**
 * Ends what is still open among ids of an aborted or expired campaign. Live claims are left alone: their call counts. A
 * 400 that is being looked into is left alone for as long as a look may take. Whoever asks has read beforehand what is to end: whether it
 * still is, is looked at here.
 *
 * KEYS  1 state, 2 campaign, 3 results, 4 expiries, 5 checking, 6 outcomes, 7 attempts, then the batch's buckets, then each id's
 *       outcome
 * ARGV  1 campaign number, 2 buckets, 3 ids, 4 places, 5 outcome, 6 ms for a check, 7 '1' to end only what the index of
 *       expiries says is due by now, and to take out of it what has no end of its own (any more), 8 what Redis' clock
 *       should show by now, ms (0: that is not known)
 * Returns  {'done', ended, left} | {'again', buckets}
 */
const endScript = defineScript(
  'end',
  /* lua */ `
${RECORD_LUA}
${ATTEMPTS_LUA}
${DECIDE_LUA}
${BATCH_LUA}
${ASKED_LUA}
local s = redis.call('HMGET', KEYS[1], 'buckets', 'jumped', 'jumpedAt')
local buckets = s[1] or '${FIRST_BUCKETS}'
if buckets ~= ARGV[2] then return {'again', buckets} end
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local number, ended, left = tonumber(ARGV[1]), 0, 0
local tally = newTally(KEYS[2])
local k = {campaign = KEYS[2], results = KEYS[3], expiries = KEYS[4], checking = KEYS[5], outcomes = KEYS[6],
  tally = tally}

local function endOpen(id, r)
  if r[SLOT] ~= 0 then
    noteLapsed(KEYS[7], id, r, now)
    setFlag(r, UNCERTAIN, true)
    r[ATTEMPTS] = r[ATTEMPTS] + 1
  end
  local detail = {}
  if hasFlag(r, EXPIRES) then
    local wish = cjson.decode(redis.call('HGET', KEYS[5], id) or '{}')
    detail[${REQUESTED_BY}], detail[${REQUESTED_BY} + 1] = wish.by, wish.at
  end
  decide(k, id, r, endingOf(r, ARGV[5]), detail, now)
  return true
end

local function endCheck(id, r)
  local check = cjson.decode(redis.call('HGET', KEYS[5], id) or '{}')
  if (tonumber(check.since) or 0) + tonumber(ARGV[6]) > now then return false end
  redis.call('HDEL', KEYS[5], id)
  decide(k, id, r, 'rejected', check.detail or {}, now)
  return true
end

-- The place before that of the next id's outcome.
local place = #KEYS - #ARGV[3] / ${ID_BYTES}
local isAsked = areAsked(place)
each(ARGV[3], ARGV[4], 8, function(id, bucket)
  place = place + 1
  local r = load(bucket, id)
  if ARGV[7] == '1' then
    if not r or isDecided(r) or not hasFlag(r, EXPIRES) then redis.call('ZREM', KEYS[4], id) return end
    local due = tonumber(redis.call('ZSCORE', KEYS[4], id))
    if not due or due > now then return end
  end
  if not r or r[CAMPAIGN] ~= number or isDecided(r) then return end
  k.bucket, k.outcome = bucket, isAsked and KEYS[place]
  -- By both clocks where they differ: this one may have jumped, and nobody has noticed yet.
  local isCalled = isClaimed(r, now) or isClaimed(r, tonumber(ARGV[8])) or wasBefore(r, s[2]) and now - tonumber(s[3]) < LONGEST_CALL
  local done = not isCalled and (r[STATE] == OPEN and endOpen(id, r) or r[STATE] == CHECKING and endCheck(id, r))
  if done then ended = ended + 1 else left = left + 1 end
end)
countTally(KEYS[2], tally, now)
return {'done', tostring(ended), tostring(left)}
`,
);

export type Ended = { kind: 'done'; ended: number; left: number } | { kind: 'again'; buckets: number };

export interface EndInput {
  campaign: number;
  buckets: number;
  batch: Batch;
  outcome: 'withdrawn' | 'expired';
  checkMs: number;
  /** Only single cancels whose own time has passed. */
  onlyDue: boolean;
  /** What Redis' clock should show, in ms; 0: not known. */
  time: number;
}

export async function endBatch(redis: RedisClient, keys: Keys, input: EndInput): Promise<Ended> {
  const { campaign, batch } = input;
  const reply = asList(
    await endScript(
      redis,
      [
        keys.state,
        keys.campaign(campaign),
        keys.results(campaign),
        keys.expiries,
        keys.checking,
        keys.outcomes,
        keys.attempts(campaign),
        ...batch.bucketKeys,
        ...outcomeKeysOf(keys, batch.ids),
      ],
      [
        campaign,
        input.buckets,
        batch.ids,
        batch.places,
        input.outcome,
        input.checkMs,
        input.onlyDue ? 1 : 0,
        input.time.toFixed(3),
      ],
    ),
  );
  if (reply[0] === 'again') return { kind: 'again', buckets: asNumber(reply[1]) };
  return { kind: 'done', ended: asNumber(reply[1]), left: asNumber(reply[2]) };
}
