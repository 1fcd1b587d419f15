import type { Window } from '../../config/limits.ts';
import type { Timings } from '../../config/timings.ts';
import { expectationArguments } from '../budget/epoch.ts';
import { GUARD_LUA } from '../budget/guard.ts';
import type { Expectation } from '../budget/memory.ts';
import { PACE_LUA } from '../budget/pace.ts';
import { SLOTS_LUA } from '../budget/slots.ts';
import type { Keys, Operation } from '../keys.ts';
import { asList, defineScript, type RedisClient } from '../script.ts';
import { ATTEMPTS_LUA } from './attempts.ts';
import { AUDIT_LUA } from './audit.ts';
import { BRAKE_LUA } from './brake.ts';
import { CHECK_LUA } from './check.ts';
import { outcomeKeys } from './outcomes.ts';
import { type BeginReply, readBegin } from './permit.ts';
import { EXPIRY_LUA, FIRST_BUCKETS, KEPT_LUA, RECORD_LUA } from './record.ts';
import { DECIDE_LUA, REQUESTED_BY } from './result.ts';

/**
 * Asks whether an action may be called now, and if so takes a slot and claims the action in the same step.
 *
 * The epoch and the clock are looked at first. Then the ledger answers (an outcome, an owner that may not run, a time that has not come, somebody else's claim), then
 * the holds, then the windows. The slot's number is the claim's token. A claim that lapsed is taken over: its answer was
 * lost, so the record is uncertain from then on and an attempt is counted. Asking again with the same nonce returns the
 * same claim, so that a reply lost on the way to the worker costs nothing.
 *
 * KEYS  1 state, 2 bucket, 3 slots, 4 campaign, 5 ids, 6 results, 7 checking, 8 expiries, 9 outcomes, 10 the id's outcome,
 *       11 attempts, 12 running, 13 audit, 14 the urgent campaign that the call would be for, or 4, 15 elsewhere, 16 kept
 * ARGV  1 id (16 bytes), 2 operation, 3 campaign number, 4 to register an unknown id, what that campaign of
 *       single cancels is called ('1': whatever it is called; empty: it is not registered), 5 nonce, 6 call timeout ms,
 *       7 most attempts, 8 expiry of this wish (ms, 0: none), 9 buckets, 10 grace ms, 11 epoch, 12 seq, 13 time,
 *       14 tolerance ms, 15 changes since, 16 longest window ms, 17 ms for a check, 18 requested by, 19 requested at (empty: when
 *       the campaign was), 20 ms in which a pace comes back, 21 ms to look again after, 22… max, length of each
 *       window
 * Returns  {answer, …}, see `permit.ts`; with {now, epoch, seq, steady}, slots where the budget was looked at
 */
