import type { Timings } from '../../config/timings.ts';
import { assertUnderstood, VERSION_LUA } from '../data-version.ts';
import type { Keys, Operation } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { GUARD_LUA, TIME_TOLERANCE_MS } from './guard.ts';
import type { Expectation, Memory, Remembered, Sighting } from './memory.ts';
import { rosterEntry, type WorkerFacts } from './roster.ts';

/**
 * Looks at the epoch and at what changed among the slots, without taking any; and says that a worker lives, what it says of itself, of
 * which version it is, and how long its calls take.
 *
 * KEYS  state, workers, slots of each operation
 * ARGV  grace ms, epoch, seq, time, tolerance, ms that a cancel takes (empty: not known), the worker's id (empty: it is none) and what it
 *       says of itself, then for each operation the time since which changes are wanted, or `=` and the seq at which there are none
 * Returns  {'ok', now, epoch, seq, steady, grace, steer, penalty, hold, reason, version, {slot, stamp, …} per operation}
 *          {'epoch', now, reason} another epoch holds, or a new one was opened; {'time', now} the clock is off
 */
const pulseScript = defineScript(
  'pulse',
  /* lua */ `
${GUARD_LUA}
${VERSION_LUA}
local now = clock()
local f = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'seq', 'grace', 'steer',
  'cancel:penalty', 'cancel:hold', 'cancel:reason', 'version', 'steady')
local expected = {epoch = ARGV[2], seq = tonumber(ARGV[3]), time = tonumber(ARGV[4]), tolerance = tonumber(ARGV[5])}
local refusal = guard(KEYS[1], now, {run = f[1], epoch = f[2], seq = f[3]}, expected, tonumber(ARGV[1]))
if refusal then return {refusal[1], ms(now), refusal[2] or ''} end
local version = noteVersion(KEYS[1], f[9])
if ARGV[7] ~= '' then redis.call('HSET', KEYS[2], ARGV[7], string.format('%d %s', now, ARGV[8])) end
local news = {}
if ARGV[6] ~= '' then news = {'cancel:latency', ARGV[6]} end
-- A witness that this clock ran on: see the shift. One to whom Redis is too far away could miss a jump.
if expected.time > 0 and expected.tolerance <= ${1.5 * TIME_TOLERANCE_MS} then
  news[#news + 1], news[#news + 2] = 'steady', math.floor(now)
end
if #news > 0 then redis.call('HSET', KEYS[1], unpack(news)) end
local reply = {'ok', ms(now), f[2], f[3], f[10] or '', f[4] or '0', f[5] or '0', f[6] or '0', f[7] or '0', f[8] or '', tostring(version)}
for i = 3, #KEYS do
  local seen = ARGV[6 + i]
  if seen == '=' .. f[3] then reply[#reply + 1] = {}
  else reply[#reply + 1] = since(KEYS[i], string.sub(seen, 1, 1) == '=' and '-inf' or seen) end
end
return reply
`,
);

/**
 * Puts slots back after a loss. Late ones too: better a slot too many than a call too many.
 *
 * KEYS  state, slots
 * ARGV  grace ms, highest known slot number, then slot, stamp, own (0 or 1)…
 * Returns  {epoch, seq, why} that hold now
 */
const putBackScript = defineScript(
  'put-back',
  /* lua */ `
${GUARD_LUA}
local f = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'seq', 'why')
local seq = tonumber(f[3]) or 0
if not f[2] or f[1] ~= runId() then
  f[2] = tostring(reopen(KEYS[1], clock(), math.max(seq, tonumber(ARGV[2])), tonumber(ARGV[1]), 'restarted'))
  seq, f[4] = tonumber(f[2]), 'restarted'
end
for i = 3, #ARGV, 3 do
  -- Others' slots are known less exactly than their owners know them.
  if ARGV[i + 2] == '1' then redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
  else redis.call('ZADD', KEYS[2], 'NX', ARGV[i + 1], ARGV[i]) end
end
return {f[2], tostring(seq), f[4] or ''}
`,
);

/**
 * Redis' clock jumped: moves every stamp and the end of every hold by as much, and opens a new epoch. Only the first to
 * notice does so.
 *
 * Where that may be the caller's own sleep, nothing is moved if another worker has looked since and found this clock steady: that look would
 * be older than the jump if there had been one.
 *
 * KEYS  state, slots of each operation
 * ARGV  grace ms, the epoch in which the jump was noticed, ms to move by, ms of the jump that may be a sleep (empty: it is none), fields
 *       of the state that are times…
 * Returns  {epoch, seq} that hold now | {'asleep'}
 */
