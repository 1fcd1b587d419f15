import type { Detail, Outcome } from '../../base/outcome.ts';
import type { Timings } from '../../config/timings.ts';
import { GUARD_LUA } from '../budget/guard.ts';
import { PACE_LUA } from '../budget/pace.ts';
import { SLOTS_LUA } from '../budget/slots.ts';
import type { Keys, Operation } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { ATTEMPTS_LUA } from './attempts.ts';
import { AUDIT_LUA } from './audit.ts';
import { BRAKE_LUA } from './brake.ts';
import { CHECK_LUA } from './check.ts';
import { outcomeKeys } from './outcomes.ts';
import { FIRST_BUCKETS, RECORD_LUA } from './record.ts';
import { DECIDE_LUA, detailArguments } from './result.ts';

/** After so many failures in a row, with no success between, the upstream is taken as down; or after `downMs` of nothing else. */
export const DOWN_AFTER = 10;
/** So many failed calls of one id may be left uncharged. It is far above DOWN_AFTER, so that one request alone outlasts an outage. */
export const FREE_PROBES = 100;
/** Fewer in a row that were answered without a reason: an unknown id may always be, and somebody waits for what became of it. */
export const FREE_UNEXPLAINED = 10;

/**
 * Ends a call: settles its slot in any case, and, with the claim's token only, records what became of the request.
 *
 * A 429 sets a penalty and lowers the pace. A failure counts towards the hold of an upstream that is down, a success of a call that
 * was sent later ends it. What was sent before the last success is no evidence any more, however late its answer comes.
 *
 * Whether a failure was the request's own trouble is known only later: `begin` charges it as an attempt if a call that was sent
 * after it succeeded. Failures of an outage are excused: those of a run that lasted as long as it takes to be down, and those
 * in a row after which the server named a wait.
 *
 * KEYS  1 state, 2 bucket, 3 slots, 4 campaign, 5 results, 6 checking, 7 expiries, 8 running, 9 audit,
 *       10 outcomes, 11 the id's outcome, 12 attempts
 * ARGV  1 id (16 bytes), 2 operation, 3 campaign number, 4 slot, 5 until ms, 6 answered | lost | unsent,
 *       7 decided | retry | wait | check, 8 outcome (of a retry: how its last attempt ends, an outcome or check; empty:
 *       unresolved; of a look with Get that explained nothing: rejected), 9 uncertain, 10 may cost an attempt, 11 delay ms, 12 penalty ms,
 *       13 alive | fault | unauthorized | none, 14 was a probe, 15 most attempts, 16 longest window ms, 17 reason for a
 *       pause, 18 buckets, 19 ms in which a pace comes back, 20 ms until the first probe of an upstream that is down, 21 at most between
 *       two, 22 ms for which every call has to fail until it is down, 23 ms that the server asked to wait (0: none), 24… detail; the last
 *       one: the API's address
 * Returns  {answer, …}, see `readFinished`
 */