const beginScript = defineScript(
  'begin',
  /* lua */ `
${GUARD_LUA}
${PACE_LUA}
${SLOTS_LUA}
${RECORD_LUA}
${KEPT_LUA}
${EXPIRY_LUA}
${DECIDE_LUA}
${CHECK_LUA}
${ATTEMPTS_LUA}
${AUDIT_LUA}
${BRAKE_LUA}
local id, op, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local expiresAt = tonumber(ARGV[8])
local now = clock()
local s = redis.call('HMGET', KEYS[1], 'buckets', 'run', 'epoch', 'seq', 'grace', op .. ':penalty', op .. ':hold', op .. ':reason', op .. ':probing',
  op .. ':pace', op .. ':pacedAt', 'jumped', 'jumpedAt', op .. ':alive', op .. ':excused', 'steady')
local buckets = s[1] or '${FIRST_BUCKETS}'
if buckets ~= ARGV[9] then return {'again', 'buckets', buckets} end

local k = {bucket = KEYS[2], campaign = KEYS[4], results = KEYS[6], expiries = KEYS[8], checking = KEYS[7], outcomes = KEYS[9],
  outcome = KEYS[10], state = KEYS[1], running = KEYS[12], audit = KEYS[13]}
local c = redis.call('HMGET', k.campaign, 'state', 'expiresAt', 'direct', 'trial', 'trialId', 'trialUntil', 'trialFrom', 'unexplained')
local r = load(k.bucket, id)
if r and r[CAMPAIGN] ~= number then return {'again', 'campaign', r[CAMPAIGN]} end

-- Before anything is told from times: Redis' clock may have jumped.
local expected = {epoch = ARGV[11], seq = tonumber(ARGV[12]), time = tonumber(ARGV[13]), tolerance = tonumber(ARGV[14])}
local refusal = guard(KEYS[1], now, {run = s[2], epoch = s[3], seq = s[4]}, expected, tonumber(ARGV[10]))
if refusal then return {refusal[1], ms(now), refusal[2] or ''} end

local function decided(outcome, detail)
  local _, values = decide(k, id, r, outcome, detail, now)
  return {'decided', values}
end

-- An urgent campaign would have it called that does not own it.
local isGuest = KEYS[14] ~= k.campaign

-- Whose wish it was, where that is not the campaign's.
local function wish()
  local detail = {}
  if c[3] ~= '1' or ARGV[19] == '' then return detail end
  detail[${REQUESTED_BY}], detail[${REQUESTED_BY} + 1] = ARGV[18], ARGV[19]
  if isGuest and hasFlag(r, EXPIRES) then
    local noted = cjson.decode(redis.call('HGET', KEYS[7], id) or '{}')
    detail[${REQUESTED_BY}], detail[${REQUESTED_BY} + 1] = noted.by, noted.at
  end
  return detail
end

-- The guest may have ended since, and then wants nothing any more.
local function guestState()
  local g = redis.call('HMGET', KEYS[14], 'state', 'expiresAt')
  local guestEnd = tonumber(g[2]) or 0
  if g[1] == 'running' and guestEnd > 0 and guestEnd <= now then return 'expired' end
  return g[1] or 'deleted'
end

local isNew = not r
if isNew then
  if ARGV[4] == '' then return {'unknown'} end
  -- The number is of before: it was deleted, or Redis lost its data and the number is another's, or nobody's yet.
  local isNamed = ARGV[4] == '1' or redis.call('HGET', k.campaign, 'name') == ARGV[4]
  if c[3] ~= '1' or c[1] == 'deleted' or not isNamed then return {'again', 'direct'} end
  if c[1] ~= 'running' and c[1] ~= 'paused' then return {'owner', c[1] or 'deleted'} end
  r = newRecord(number, 1)
  save(k.bucket, id, r)
  redis.call('HINCRBY', KEYS[1], 'records', 1)
  redis.call('HINCRBY', k.campaign, 'total', 1)
  redis.call('HINCRBY', k.campaign, 'open', 1)
  -- It may have been this campaign's before, and another one's since, which is forgotten by now: then it is listed already.
  if not unkeep(KEYS[16], k.campaign, id) and redis.call('SREM', KEYS[15], id) == 0 then redis.call('RPUSH', KEYS[5], id) end
end
if isDecided(r) then return {'outcome', STATES[r[STATE]], r[POSITION]} end
-- A single cancel expires when its wish does. Of several wishes for one action the one that lasts longest counts. A guest's does not:
-- it may be aborted. What has ended as expired opens again in the guest's campaign.
local function noteExpiry()
  if isNew and expiresAt > 0 then
    expires(r, id, k, expiresAt, ARGV[18], ARGV[19])
  elseif hasFlag(r, EXPIRES) and expiresAt == 0 then
    redis.call('ZREM', KEYS[8], id)
    redis.call('HDEL', KEYS[7], id)
    setFlag(r, EXPIRES, false)
  elseif hasFlag(r, EXPIRES) then
    redis.call('ZADD', KEYS[8], 'GT', expiresAt, id)
    return
  else
    return
  end
  save(k.bucket, id, r)
end

local timeout, longest = tonumber(ARGV[6]), tonumber(ARGV[16])
local check = r[STATE] == CHECKING and cjson.decode(redis.call('HGET', KEYS[7], id) or '{}')
local function granted(probe)
  return {'granted', tostring(r[SLOT]), tostring(r[LAPSE]), r[ATTEMPTS] + r[PROBES], probe,
    check and cjson.encode(check.detail or {}) or ''}
end
if wasBefore(r, s[12]) then
  -- Whoever made it may give a call more time: its slot is in flight for two of those.
  local jumpedAt, inFlight = tonumber(s[13]), tonumber(redis.call('ZSCORE', KEYS[3], r[SLOT])) or 0
  r[LAPSE] = jumpedAt + math.max(timeout, math.min(LONGEST_CALL, inFlight - timeout - jumpedAt))
end
if isClaimed(r, now) then
  if ARGV[5] ~= tostring(r[NONCE]) then return {'claimed', ms(r[LAPSE] - now)} end
  return granted('')
end

-- Or it was made before the clock jumped, which nobody has noticed yet.
local again = tonumber(ARGV[21])
if expected.time == 0 and s[16] and isClaimed(r, tonumber(s[16])) then return {'claimed', ms(again)} end

-- A claim that lapsed: its call may have been made, and its answer was lost.
if r[SLOT] ~= 0 then
  if ARGV[5] == tostring(r[NONCE]) then
    -- Who asks again has not heard that it was granted, and has called nothing.
    redis.call('ZREM', KEYS[3], tostring(r[SLOT]))
  else
    noteLapsed(KEYS[11], id, r, now)
    if r[STATE] == OPEN then
      setFlag(r, UNCERTAIN, true)
      r[ATTEMPTS] = r[ATTEMPTS] + 1
    end
  end
  release(r)
  save(k.bucket, id, r)
end

local checkEnd = check and (tonumber(check.since) or 0) + tonumber(ARGV[17])
local function rejected()
  redis.call('HDEL', KEYS[7], id)
  return endCalled(k, id, r, 'rejected', check.detail or {}, now, nil, check.why or '')
end
if check then
  -- However long Get is held; and what it was answered by then explained nothing.
  if checkEnd + longest <= now or check.answered and checkEnd <= now then return rejected() end
  if op ~= 'get' then return {'check'} end
else
  if op ~= 'cancel' then return {'open'} end
  local campaignEnd = tonumber(c[2]) or 0
  if c[1] == 'aborted' or c[1] == 'deleted' then return decided(endingOf(r, 'withdrawn'), wish()) end
  if c[1] == 'expired' or (campaignEnd > 0 and campaignEnd <= now) then return decided(endingOf(r, 'expired'), wish()) end
  if c[3] == '1' and not isGuest then noteExpiry() end
  local score = hasFlag(r, EXPIRES) and tonumber(redis.call('ZSCORE', KEYS[8], id))
  if score and score <= now then return decided(endingOf(r, 'expired'), wish()) end
  if expiresAt > 0 and expiresAt <= now then return {'lapsed'} end
  if r[ATTEMPTS] >= tonumber(ARGV[7]) then return decided('unresolved', wish()) end
  if c[1] ~= 'running' then return {'owner', c[1] or 'deleted'} end
  local guest = isGuest and guestState()
  if guest and guest ~= 'running' then return {'owner', guest} end
  -- On trial after the brake: the others wait for the answer of the one that is being called.
  local trialLeft = c[4] and c[5] and c[5] ~= guid(id) and (tonumber(c[6]) or 0) - now or 0
  if trialLeft > 0 and trialLeft <= 2 * LONGEST_CALL then return {'claimed', ms(trialLeft)} end
end
if isPutOff(r, now, longest) then return {'later', ms(r[NOT_BEFORE] - now)} end

local function seen(answer)
  answer[#answer + 1] = {ms(now), s[3], s[4], s[16] or ''}
  answer[#answer + 1] = since(KEYS[3], ARGV[15])
  return answer
end

local function hold(reason, untilMs)
  return seen({'hold', reason, ms(untilMs - now), 0})
end

local grace, penalty, upstream = tonumber(s[5]) or 0, tonumber(s[6]) or 0, tonumber(s[7]) or 0
if grace > now then return hold('grace', grace) end
if penalty > now then return hold('penalty', penalty) end
if upstream > now and s[7] == s[9] then return seen({'hold', s[8], ms(math.min(upstream - now, again)), 1}) end
if upstream > now then return hold(s[8], upstream) end

-- Its last call failed, and one that was sent after it succeeded: that was its own trouble, unless the API was down between.
if r[FAILED] > 0 and (tonumber(s[14]) or 0) > r[FAILED] and r[FAILED] > (tonumber(s[15]) or 0) then
  if check and checkEnd <= now then return rejected() end
  if not check then
    local failed = r[FAILED]
    r[ATTEMPTS], r[PROBES], r[FAILED] = r[ATTEMPTS] + 1, r[PROBES] - 1, 0
    if r[ATTEMPTS] >= tonumber(ARGV[7]) then
      local detail, lastly = lastWords(KEYS[11], id, wish())
      -- It was on trial then, and its answer stands only now.
      if c[4] and failed > (tonumber(c[7]) or 0) then
        redis.call('HSET', k.campaign, 'trialId', guid(id), 'trialUntil', math.ceil(now + timeout))
      end
      if lastly == 'check' then
        startCheck(k, id, r, detail, now, c[8] or '')
        save(k.bucket, id, r)
        return {'check'}
      end
      return endCalled(k, id, r, lastly, detail, now, nil, c[8] or '')
    end
    save(k.bucket, id, r)
  end
end

local wait, look = waitFor(KEYS[3], now, sureTime(now, expected, s[16]), 22, paceOf(s[10], s[11], now, tonumber(ARGV[20])), again)
if wait then return seen({'window', ms(wait), look and 1 or 0}) end

local lapse = math.ceil(now + timeout)
if upstream > 0 then
  -- One probe at a time: the others look again and again whether it has told, until it has had its time.
  redis.call('HSET', KEYS[1], op .. ':hold', lapse, op .. ':probing', lapse)
end
local slot = take(KEYS[1], KEYS[3], now, lapse + timeout, longest)
s[4] = tostring(slot)
if upstream > 0 then redis.call('HSET', KEYS[1], op .. ':probe', slot) end
r[SLOT], r[LAPSE], r[NONCE], r[FAILED] = slot, lapse, tonumber(ARGV[5]), 0
save(k.bucket, id, r)
if c[4] and (op == 'cancel' or c[5] == guid(id)) then
  redis.call('HSET', k.campaign, 'trialId', guid(id), 'trialUntil', lapse)
end
return seen(granted(upstream > 0 and 'probe' or ''))
`,
);

