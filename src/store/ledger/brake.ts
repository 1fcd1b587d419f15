import { NO_REASON } from '../../base/outcome.ts';

/** After so many refusals in a row, all with the same status and code, a named campaign is paused. */
export const PAUSE_AFTER_REFUSALS = 20;

/** How the reason of a pause begins; what was answered follows. */
export const PAUSED = `Paused after ${PAUSE_AFTER_REFUSALS} refusals in a row`;
export const PAUSED_AGAIN = 'Paused again: the first call after it was resumed got the same answer';

/**
 * The brake: what is refused in the same way again and again is not for a worker to go on with. Only what a call brought
 * counts; what ends without one says nothing about the next.
 *
 * Resumed, a campaign is on trial: one action is called, and the others wait for its answer. In the campaign's hash:
 * `refusals` and `refusedAs` (how many in a row, and what they were), `tolerant` (a person said to go on regardless), `trial`
 * (the refusal that paused it), `trialFrom` (the last slot before it was resumed), `trialId` and `trialUntil` (the action that is
 * being called, and when its time is over). `unexplained`: what a pause is to say of the last answer without a reason, for such a
 * refusal stands only when others have succeeded.
 *
 * After DECIDE_LUA and AUDIT_LUA.
 */
export const BRAKE_LUA = /* lua */ `
local REFUSALS = {forbidden = true, not_found = true, rejected = true}
local ANSWERED = {cancelled = true, accepted = true, already_final = true}

-- Whether only the API itself, at the right address, can have answered so.
local function isFromApi(verdict, outcome, status, code)
  local hasReason = code ~= '' and code ~= '${NO_REASON}'
  if verdict == 'check' then return hasReason end
  return verdict == 'decided' and (ANSWERED[outcome] or status == '400' and hasReason) or false
end

-- A refusal's name; nil where there is none. A wrong address answers 404, too, and may do so in the API's own form.
local function refusalOf(outcome, status, code, isPathRight)
  if outcome == 'not_found' and code ~= '' and code ~= '${NO_REASON}' and isPathRight then return nil end
  return REFUSALS[outcome] and outcome .. ' ' .. status .. ' ' .. code or nil
end

-- Takes in an outcome that a call brought. Returns why its campaign is to be paused: 'row' | 'trial' | nil.
local function brake(campaignKey, trialId, outcome, refusal)
  local c = redis.call('HMGET', campaignKey, 'state', 'direct', 'tolerant', 'refusals', 'refusedAs', 'trial', 'trialId')
  if c[2] == '1' or c[3] == '1' then return nil end
  local isTrial, isRunning = c[6] and c[7] == trialId, c[1] == 'running'
  if isTrial then redis.call('HDEL', campaignKey, 'trialId', 'trialUntil') end
  if not REFUSALS[outcome] and not ANSWERED[outcome] then return nil end
  -- Paused by a person meanwhile: the trial is not over.
  if isTrial and (isRunning or refusal ~= c[6]) then redis.call('HDEL', campaignKey, 'trial') end
  -- What was in flight when it was paused is no news: the reason stays what it was.
  if not isRunning then return nil end
  local inARow = 0
  if refusal then
    inARow = (refusal == c[5] and tonumber(c[4]) or 0) + 1
    redis.call('HSET', campaignKey, 'refusals', inARow, 'refusedAs', refusal)
  elseif (tonumber(c[4]) or 0) > 0 then
    redis.call('HSET', campaignKey, 'refusals', 0)
  end
  if isTrial and refusal == c[6] then return 'trial' end
  return inARow >= ${PAUSE_AFTER_REFUSALS} and 'row' or nil
end

-- Ends a request with what its calls brought, and pauses its campaign where the brake says so, with a reason that says what was
-- answered. k: as for decide, and state, running, audit.
local function endCalled(k, id, r, outcome, detail, now, isPathRight, reason)
  local _, values = decide(k, id, r, outcome, detail, now)
  local why = brake(k.campaign, guid(id), outcome, refusalOf(outcome, detail[1] or '', detail[2] or '', isPathRight))
  if not why then return {'decided', values} end
  local joint = reason == '' and '.' or string.sub(reason, 1, 1) == '(' and ' ' or '. '
  reason = (why == 'trial' and '${PAUSED_AGAIN}' or '${PAUSED}') .. joint .. reason
  redis.call('HSET', k.campaign, 'state', 'paused', 'pausedReason', reason, 'pausedAt', math.floor(now))
  redis.call('ZREM', k.running, r[CAMPAIGN])
  redis.call('HINCRBY', k.state, 'steer', 1)
  audit(k.audit, 'pause', 'standdown', '', reason)
  return {'decided', values, 'paused'}
end

-- The action's answer is still to come: until then (ms), or not at all for now, and another one may go.
local function keepTrial(campaignKey, trialId, untilMs)
  if redis.call('HGET', campaignKey, 'trialId') ~= trialId then return end
  if untilMs then redis.call('HSET', campaignKey, 'trialUntil', untilMs)
  else redis.call('HDEL', campaignKey, 'trialId', 'trialUntil') end
end
`;