const finishScript = defineScript(
  'finish',
  /* lua */ `
${GUARD_LUA}
${PACE_LUA}
${SLOTS_LUA}
${RECORD_LUA}
${DECIDE_LUA}
${CHECK_LUA}
${ATTEMPTS_LUA}
${AUDIT_LUA}
${BRAKE_LUA}
local id, op, number, slot, verdict = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[7]
local now, longest = clock(), tonumber(ARGV[16])
local s = redis.call('HMGET', KEYS[1], 'buckets', op .. ':hold', op .. ':step', op .. ':streak', op .. ':alive', op .. ':failing',
  op .. ':failed', op .. ':until', op .. ':probe', 'answers:' .. ARGV[#ARGV])
if (s[1] or '${FIRST_BUCKETS}') ~= ARGV[18] then return {'again', 'buckets', s[1] or '${FIRST_BUCKETS}'} end
local k = {bucket = KEYS[2], campaign = KEYS[4], results = KEYS[5], expiries = KEYS[7], checking = KEYS[6], outcomes = KEYS[10],
  outcome = KEYS[11], state = KEYS[1], running = KEYS[8], audit = KEYS[9]}
local r = load(k.bucket, id)
if r and r[CAMPAIGN] ~= number then return {'again', 'campaign', r[CAMPAIGN]} end

settle(KEYS[3], slot, ARGV[6], now, tonumber(ARGV[5]))

local penalty = tonumber(ARGV[12])
if penalty > 0 then refused(KEYS[1], op, slot, now, penalty, longest, tonumber(ARGV[19])) end

local function set(...) redis.call('HSET', KEYS[1], ...) end
local call, sign, busy = tonumber(slot), ARGV[13], math.min(tonumber(ARGV[23]), longest)
local hold, streak, alive = tonumber(s[2]) or 0, tonumber(s[4]) or 0, tonumber(s[5]) or 0
-- Of the run of failures since the last success: when it began, its latest slot, and until when the server asked to wait.
local failing, failed, named = tonumber(s[6]) or now, tonumber(s[7]) or 0, tonumber(s[8]) or 0
local wasDown, isDown = hold > 0, streak >= ${DOWN_AFTER} or now - failing >= tonumber(ARGV[22])
-- By its slot: another probe goes out when this one has had its time.
local isProbe = s[9] == slot or not s[9] and ARGV[14] == '1'
local function holdUntil(untilMs)
  hold = math.max(untilMs, named)
  set(op .. ':hold', hold)
end
local function holdOn(reason, step)
  holdUntil(math.ceil(now + math.min(tonumber(ARGV[20]) * 2 ^ step, tonumber(ARGV[21]))))
  set(op .. ':reason', reason, op .. ':step', step)
end
if sign == 'alive' then
  if call > alive then set(op .. ':alive', slot) end
  if (wasDown or streak > 0) and call > failed then
    if wasDown or isDown or (named > 0 and streak > 1) then set(op .. ':excused', slot) end
    hold = 0
    redis.call('HDEL', KEYS[1], op .. ':hold', op .. ':reason', op .. ':step', op .. ':streak', op .. ':failing', op .. ':failed',
      op .. ':until', op .. ':probe')
  end
elseif (sign == 'fault' or sign == 'unauthorized') and call > alive then
  set(op .. ':failed', math.max(failed, call))
  if sign == 'fault' then
    isDown = isDown or streak + 1 >= ${DOWN_AFTER}
    set(op .. ':streak', streak + 1, op .. ':failing', math.floor(failing))
    if busy > 0 then
      named = math.max(named, math.ceil(now + busy))
      set(op .. ':until', named)
    end
  end
  local reason = sign == 'fault' and 'upstream' or 'unauthorized'
  if isProbe and wasDown then holdOn(reason, (tonumber(s[3]) or 0) + 1)
  elseif not wasDown and (sign == 'unauthorized' or isDown) then holdOn(reason, 0)
  elseif wasDown and named > hold then holdUntil(named)
  end
elseif isProbe and wasDown then
  -- It told nothing (a stale token, a 429): the next one need not wait until this one would have had its time.
  holdUntil(math.floor(now))
end

local outcome, status, code = ARGV[8], ARGV[24], ARGV[25]
if not s[10] and isFromApi(verdict, outcome, status, code) then
  s[10] = '1'
  redis.call('HSET', KEYS[1], 'answers:' .. ARGV[#ARGV], s[10])
end

if not r then return {'unknown'} end
if tostring(r[SLOT]) ~= slot then
  if isDecided(r) then return {'outcome', STATES[r[STATE]], r[POSITION]} end
  -- Redis lost the claim, and perhaps somebody else has one: what this call did the next one may meet.
  local mayHaveBeen = ARGV[9] == '1' or verdict == 'decided' and ANSWERED[ARGV[8]]
  if op == 'cancel' and mayHaveBeen and not hasFlag(r, UNCERTAIN) then
    setFlag(r, UNCERTAIN, true)
    save(k.bucket, id, r)
  end
  return {'open', '0'}
end

local function note(waitMs)
  -- What was given back before it left is no attempt.
  if ARGV[6] == 'unsent' and sign ~= 'fault' then return end
  noteAttempt(KEYS[12], id, r, now, op, verdict, ARGV[6], waitMs, detailFrom(24), ARGV[8])
end

local function ended(as)
  return endCalled(k, id, r, as, detailFrom(24), now, s[10], ARGV[17])
end

-- What may pass is tried again, which costs an attempt; the last one's status has to do. What never left says nothing about the
-- request, however often.
local costs = ARGV[10] == '1' and sign ~= 'fault' and not wasDown and not isProbe
local isUnexplained = verdict == 'retry' and sign == 'fault' and ARGV[8] ~= ''
local isUsedUp = r[PROBES] >= ${FREE_PROBES} or isUnexplained and r[UNEXPLAINED] >= ${FREE_UNEXPLAINED}
local isCharged = costs or isUsedUp and ARGV[6] ~= 'unsent'
if verdict == 'retry' and ARGV[8] ~= '' and isCharged and r[STATE] == OPEN and r[ATTEMPTS] + 1 >= tonumber(ARGV[15]) then
  verdict = ARGV[8] == 'check' and 'check' or 'decided'
end

if verdict == 'check' then
  startCheck(k, id, r, detailFrom(24), now, ARGV[17])
  r[ATTEMPTS] = r[ATTEMPTS] + 1
  save(k.bucket, id, r)
  keepTrial(k.campaign, guid(id), ARGV[5])
  note(0)
  return {'check'}
end

if verdict == 'decided' then
  if ARGV[9] == '1' then setFlag(r, UNCERTAIN, true) end
  if r[STATE] == CHECKING then redis.call('HDEL', KEYS[6], id)
  else r[ATTEMPTS] = r[ATTEMPTS] + 1 end
  return ended(outcome)
end

-- Another attempt is needed, or another look.
local delay = tonumber(ARGV[11])
if sign == 'fault' then
  if busy > 0 then delay = math.max(delay, busy)
  -- It may be its own trouble that gave no reason: the next probe is another's, if there is one.
  elseif hold > 0 and ARGV[8] ~= '' then delay = math.max(0, hold - now) + tonumber(ARGV[20])
  -- While it is down the hold says when the next one goes out.
  elseif hold > 0 then delay = math.min(delay, math.max(0, hold - now)) end
  if ARGV[10] == '1' or r[STATE] == CHECKING and ARGV[6] ~= 'unsent' then r[FAILED] = call end
end
if verdict == 'retry' and r[STATE] == OPEN then
  if isCharged then
    r[ATTEMPTS] = r[ATTEMPTS] + 1
    if r[FAILED] > 0 then r[FAILED] = -r[FAILED] end
  elseif ARGV[6] ~= 'unsent' then r[PROBES] = r[PROBES] + 1 end
  r[UNEXPLAINED] = isUnexplained and r[UNEXPLAINED] + 1 or 0
  if ARGV[9] == '1' then setFlag(r, UNCERTAIN, true) end
end
if r[STATE] == CHECKING and ARGV[8] ~= '' then noteUnexplained(k, id) end
release(r)
r[NOT_BEFORE] = delay > 0 and math.ceil(now + delay) or 0
if r[STATE] == OPEN then
  local c = redis.call('HMGET', k.campaign, 'state', 'expiresAt')
  local campaignEnd = tonumber(c[2]) or 0
  local ending
  if c[1] == 'aborted' or c[1] == 'deleted' then ending = endingOf(r, 'withdrawn')
  elseif c[1] == 'expired' or (campaignEnd > 0 and campaignEnd <= now) then ending = endingOf(r, 'expired')
  elseif r[ATTEMPTS] >= tonumber(ARGV[15]) then ending = 'unresolved'
  end
  if ending then
    note(penalty)
    return ended(ending)
  end
  if c[1] and sign == 'fault' and ARGV[8] ~= '' then redis.call('HSET', k.campaign, 'unexplained', ARGV[17]) end
end
-- After a 403 the same action is tried once more, with a newer token.
local isTrialOn = r[STATE] ~= OPEN or verdict == 'wait' and status == '403'
keepTrial(k.campaign, guid(id), isTrialOn and ARGV[5])
save(k.bucket, id, r)
note(penalty > 0 and penalty or delay)
return {'open', ms(delay)}
`,
);