const shiftScript = defineScript(
  'shift',
  /* lua */ `
${GUARD_LUA}
local f = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'steady', 'grace')
if f[1] ~= ARGV[2] then return {f[1] or '', f[2] or '0'} end
local now, move = clock(), tonumber(ARGV[3])
local age = f[3] and now - tonumber(f[3])
if ARGV[4] ~= '' and age and age >= 0 and age < tonumber(ARGV[4]) then return {'asleep'} end
for i = 2, #KEYS do
  local slots = redis.call('ZRANGE', KEYS[i], 0, -1, 'WITHSCORES')
  for s = 1, #slots, 2 do redis.call('ZADD', KEYS[i], tonumber(slots[s + 1]) + move, slots[s]) end
end
for i = 5, #ARGV do
  local time = redis.call('HGET', KEYS[1], ARGV[i])
  if time then redis.call('HSET', KEYS[1], ARGV[i], math.ceil(tonumber(time) + move)) end
end
-- A grace that stands is kept: others may still have slots to put back.
local grace = math.max(tonumber(ARGV[1]), (tonumber(f[4]) or 0) + move - now)
local epoch = reopen(KEYS[1], now, tonumber(f[2]) or 0, grace, 'clock')
-- For claims from before: see wasBefore in the ledger's records.
redis.call('HSET', KEYS[1], 'jumped', epoch, 'jumpedAt', math.floor(now))
return {tostring(epoch), tostring(epoch)}
`,
);

export interface EpochContext {
  redis: RedisClient;
  keys: Keys;
  memory: Memory;
  /** Ms in which nobody sends after a new epoch opened. */
  graceMs: number;
  timings: Timings;
  /** The monotonic clock, in ms. */
  monotonic(): number;
  /** The machine's own wall clock, in ms since 1970. */
  wall(): number;
  /** The worker that looks. Absent: it is none. */
  self?: { id: string; facts(): WorkerFacts };
}

/** What stands for the tenant's cancels, in ms of Redis' clock. */
export interface Stance {
  /** Changes whenever somebody pauses, resumes or aborts something. */
  steer: string;
  /** Nothing goes out before: a grace or a penalty. */
  notBefore: number;
  /** What the hold of an upstream in trouble is about; empty: none. */
  trouble: string;
}

export type Pulse =
  | ({ kind: 'steady' } & Stance)
  /** Redis was slow to answer, or this machine slept: nothing was learned. */
  | { kind: 'skipped' }
  /** Another epoch holds: what this worker remembers was put back. */
  | { kind: 'reopened'; why: string };

/**
 * Looks at the epoch; after a loss or a jump of Redis' clock puts back what this worker remembers.
 *
 * @throws StanddownError DATA_NEWER
 */
export async function pulse(context: EpochContext, operations: readonly Operation[]): Promise<Pulse> {
  const { redis, keys, memory, graceMs } = context;
  const sentAt = context.monotonic();
  const [first] = operations;
  if (!first) return { kind: 'skipped' };
  const reply = asList(
    await pulseScript(
      redis,
      [keys.state, keys.workers, ...operations.map(keys.slots)],
      [
        graceMs,
        ...expectationArguments(memory.expect(first, sentAt)),
        memory.latencyMs('cancel')?.toFixed(0) ?? '',
        context.self?.id ?? '',
        context.self ? rosterEntry(context.self.facts()) : '',
        ...operations.map((operation) => changesWanted(memory, operation, sentAt)),
      ],
    ),
  );
  const receivedAt = context.monotonic();
  if (reply[0] !== 'ok')
    return recover(context, asText(reply[0]), asNumber(reply[1]), asText(reply[2]), sentAt, receivedAt);
  assertUnderstood(asNumber(reply[10]));
  let jump = 0;
  operations.forEach((operation, index) => {
    jump ||= memory.learn(operation, sighting(reply.slice(1, 5), reply[11 + index]), sentAt, receivedAt);
  });
  if (jump !== 0) return shift(context, jump);
  const notBefore = Math.max(asNumber(reply[5]), asNumber(reply[7]), asNumber(reply[8]));
  return { kind: 'steady', steer: asText(reply[6]), notBefore, trouble: asText(reply[9]) };
}

/** Since when changes are wanted, or `=` and the slot number at which there are none. */
function changesWanted(memory: Memory, operation: Operation, at: number): string | number {
  const quietAt = memory.quietAt(operation, at);
  return quietAt === null ? memory.expect(operation, at).seen : `=${quietAt}`;
}

