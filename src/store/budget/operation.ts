import { longestMs, type Window } from '../../config/limits.ts';
import type { Operation } from '../keys.ts';
import { asList, asNumber, asText, defineScript } from '../script.ts';
import { type EpochContext, expectationArguments, recover, shift, sighting } from './epoch.ts';
import { GUARD_LUA } from './guard.ts';
import { PACE_LUA, recoveryMs } from './pace.ts';
import { SLOTS_LUA } from './slots.ts';
import { startTerm, type Term } from './term.ts';

/**
 * Takes a slot for a call that belongs to no single request (the list's).
 *
 * KEYS  1 state, 2 slots
 * ARGV  1 grace ms, 2 epoch, 3 seq, 4 time, 5 tolerance, 6 changes since, 7 operation, 8 call timeout ms,
 *       9 longest window ms, 10 ms in which a pace comes back, 11 ms to look again after, 12… max, length of each window
 * Returns  {'granted', slot, until, {now, epoch, seq, steady}, slots} | {'wait', ms, 'fault' | 'penalty'}
 *          {'wait', ms, 'grace', false, why} | {'wait', ms, 'window', {now, epoch, seq, steady}, slots} | {'epoch' | 'time', now, why}
 */
const takeScript = defineScript(
  'take',
  /* lua */ `
${GUARD_LUA}
${PACE_LUA}
${SLOTS_LUA}
local now, op = clock(), ARGV[7]
local s = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'seq', 'grace', op .. ':penalty', op .. ':pace', op .. ':pacedAt', op .. ':hold', 'steady', 'why')
local expected = {epoch = ARGV[2], seq = tonumber(ARGV[3]), time = tonumber(ARGV[4]), tolerance = tonumber(ARGV[5])}
local refusal = guard(KEYS[1], now, {run = s[1], epoch = s[2], seq = s[3]}, expected, tonumber(ARGV[1]))
if refusal then return {refusal[1], ms(now), refusal[2] or ''} end
local grace, penalty, hold = tonumber(s[4]) or 0, tonumber(s[5]) or 0, tonumber(s[8]) or 0
local held = math.max(grace, penalty, hold)
if held > now and held ~= hold and held ~= penalty then return {'wait', ms(held - now), 'grace', false, s[10] or ''} end
if held > now then return {'wait', ms(held - now), held == hold and 'fault' or 'penalty'} end
local wait = waitFor(KEYS[2], now, sureTime(now, expected, s[9]), 12, paceOf(s[6], s[7], now, tonumber(ARGV[10])), tonumber(ARGV[11]))
if wait then return {'wait', ms(wait), 'window', {ms(now), s[2], s[3], s[9] or ''}, since(KEYS[2], ARGV[6])} end
local untilMs = math.ceil(now + 2 * tonumber(ARGV[8]))
local slot = take(KEYS[1], KEYS[2], now, untilMs, tonumber(ARGV[9]))
return {'granted', tostring(slot), tostring(untilMs), {ms(now), s[2], tostring(slot), s[9] or ''}, since(KEYS[2], ARGV[6])}
`,
);

/**
 * Settles such a slot. The list belongs to no request that could be put off: a wait that the server names holds all of it, until a
 * call that was sent later succeeds.
 *
 * KEYS  1 state, 2 slots
 * ARGV  1 operation, 2 slot, 3 until ms, 4 answered | lost | unsent, 5 penalty ms, 6 longest window ms,
 *       7 ms in which a pace comes back, 8 ms that a list that failed asks to wait, 9 '1': a list succeeded
 */
const settleScript = defineScript(
  'settle-slot',
  /* lua */ `
${GUARD_LUA}
${PACE_LUA}
${SLOTS_LUA}
local now, op, longest = clock(), ARGV[1], tonumber(ARGV[6])
settle(KEYS[2], ARGV[2], ARGV[4], now, tonumber(ARGV[3]))
local penalty = tonumber(ARGV[5])
if penalty > 0 then refused(KEYS[1], op, ARGV[2], now, penalty, longest, tonumber(ARGV[7])) end
local slot, busy = tonumber(ARGV[2]), tonumber(ARGV[8])
local s = redis.call('HMGET', KEYS[1], op .. ':hold', op .. ':failed', op .. ':alive')
local failed, alive = tonumber(s[2]) or 0, tonumber(s[3]) or 0
if busy > 0 and slot > alive then
  local untilMs = math.max(tonumber(s[1]) or 0, math.ceil(now + math.min(busy, longest)))
  redis.call('HSET', KEYS[1], op .. ':hold', untilMs, op .. ':failed', math.max(failed, slot))
elseif ARGV[9] == '1' then
  if slot > alive then redis.call('HSET', KEYS[1], op .. ':alive', slot) end
  if slot > failed then redis.call('HDEL', KEYS[1], op .. ':hold', op .. ':failed') end
end
return {}
`,
);

