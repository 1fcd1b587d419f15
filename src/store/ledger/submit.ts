import { LASTING_OUTCOMES, type RecordState } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { BATCH_LUA, type Batch } from './batch.ts';
import { ASKED_LUA, OUTCOME_OPEN_LUA, outcomeKeysOf } from './outcomes.ts';
import { PLACE_LUA, URGENT } from './place.ts';
import { FIRST_BUCKETS, KEPT_LUA, RECORD_LUA } from './record.ts';

/**
 * Puts ids into a campaign, or says what that would do. Repeating it changes nothing.
 *
 * An unknown id becomes open. One that this campaign owns stays as it is. One that another campaign owns is tracked: followed where it
 * is, unless it ended there in a way that does not last (see LASTING_OUTCOMES): then it is taken over. It opens again here, as the next
 * generation, and the former owner keeps what it ended as.
 *
 * KEYS  1 state, 2 campaign, 3 ids, 4 elsewhere, 5 running, 6 kept, then the batch's buckets, then what each other owner that is
 *       declared has kept, then, where there are any, each id's outcome
 * ARGV  1 campaign number (0: a new one), 2 buckets, 3 number of bucket keys, 4 ids, 5 places, 6 the campaign's name (empty: any),
 *       7 '1' to write nothing, 8… numbers of the declared owners
 * Returns  {'done', accepted, already, records, buckets, tracked {owner, state, count, …}, taken over {…}}
 *          {'again', 'buckets', n} | {'again', 'owners', n, …} | {'closed', state}
 */
const submitScript = defineScript(
  'submit',
  /* lua */ `
${RECORD_LUA}
${KEPT_LUA}
${BATCH_LUA}
${PLACE_LUA}
${ASKED_LUA}
${OUTCOME_OPEN_LUA}
local FIRST, number, isDry = 7, tonumber(ARGV[1]), ARGV[7] == '1'
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[2] then return {'again', 'buckets', buckets} end
local c = redis.call('HMGET', KEYS[2], 'state', 'priority', 'name')
-- A list may take hours to come: meanwhile Redis can have lost its data, and given the number to another campaign.
if ARGV[6] ~= '' and c[3] ~= ARGV[6] then return {'closed', 'deleted'} end
if number ~= 0 and c[1] ~= 'running' and c[1] ~= 'paused' then return {'closed', c[1] or 'deleted'} end

local keptBy = {}
for i = 8, #ARGV do keptBy[tonumber(ARGV[i])] = KEYS[FIRST + tonumber(ARGV[3]) + i - 8] end
local OWN = {}
local LASTS = {open = true, checking = true, ${LASTING_OUTCOMES.map((outcome) => `${outcome} = true`).join(', ')}}

-- Nearly always nearly all of them are unknown, and then one command per id is enough.
local records, missing, fresh, order = {}, {}, {}, {}
local FRESH = packed(newRecord(number, 1))
local function isFresh(bucket, id)
  if isDry then return not redis.call('HGET', bucket, id) and not fresh[id] end
  return redis.call('HSETNX', bucket, id, FRESH) == 1
end
each(ARGV[4], ARGV[5], FIRST, function(id, bucket)
  if isFresh(bucket, id) then
    fresh[id] = bucket
    order[#order + 1] = id
    return
  end
  records[id] = OWN
  if fresh[id] then return end
  local r = load(bucket, id)
  records[id] = r
  if r[CAMPAIGN] ~= number and not LASTS[STATES[r[STATE]]] and not keptBy[r[CAMPAIGN]] then
    missing[#missing + 1] = r[CAMPAIGN]
  end
end)
-- Nothing may be left written when a key that will be written is not declared.
if #missing > 0 and not isDry then
  for id, bucket in pairs(fresh) do redis.call('HDEL', bucket, id) end
  return {'again', 'owners', unpack(missing)}
end

local accepted, already, known, rewind = 0, 0, 0, false
local listed, tracked, takenOver = {}, {}, {}
local hasMore = redis.call('EXISTS', KEYS[4], KEYS[6]) > 0

local function countIn(counts, r)
  local owner = r[CAMPAIGN] .. ' ' .. STATES[r[STATE]]
  counts[owner] = (counts[owner] or 0) + 1
end

local function track(id, r)
  countIn(tracked, r)
  if isDry then return end
  local isListed = hasMore and unkeep(KEYS[6], KEYS[2], id)
  if redis.call('SADD', KEYS[4], id) == 1 and not isListed then listed[#listed + 1] = id end
end

-- The place before that of the next id's outcome, where outcomes are declared: as owners are, for nearly always there are none.
local place = FIRST - 1 + tonumber(ARGV[3]) + #ARGV - 7
local isAsked = #ARGV > 7 and areAsked(place)

local function takeOver(id, bucket, r)
  countIn(takenOver, r)
  known = known + 1
  local new = newRecord(number, r[GENERATION] + 1)
  records[id] = new
  if isDry then return end
  keep(keptBy[r[CAMPAIGN]], id, r)
  setFlag(new, UNCERTAIN, hasFlag(r, UNCERTAIN))
  save(bucket, id, new)
  if isAsked then outcomeIsOpen(KEYS[place]) end
end

local function list(id)
  accepted = accepted + 1
  if isDry then return end
  if hasMore and (unkeep(KEYS[6], KEYS[2], id) or redis.call('SREM', KEYS[4], id) == 1) then rewind = true
  else listed[#listed + 1] = id end
end

if next(records) == nil and not hasMore then
  accepted, listed = #order, order
else each(ARGV[4], ARGV[5], FIRST, function(id, bucket)
  place = place + 1
  local r = records[id]
  if fresh[id] then
    -- Named again in this batch, it is this campaign's already.
    fresh[id], records[id] = nil, OWN
    return list(id)
  end
  if r == OWN or r[CAMPAIGN] == number then already = already + 1 return end
  if LASTS[STATES[r[STATE]]] then return track(id, r) end
  takeOver(id, bucket, r)
  list(id)
end) end

local function flat(counts)
  local all = {}
  for owner, count in pairs(counts) do
    all[#all + 1] = owner
    all[#all + 1] = tostring(count)
  end
  return all
end
local total = redis.call('HGET', KEYS[1], 'records') or '0'
if not isDry then
  if #listed > 0 then redis.call('RPUSH', KEYS[3], unpack(listed)) end
  if rewind then redis.call('HSET', KEYS[2], 'cursor', 0, 'low', 0) end
  if accepted > 0 then
    redis.call('HINCRBY', KEYS[2], 'total', accepted)
    redis.call('HINCRBY', KEYS[2], 'open', accepted)
    total = tostring(redis.call('HINCRBY', KEYS[1], 'records', accepted - known))
  end
  -- An urgent one has those called, too, that others own.
  if c[1] == 'running' and (accepted > 0 or #listed > 0 and c[2] == '${URGENT}') then
    redis.call('ZADD', KEYS[5], feedingPlace(c[2], number), number)
  end
end
return {'done', tostring(accepted), tostring(already), total, buckets, flat(tracked), flat(takenOver)}
`,
);