/** What to do when a script refused because of the epoch or the clock. */
export async function recover(
  context: EpochContext,
  refusal: string,
  now: number,
  why: string,
  sentAt: number,
  receivedAt: number,
): Promise<Pulse> {
  // In any case: what is put back has to be told in the time that Redis' clock shows by now.
  const jump = context.memory.compare(now, sentAt, receivedAt);
  if (refusal === 'time') return jump === 0 ? { kind: 'skipped' } : shift(context, jump);
  // Where others have moved the slots already, only a sleep that is certain tells this worker's from their jump.
  if (jump !== 0 && ((await enter(context)) !== 'clock' || context.memory.lastJump()?.cause === 'suspended'))
    await shiftSlots(context, jump);
  return putBack(context, why);
}

/** Redis' clock jumped by so many ms: moves the slots along. Or this machine slept: then only what it remembers has aged. */
export async function shift(context: EpochContext, jumpMs: number): Promise<Pulse> {
  if (!(await shiftSlots(context, jumpMs))) return putBack(context, 'clock');
  // Calls that were in flight go on, while their slots look as if they were over.
  if (context.memory.isCalling(context.monotonic())) await putBack(context, 'asleep');
  return { kind: 'skipped' };
}

/**
 * Only in the epoch that this worker knows of: whoever is in a later one has heard of the jump, too.
 *
 * @returns whether nothing was moved, because it was this machine that slept.
 */
async function shiftSlots(context: EpochContext, jumpMs: number): Promise<boolean> {
  const { redis, keys, memory } = context;
  const jump = memory.lastJump();
  if (jump?.cause === 'suspended') {
    memory.slept();
    return true;
  }
  const isSmall = Math.abs(jumpMs) <= SMALL_STEP_MS;
  // Without a grace a settled slot may be moved twice: that is safe forward only. Back, a small step is waited for instead.
  const moveMs = isSmall ? Math.max(0, jumpMs) : jumpMs;
  const sleepMs = jump?.cause === 'perhaps' ? jump.least : '';
  const { epoch } = memory.expect('cancel', 0);
  const args = [isSmall ? 0 : context.graceMs, epoch, moveMs, sleepMs, ...TIMES];
  const reply = asList(await shiftScript(redis, [keys.state, ...ALL.map(keys.slots)], args));
  if (reply[0] !== 'asleep') return false;
  memory.slept();
  return true;
}

async function putBack(context: EpochContext, why: string): Promise<Pulse> {
  for (const operation of ALL) await enter(context, operation, context.memory.remembered(operation));
  return { kind: 'reopened', why };
}

/** Enters the epoch that holds, or opens one, with these slots. Returns why it was opened. */
async function enter(
  context: EpochContext,
  operation: Operation = 'cancel',
  slots: readonly Remembered[] = [],
): Promise<string> {
  const { redis, keys, memory, graceMs } = context;
  const { seq } = memory.expect('cancel', 0);
  const touched = [keys.state, keys.slots(operation)];
  const args = [graceMs, seq, ...slots.flatMap(slotArguments)];
  const reply = asList(await putBackScript(redis, touched, args));
  memory.entered(asText(reply[0]), asNumber(reply[1]));
  return asText(reply[2]);
}

/** A step of Redis' clock up to this, in ms, is no reason to pause. */
const SMALL_STEP_MS = 1_500;

const ALL: readonly Operation[] = ['cancel', 'get', 'list'];

/** Fields of the state that are times on Redis' clock, and last beyond a grace. */
const TIMES = ALL.flatMap((operation) =>
  ['penalty', 'hold', 'probing', 'pacedAt', 'failing', 'until'].map((field) => `${operation}:${field}`),
);

function slotArguments({ slot, stamp, own }: Remembered): string[] {
  return [slot, stamp.toFixed(3), own ? '1' : '0'];
}

/** The first arguments of every guarded script, after the grace. */
export function expectationArguments(expectation: Expectation): (string | number)[] {
  const { epoch, seq, time, tolerance } = expectation;
  return [epoch, seq, time.toFixed(3), tolerance.toFixed(3)];
}

/** Reads `now, epoch, seq, steady` and a flat list of slots and stamps. */
export function sighting(head: readonly unknown[], slots: unknown): Sighting {
  const flat = asList(slots);
  const pairs: [string, number][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([asText(flat[i]), asNumber(flat[i + 1])]);
  const [now, epoch, seq, steady] = head;
  return {
    now: asNumber(now),
    epoch: asText(epoch),
    seq: asNumber(seq),
    steady: asNumber(steady),
    slots: pairs,
  };
}