export interface SlotGrant {
  slot: string;
  /** Up to when the call may be counted, on Redis' clock, in ms. */
  untilMs: number;
  term: Term;
}

/** There is no slot now; ask again after so many ms. */
export interface SlotWait {
  kind: 'wait';
  waitMs: number;
  /** As in `budget` and `status`. */
  reason: 'window' | 'penalty' | 'grace' | 'fault';
  /** Of a grace: what began it. */
  why?: string;
}

export interface OperationBudget {
  /** A slot, or how long to wait for one. */
  ask(operation: Operation): Promise<{ kind: 'granted'; grant: SlotGrant } | SlotWait>;
  /** A slot, or null when there is none to be had now: for what is not waited for. */
  take(operation: Operation): Promise<SlotGrant | null>;
  settle(
    operation: Operation,
    grant: SlotGrant,
    fate: 'answered' | 'lost' | 'unsent',
    penaltyMs: number,
    list?: ListEnd,
  ): Promise<void>;
}

/** What a list says of all others: how long it asks to wait, or that it succeeded. */
export type ListEnd = { busyMs: number } | 'alive' | null;

export function createOperationBudget(
  deps: EpochContext & { windows: readonly Window[]; callTimeoutMs: number },
): OperationBudget {
  const { redis, keys, memory, windows } = deps;
  const longest = longestMs(windows);
  const recovery = recoveryMs(windows);

  async function settle(
    operation: Operation,
    grant: SlotGrant,
    fate: 'answered' | 'lost' | 'unsent',
    penaltyMs: number,
    list: ListEnd = null,
  ) {
    if (fate === 'answered') memory.settled(operation, grant.slot, deps.monotonic());
    if (fate === 'unsent') memory.returned(operation, grant.slot);
    const { slot, untilMs } = grant;
    const busyMs = list === 'alive' ? 0 : (list?.busyMs ?? 0);
    const ended = [Math.ceil(busyMs), list === 'alive' ? 1 : 0];
    const args = [operation, slot, untilMs, fate, Math.ceil(penaltyMs), longest, recovery, ...ended];
    await settleScript(redis, [keys.state, keys.slots(operation)], args);
  }

  async function ask(operation: Operation): Promise<{ kind: 'granted'; grant: SlotGrant } | SlotWait> {
    const askedAt = deps.monotonic();
    const jumps = memory.jumps();
    const term = startTerm(deps, { callTimeoutMs: deps.callTimeoutMs, roundTripMs: memory.roundTripMs() });
    const expectation = memory.expect(operation, askedAt);
    const reply = asList(
      await takeScript(
        redis,
        [keys.state, keys.slots(operation)],
        [
          deps.graceMs,
          ...expectationArguments(expectation),
          expectation.seen,
          operation,
          deps.callTimeoutMs,
          longest,
          recovery,
          deps.timings.lookAgainMs,
          ...windows.flatMap((window) => [window.max, window.lengthMs]),
        ],
      ),
    );
    const [kind, first, second, head, slots] = reply;
    const receivedAt = deps.monotonic();
    const jump = head ? memory.learn(operation, sighting(asList(head), slots), askedAt, receivedAt) : 0;
    if (kind === 'wait') {
      const reason = asText(second) as SlotWait['reason'];
      if (jump === 0)
        return { kind, waitMs: asNumber(first), reason, ...(reason === 'grace' && { why: asText(slots) }) };
      await shift(deps, jump);
      return RECOVERED;
    }
    if (kind !== 'granted') {
      await recover(deps, asText(kind), asNumber(first), asText(second), askedAt, receivedAt);
      return RECOVERED;
    }
    const grant: SlotGrant = { slot: asText(first), untilMs: asNumber(second), term };
    // Otherwise this answer, or another one meanwhile, was told from slots that had not been moved yet.
    if (memory.jumps() === jumps) {
      memory.took(operation, grant.slot, grant.untilMs, askedAt);
      return { kind, grant };
    }
    // They are moved before anything else is asked: until then others would be told from them, too.
    if (jump !== 0) await shift(deps, jump);
    await settle(operation, grant, 'unsent', 0);
    return RECOVERED;
  }

  return {
    settle,
    ask,
    take: async (operation) => {
      const answer = await ask(operation);
      return answer.kind === 'granted' ? answer.grant : null;
    },
  };
}

/** What the grace that has begun leaves to wait for is known at the next question. */
const RECOVERED: SlotWait = { kind: 'wait', waitMs: 0, reason: 'grace' };