/** What a call came to, for the ledger. */
export type Verdict =
  | { kind: 'decided'; outcome: Outcome; detail: Detail }
  /**
   * Not answered as it should be: another attempt after `delayMs`. `uncertain`: it may have been carried out. `costsAttempt`: if it turns out
   * to have been the request's own trouble; what is surely the API's is charged at once. `lastly`: how the last attempt ends; default
   * `unresolved`.
   */
  | {
      kind: 'retry';
      delayMs: number;
      uncertain: boolean;
      costsAttempt: boolean;
      lastly?: Outcome | 'check';
      detail: Detail;
    }
  /**
   * Not its own trouble (429, 401, given back): no attempt. `lastly`: Get was answered, but not what a 400 was about; it ends so when the
   * look has lasted long enough.
   */
  | { kind: 'wait'; delayMs: number; lastly?: 'rejected'; detail: Detail }
  /** A 400: from now on only Get. */
  | { kind: 'check'; detail: Detail };

export interface FinishInput {
  /** The action's 16 bytes. */
  id: Buffer;
  operation: Operation;
  campaign: number;
  slot: string;
  /** Up to when the call may still be counted, on Redis' clock, in ms. */
  untilMs: number;
  /** `unsent` only when the call provably never left. */
  slotFate: 'answered' | 'lost' | 'unsent';
  verdict: Verdict;
  /** From a 429; 0 for none. */
  penaltyMs: number;
  /** How long the answer of a call that failed asks to wait, in ms. Kept for the id; for all of the operation while nothing succeeds. */
  busyMs?: number;
  /** What the answer says about the upstream. */
  sign: 'alive' | 'fault' | 'unauthorized' | 'none';
  probe: boolean;
  /** Shown when this refusal pauses the campaign. */
  pauseReason: string;
  /** Where the call went: what one address answered says nothing about another. */
  address: string;
  buckets: number;
}

