import { bytesToGuid } from '../../base/guid.ts';
import type { Outcome } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { BATCH_LUA, type Batch, ID_BYTES } from './batch.ts';
import { ASKED_LUA, OUTCOME_OPEN_LUA, outcomeKeysOf } from './outcomes.ts';
import { type Again, readAgain } from './permit.ts';
import { PLACE_LUA } from './place.ts';
import { EXPIRY_LUA, FIRST_BUCKETS, KEPT_LUA, RECORD_LUA } from './record.ts';

/** Opens a decided record again, as the next generation. That an answer was lost once stays true. */
const REOPEN_LUA = /* lua */ `
local function reopened(r, number)
  local new = newRecord(number, r[GENERATION] + 1)
  setFlag(new, UNCERTAIN, hasFlag(r, UNCERTAIN))
  return new
end
`;

/**
 * Opens again what ended in one of the given ways and is this campaign's own.
 *
 * KEYS  1 state, 2 campaign, 3 running, then the batch's buckets, then each id's outcome
 * ARGV  1 campaign number, 2 buckets, 3 ids, 4 places, 5 the campaign's name (empty: any), 6… outcomes
 * Returns  {'done', reopened} | {'again', buckets} | {'closed', state}
 */
const retryScript = defineScript(
  'retry',
  /* lua */ `
${RECORD_LUA}
${BATCH_LUA}
${REOPEN_LUA}
${PLACE_LUA}
${ASKED_LUA}
${OUTCOME_OPEN_LUA}
local number = tonumber(ARGV[1])
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[2] then return {'again', buckets} end
local c = redis.call('HMGET', KEYS[2], 'state', 'priority', 'name')
if ARGV[5] ~= '' and c[3] ~= ARGV[5] then return {'closed', 'deleted'} end
if c[1] ~= 'running' and c[1] ~= 'paused' then return {'closed', c[1] or 'deleted'} end
local wanted, count, stopped, by = {}, 0, 0, {}
for i = 6, #ARGV do wanted[ARGV[i]] = true end
-- The place before that of the next id's outcome.
local place = #KEYS - #ARGV[3] / ${ID_BYTES}
local isAsked = areAsked(place)
each(ARGV[3], ARGV[4], 4, function(id, bucket)
  place = place + 1
  local r = load(bucket, id)
  if not r or r[CAMPAIGN] ~= number or not wanted[STATES[r[STATE]]] then return end
  save(bucket, id, reopened(r, number))
  if isAsked then outcomeIsOpen(KEYS[place]) end
  count = count + 1
  if hasFlag(r, STOPPED) then stopped = stopped + 1 end
  by[STATES[r[STATE]]] = (by[STATES[r[STATE]]] or 0) + 1
end)
if count > 0 then
  for outcome, n in pairs(by) do redis.call('HINCRBY', KEYS[2], outcome, -n) end
  redis.call('HINCRBY', KEYS[2], 'open', count)
  if stopped > 0 then redis.call('HINCRBY', KEYS[2], 'stopped', -stopped) end
  redis.call('HSET', KEYS[2], 'cursor', 0, 'low', 0)
  if c[1] == 'running' then redis.call('ZADD', KEYS[3], feedingPlace(c[2], number), number) end
end
return {'done', tostring(count)}
`,
);

export type Retried =
  | { kind: 'done'; reopened: number }
  | { kind: 'again'; buckets: number }
  | { kind: 'closed'; state: string };

export async function retryBatch(
  redis: RedisClient,
  keys: Keys,
  input: { campaign: number; name: string; buckets: number; batch: Batch; outcomes: readonly Outcome[] },
): Promise<Retried> {
  const { campaign, batch } = input;
  const reply = asList(
    await retryScript(
      redis,
      [
        keys.state,
        keys.campaign(campaign),
        keys.running,
        ...batch.bucketKeys,
        ...outcomeKeysOf(keys, batch.ids),
      ],
      [campaign, input.buckets, batch.ids, batch.places, input.name, ...input.outcomes],
    ),
  );
  if (reply[0] === 'again') return { kind: 'again', buckets: asNumber(reply[1]) };
  if (reply[0] === 'closed') return { kind: 'closed', state: asText(reply[1]) };
  return { kind: 'done', reopened: asNumber(reply[1]) };
}