/** Ids that another campaign owns, or owned: how many, in which state there, and the campaign's number. */
export interface OfOther {
  campaign: number;
  state: RecordState;
  count: number;
}

export type Submitted =
  | {
      kind: 'done';
      /** Those that were taken over included. */
      accepted: number;
      already: number;
      tracked: OfOther[];
      takenOver: OfOther[];
      records: number;
    }
  | { kind: 'again'; buckets?: number; owners?: number[] }
  /** The campaign takes no more ids. */
  | { kind: 'closed'; state: string };

export interface SubmitInput {
  /** 0: one that does not exist yet, in a dry run. */
  campaign: number;
  name: string;
  buckets: number;
  batch: Batch;
  owners: readonly number[];
  /** Whether nothing is written. */
  isDry: boolean;
}

export async function submitBatch(redis: RedisClient, keys: Keys, input: SubmitInput): Promise<Submitted> {
  const { campaign, batch, owners } = input;
  const reply = asList(
    await submitScript(
      redis,
      [
        keys.state,
        keys.campaign(campaign),
        keys.ids(campaign),
        keys.elsewhere(campaign),
        keys.running,
        keys.kept(campaign),
        ...batch.bucketKeys,
        ...owners.map((owner) => keys.kept(owner)),
        ...(owners.length > 0 ? outcomeKeysOf(keys, batch.ids) : []),
      ],
      [
        campaign,
        input.buckets,
        batch.bucketKeys.length,
        batch.ids,
        batch.places,
        input.name,
        input.isDry ? 1 : 0,
        ...owners,
      ],
    ),
  );
  return readSubmitted(reply);
}

function readSubmitted(reply: readonly unknown[]): Submitted {
  switch (reply[0]) {
    case 'done':
      return {
        kind: 'done',
        accepted: asNumber(reply[1]),
        already: asNumber(reply[2]),
        records: asNumber(reply[3]),
        tracked: readOfOthers(asList(reply[5])),
        takenOver: readOfOthers(asList(reply[6])),
      };
    case 'again':
      return reply[1] === 'buckets'
        ? { kind: 'again', buckets: asNumber(reply[2]) }
        : { kind: 'again', owners: [...new Set(reply.slice(2).map(asNumber))] };
    case 'closed':
      return { kind: 'closed', state: asText(reply[1]) };
    default:
      throw new TypeError(`submit answered ${JSON.stringify(reply)}`);
  }
}

function readOfOthers(flat: readonly unknown[]): OfOther[] {
  const found: OfOther[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [campaign, state] = asText(flat[i]).split(' ');
    found.push({ campaign: Number(campaign), state: state as RecordState, count: asNumber(flat[i + 1]) });
  }
  return found;
}