export type Finished =
  /** Values of its results entry; `paused`: this refusal paused the campaign. */
  | { kind: 'decided'; values: readonly unknown[]; paused: boolean }
  /** Somebody else's outcome stands. */
  | { kind: 'outcome'; outcome: Outcome; position: number }
  | { kind: 'open'; ms: number }
  | { kind: 'check' }
  | { kind: 'unknown' }
  | { kind: 'again'; buckets?: number; campaign?: number };

export interface FinishSettings {
  maxAttempts: number;
  longestMs: number;
  /** From `recoveryMs`. */
  recoveryMs: number;
  timings: Pick<Timings, 'downMs' | 'firstProbeMs' | 'lastProbeMs'>;
}

export async function finish(
  redis: RedisClient,
  keys: Keys,
  bucketKey: string,
  input: FinishInput,
  settings: FinishSettings,
): Promise<Finished> {
  const { campaign, operation, verdict } = input;
  const reply = await finishScript(
    redis,
    [
      keys.state,
      bucketKey,
      keys.slots(operation),
      keys.campaign(campaign),
      keys.results(campaign),
      keys.checking,
      keys.expiries,
      keys.running,
      keys.audit(campaign),
      ...outcomeKeys(keys, input.id),
      keys.attempts(campaign),
    ],
    [
      input.id,
      operation,
      campaign,
      input.slot,
      input.untilMs,
      input.slotFate,
      ...verdictArguments(verdict),
      input.penaltyMs,
      input.sign,
      input.probe ? 1 : 0,
      settings.maxAttempts,
      settings.longestMs,
      input.pauseReason,
      input.buckets,
      settings.recoveryMs,
      settings.timings.firstProbeMs,
      settings.timings.lastProbeMs,
      settings.timings.downMs,
      Math.ceil(input.busyMs ?? 0),
      ...detailArguments(verdict.detail),
      input.address,
    ],
  );
  return readFinished(asList(reply));
}

function verdictArguments(verdict: Verdict): (string | number)[] {
  const retry = verdict.kind === 'retry' ? verdict : null;
  const again = verdict.kind === 'retry' || verdict.kind === 'wait' ? verdict : null;
  const outcome = verdict.kind === 'decided' ? verdict.outcome : (again?.lastly ?? '');
  const delayMs = again?.delayMs ?? 0;
  return [verdict.kind, outcome, retry?.uncertain ? 1 : 0, retry?.costsAttempt ? 1 : 0, Math.ceil(delayMs)];
}

function readFinished(reply: readonly unknown[]): Finished {
  const [kind, first, second] = reply;
  switch (kind) {
    case 'decided':
      return { kind, values: asList(first), paused: second === 'paused' };
    case 'outcome':
      return { kind, outcome: asText(first) as Outcome, position: asNumber(second) };
    case 'open':
      return { kind, ms: asNumber(first) };
    case 'check':
    case 'unknown':
      return { kind };
    case 'again':
      return first === 'buckets' ? { kind, buckets: asNumber(second) } : { kind, campaign: asNumber(second) };
    default:
      throw new TypeError(`finish answered ${JSON.stringify(reply)}`);
  }
}