/**
 * A service's job that says `again`: opens the next generation after any outcome, under the campaign of single cancels.
 * The job keeps the generation it asked for, so that a re-run of it is not taken for a new wish. That generation expires
 * when the wish does, as one that `begin` registers. Refused when the campaign of single cancels takes no more ids.
 *
 * KEYS  1 state, 2 bucket, 3 the job, 4 campaign of single cancels, 5 its ids, 6 its elsewhere, 7 owner, 8 what that has
 *       kept, 9 expiries, 10 checking, 11 the id's outcome, 12 what the campaign of single cancels has kept
 * ARGV  1 id (16 bytes), 2 number of the campaign of single cancels, 3 buckets, 4 number of the owner declared, or 0,
 *       5 expiry of this wish (ms, 0: none), 6 requested by, 7 requested at, 8 name of the campaign of single cancels (empty: any)
 * Returns  {'done'} | {'refused'} | {'again', 'buckets' | 'campaign', n} | {'again', 'direct'}
 */
const renewScript = defineScript(
  'renew',
  /* lua */ `
${RECORD_LUA}
${KEPT_LUA}
${REOPEN_LUA}
${EXPIRY_LUA}
${OUTCOME_OPEN_LUA}
local id, number, owner = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[3] then return {'again', 'buckets', buckets} end
if redis.call('EXISTS', KEYS[3]) == 0 or redis.call('HEXISTS', KEYS[3], 'sd:generation') == 1 then return {'done'} end
-- Refused before, and whoever asked through the inbox was told: that stands, also if the day has changed since.
if redis.call('HEXISTS', KEYS[3], 'sd:told') == 1 then return {'refused'} end
local r = load(KEYS[2], id)
if r and isDecided(r) and r[CAMPAIGN] ~= owner then return {'again', 'campaign', r[CAMPAIGN]} end
local generation = r and r[GENERATION] or 1
if r and isDecided(r) then
  local c = redis.call('HMGET', KEYS[4], 'state', 'direct', 'name')
  if c[2] ~= '1' or c[1] == 'deleted' or (ARGV[8] ~= '' and c[3] ~= ARGV[8]) then return {'again', 'direct'} end
  if c[1] ~= 'running' and c[1] ~= 'paused' then return {'refused'} end
  local new = reopened(r, number)
  generation = new[GENERATION]
  if tonumber(ARGV[5]) > 0 then expires(new, id, {expiries = KEYS[9], checking = KEYS[10]}, tonumber(ARGV[5]), ARGV[6], ARGV[7]) end
  save(KEYS[2], id, new)
  outcomeIsOpen(KEYS[11])
  if owner == number then
    redis.call('HINCRBY', KEYS[7], STATES[r[STATE]], -1)
    if hasFlag(r, STOPPED) then redis.call('HINCRBY', KEYS[7], 'stopped', -1) end
  else
    keep(KEYS[8], id, r)
    redis.call('HINCRBY', KEYS[4], 'total', 1)
    if not unkeep(KEYS[12], KEYS[4], id) and redis.call('SREM', KEYS[6], id) == 0 then redis.call('RPUSH', KEYS[5], id) end
  end
  redis.call('HINCRBY', KEYS[4], 'open', 1)
end
redis.call('HSET', KEYS[3], 'sd:generation', generation)
return {'done'}
`,
);

/** Whose wish it is that opens another generation, and how long it holds. */
export interface Wish {
  /** Ms since 1970; null: never. */
  expiresAt: number | null;
  requestedBy: string | null;
  /** Ms since 1970. */
  requestedAt: number;
}

export interface RenewInput {
  id: Buffer;
  bucketKey: string;
  /** BullMQ's key of the job. */
  jobKey: string;
  direct: number;
  /** What it is called, if it is still there; empty: whatever it is called. */
  directName: string;
  /** The campaign believed to own the action. */
  owner: number;
  buckets: number;
  wish: Wish;
}

export type Renewed = { kind: 'done' } | { kind: 'refused' } | Again;

export async function renew(redis: RedisClient, keys: Keys, input: RenewInput): Promise<Renewed> {
  const { direct, owner, wish } = input;
  const reply = asList(
    await renewScript(
      redis,
      [
        keys.state,
        input.bucketKey,
        input.jobKey,
        keys.campaign(direct),
        keys.ids(direct),
        keys.elsewhere(direct),
        keys.campaign(owner),
        keys.kept(owner),
        keys.expiries,
        keys.checking,
        keys.outcome(bytesToGuid(input.id)),
        keys.kept(direct),
      ],
      [
        input.id,
        direct,
        input.buckets,
        owner,
        wish.expiresAt ?? 0,
        wish.requestedBy ?? '',
        wish.requestedAt,
        input.directName,
      ],
    ),
  );
  if (reply[0] === 'done' || reply[0] === 'refused') return { kind: reply[0] };
  return readAgain(reply);
}