export interface BeginInput {
  /** The action's 16 bytes. */
  id: Buffer;
  operation: Operation;
  /** The campaign believed to own the action. */
  campaign: number;
  /** Whether an id the ledger does not know is to be opened in that campaign. */
  register: boolean;
  /** What that campaign is called, if it is still there; default: whatever it is called. */
  directName?: string | undefined;
  /** A number that no other run of any job uses; below 2^31. */
  nonce: number;
  /** As in `Ask`. */
  calledFor?: number | undefined;
  /** When this wish expires, in ms since 1970; null: never. */
  expiresAt: number | null;
  requestedBy: string | null;
  /** Ms since 1970; null: when its campaign was. */
  requestedAt: number | null;
  buckets: number;
  windows: readonly Window[];
  expectation: Expectation;
}

export interface BeginSettings {
  callTimeoutMs: number;
  maxAttempts: number;
  graceMs: number;
  longestMs: number;
  /** From `recoveryMs`. */
  recoveryMs: number;
  timings: Pick<Timings, 'checkMs' | 'lookAgainMs'>;
}

export async function begin(
  redis: RedisClient,
  keys: Keys,
  bucketKey: string,
  input: BeginInput,
  settings: BeginSettings,
): Promise<BeginReply> {
  const { campaign, operation, expectation } = input;
  const reply = await beginScript(
    redis,
    [
      keys.state,
      bucketKey,
      keys.slots(operation),
      keys.campaign(campaign),
      keys.ids(campaign),
      keys.results(campaign),
      keys.checking,
      keys.expiries,
      ...outcomeKeys(keys, input.id),
      keys.attempts(campaign),
      keys.running,
      keys.audit(campaign),
      keys.campaign(input.calledFor ?? campaign),
      keys.elsewhere(campaign),
      keys.kept(campaign),
    ],
    [
      input.id,
      operation,
      campaign,
      input.register ? (input.directName ?? '1') : '',
      input.nonce,
      settings.callTimeoutMs,
      settings.maxAttempts,
      input.expiresAt ?? 0,
      input.buckets,
      settings.graceMs,
      ...expectationArguments(expectation),
      expectation.seen,
      settings.longestMs,
      settings.timings.checkMs,
      input.requestedBy ?? '',
      input.requestedAt ?? '',
      settings.recoveryMs,
      settings.timings.lookAgainMs,
      ...input.windows.flatMap((window) => [window.max, window.lengthMs]),
    ],
  );
  return readBegin(asList(reply));
}
