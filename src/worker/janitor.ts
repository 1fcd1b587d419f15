import { isUtf8 } from 'node:buffer';
import { excerpt } from '../base/foreign.ts';
import type { Logger } from '../base/log.ts';
import type { CancelResult } from '../base/outcome.ts';
import type { Keys, LaneName } from '../store/keys.ts';
import { GREATEST_ID } from '../store/redis/entry-id.ts';
import { asList, asText, defineScript, type RedisClient } from '../store/script.ts';
import { cutLocks } from './leases.ts';
import { flawOf, isOwnKey, OWN_KEYS, type RawJob, readField, repairsOf } from './raw-job.ts';

/**
 * Ends a job without BullMQ, whose own scripts break off in the middle over what others wrote into its hash. Whoever
 * waits for the job hears of it as of any other.
 *
 * `keep` leaves it among the completed, `remove` does not, `strip` takes it out of the lists and leaves its key alone.
 * `decided`: its result stands, and where it was is not asked, for BullMQ may have taken it out of its list already.
 *
 * KEYS  1 active, 2 stalled, 3 delayed, 4 completed, 5 events, 6 marker, 7 limiter; the job's begin alike
 * ARGV  1 job id, 2 what our locks begin with, 3 return value, 4 now (ms), 5 keep | remove | strip, 6 most that are kept,
 *       7 the limiter's max if its place is given back, otherwise 0, 8 what job keys begin with, 9 `decided` or empty,
 *       10 … fields and their values
 * Returns  1 when it ended the job, 0 when a worker holds it, or it is not there any more
 */
const endScript = defineScript(
  'end-job',
  /* lua */ `
local job = ARGV[8] .. ARGV[1]
local lock = redis.call('TYPE', job .. ':lock')['ok'] == 'string' and redis.call('GET', job .. ':lock')
if lock and string.sub(lock, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
local taken = redis.call('LREM', KEYS[1], 0, ARGV[1]) + redis.call('ZREM', KEYS[3], ARGV[1])
if taken == 0 and ARGV[9] ~= 'decided' then return 0 end
redis.call('SREM', KEYS[2], ARGV[1])
if lock then redis.call('DEL', job .. ':lock') end
local isHash = redis.call('TYPE', job)['ok'] == 'hash'
if ARGV[9] == 'decided' and ARGV[5] ~= 'strip' then
  if not isHash or redis.call('ZSCORE', KEYS[4], ARGV[1]) then return 0 end
  -- Of a parent elsewhere nothing may be touched, and BullMQ would try again when it removes the job.
  redis.call('HDEL', job, 'parentKey', 'parent')
end
if ARGV[5] == 'strip' then
  if isHash then redis.call('HDEL', job, 'processedOn', 'ats', 'pb') end
elseif ARGV[5] == 'remove' then
  redis.call('DEL', job)
else
  if not isHash then redis.call('DEL', job) end
  redis.call('HSET', job, 'returnvalue', ARGV[3], 'finishedOn', ARGV[4])
  for at = 10, #ARGV, 2 do redis.call('HSET', job, ARGV[at], ARGV[at + 1]) end
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
  local over = redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[6])
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', KEYS[4], 0, math.min(over, 100) - 1)) do
      redis.call('ZREM', KEYS[4], old)
      redis.call('DEL', ARGV[8] .. old)
    end
  end
end
redis.call('XADD', KEYS[5], '*', 'event', 'completed', 'jobId', ARGV[1], 'returnvalue', ARGV[3], 'prev', 'active')
redis.call('ZADD', KEYS[6], 0, '0')
local count = tonumber(redis.call('GET', KEYS[7]) or '0') or 0
if count > 1 and count <= tonumber(ARGV[7]) then redis.call('DECR', KEYS[7]) end
return 1
`,
);

/**
 * Mends what BullMQ's scripts break over, or finds what has to be ended. They break off in the middle: what they have
 * taken out of one list and not put into the next is in none.
 *
 * A counter or a priority that is no number becomes 0. A job whose hash stands where one of BullMQ's own keys belongs is
 * taken away (a job may be called `limiter`, and then no other is handed out). A delayed job that is not a hash
 * comes among the active ones, for there it can do no harm.
 *
 * A job's id may be bytes that are no text: BullMQ cannot name such a job to Redis, so it never ends.
 *
 * KEYS  1 active, 2 delayed; the others that it touches begin alike
 * ARGV  1 what job keys begin with, 2 what our locks begin with, 3 delayed jobs are looked at up to this score,
 *       4 take: does nothing unless one is due | stalled: before stalled jobs are moved | all
 * Returns  {names of own keys that were freed}, {ids, in hex, of jobs that cannot be handed out and that no worker holds},
 *          {`events` when they were cleared}
 */
const mendScript = defineScript(
  'mend',
  /* lua */ `
local OWN = {${Object.entries(OWN_KEYS)
    .map(([name, kind]) => `['${name}'] = '${kind}'`)
    .join(', ')}}
local prefix = ARGV[1]
local function kindOf(key) return redis.call('TYPE', key)['ok'] end
local function isWhole(value) return not value or (#value < 17 and string.match(value, '^-?%d+$') ~= nil) end

local function freeOwn()
  local freed = {}
  for name, kind in pairs(OWN) do
    local key = prefix .. name
    local found = kindOf(key)
    if found == 'hash' and kind ~= 'hash' then
      redis.call('DEL', key)
      freed[#freed + 1] = name
    elseif name == 'limiter' and found == 'string' and not tonumber(redis.call('GET', key)) then
      redis.call('DEL', key)
    end
  end
  for name, kind in pairs(#freed > 0 and OWN or {}) do
    local key = prefix .. name
    for _, id in ipairs(kindOf(key) == kind and freed or {}) do
      if kind == 'list' then redis.call('LREM', key, 0, id)
      elseif kind == 'zset' then redis.call('ZREM', key, id)
      elseif kind == 'set' then redis.call('SREM', key, id) end
    end
  end
  return freed
end

local function mendDelayed(due)
  for _, id in ipairs(due) do
    local key = prefix .. id
    local kind = kindOf(key)
    if kind == 'hash' then
      local number = tonumber(redis.call('HGET', key, 'priority') or '0') or 0
      if number ~= number or number == math.huge or number < 0 then redis.call('HSET', key, 'priority', 0) end
    elseif kind ~= 'none' then
      redis.call('ZREM', KEYS[2], id)
      redis.call('LPUSH', KEYS[1], id)
    end
  end
end

local function isText(id)
  if not string.find(id, '[\\128-\\255]') then return true end
  for _, wrong in ipairs({'\\224[\\128-\\159]', '\\237[\\160-\\191]', '\\240[\\128-\\143]', '\\244[\\144-\\191]'}) do
    if string.find(id, wrong) then return false end
  end
  local rest = string.gsub(id, '[\\194-\\223][\\128-\\191]', '.')
  rest = string.gsub(rest, '[\\224-\\239][\\128-\\191][\\128-\\191]', '.')
  rest = string.gsub(rest, '[\\240-\\244][\\128-\\191][\\128-\\191][\\128-\\191]', '.')
  return not string.find(rest, '[\\128-\\255]')
end

local function findBroken()
  local broken = {}
  for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local key = prefix .. id
    local kind = kindOf(key)
    local lock = kindOf(key .. ':lock') == 'string' and redis.call('GET', key .. ':lock')
    local isHeld = lock and string.sub(lock, 1, #ARGV[2]) ~= ARGV[2]
    if kind == 'hash' then
      if not isWhole(redis.call('HGET', key, 'stc')) then redis.call('HSET', key, 'stc', 0) end
      if not isHeld and not (isText(id) and isWhole(redis.call('HGET', key, 'ats'))) then broken[#broken + 1] = id end
    elseif kind ~= 'none' and not lock then
      broken[#broken + 1] = id
    end
  end
  return broken
end

-- Behind the greatest id a stream takes nothing more, and every script of the queue breaks off over that. Its events are for
-- whoever listens just now; no job depends on them.
local cleared = {}
if ARGV[4] ~= 'take' and kindOf(prefix .. 'events') == 'stream' then
  local stream = redis.call('XINFO', 'STREAM', prefix .. 'events')
  for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' and stream[i + 1] == '${GREATEST_ID}' then cleared = {'events'} end
  end
  if cleared[1] then redis.call('DEL', prefix .. 'events') end
end
-- Idle workers come by here every few seconds: where nothing is active, no stalled job can be moved.
if ARGV[4] == 'stalled' and kindOf(prefix .. 'stalled-check') ~= 'hash' and redis.call('EXISTS', KEYS[1]) == 0 then
  return {{}, {}, cleared}
end
local due = redis.pcall('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'LIMIT', 0, 1000)
if ARGV[4] == 'take' and not due['err'] and #due == 0 then return {{}, {}, {}} end
local freed = freeOwn()
if not due['err'] then mendDelayed(due) end
local broken = findBroken()
for at, id in ipairs(broken) do
  broken[at] = string.gsub(id, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
end
return {freed, broken, cleared}
`,
);

/**
 * Puts a job that a script of BullMQ's took out of its list, and not into the next, among the active ones: without a
 * lock, so that it goes on as one whose worker is gone.
 *
 * KEYS  1 the job, 2 active, 3 wait, 4 delayed, 5 prioritized, 6 completed, 7 failed
 * ARGV  1 job id
 */
const putBackScript = defineScript(
  'put-job-back',
  /* lua */ `
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
for at = 2, 3 do if redis.call('LPOS', KEYS[at], ARGV[1]) then return {} end end
for at = 4, 7 do if redis.call('ZSCORE', KEYS[at], ARGV[1]) then return {} end end
redis.call('LPUSH', KEYS[2], ARGV[1])
return {}
`,
);

export interface JanitorDeps {
  redis: RedisClient;
  keys: Keys;
  lane: LaneName;
  /** What the locks of this worker begin with. */
  owner: string;
  /** How long a job's lock lasts, and how often stalled jobs are looked for, in ms. */
  lockMs: number;
  /** The max of BullMQ's limiter. */
  max: number;
  /** Most finished jobs that are kept. */
  kept: number;
  /** What a job is told that cannot be read; null: such a job is dropped. */
  resultOf: ((bad: BadJob) => Promise<CancelResult>) | null;
  wall(): number;
  log: Logger;
}

/** A job that cannot be read. */
export interface BadJob {
  /** What it holds as data, as far as that can be read. */
  data: unknown;
  reason: string;
  /** As it says itself. */
  timestamp: number;
}

/** BullMQ's delayed jobs are ordered by ms times this. */
const DELAYED_FACTOR = 0x1000;

/** Delayed jobs are looked at so long before their time, in ms: they must not become due before BullMQ's turn. */
const AHEAD_MS = 1_000;

export type Janitor = ReturnType<typeof createJanitor>;

/**
 * Ends what BullMQ cannot: jobs in whose hash others wrote what its scripts or its reader break over. Left alone they
 * are handed out at every check for stalled jobs, for ever, and some of them keep all others from being handed out.
 *
 * It touches no job that can be read, and none whose lock another worker holds. Each job ends in one step, so that a
 * worker killed in between leaves it either as it was or ended.
 */
export function createJanitor(deps: JanitorDeps) {
  const { redis, keys, lane, log } = deps;
  const key = (suffix: string) => keys.lane(lane, suffix);
  const jobKeys = key('');

  async function end(
    id: Buffer | string,
    fields: RawJob,
    reason: string,
    wasCounted: boolean,
  ): Promise<boolean> {
    const jobId = String(id);
    const result = await deps.resultOf?.({
      data: readField(fields, 'data'),
      reason,
      timestamp: Number(fields.get('timestamp')),
    });
    const wished = modeFor(jobId, fields);
    const mode = wished === 'keep' && !result ? 'remove' : wished;
    const repairs = [...repairsOf(fields), ...(fields.has('name') ? [] : ['name', 'unreadable'])];
    const ended = await run(id, JSON.stringify(result ?? { dropped: 'unreadable' }), {
      mode,
      max: wasCounted ? deps.max : 0,
      fields: repairs,
    });
    if (ended)
      log.info(
        { queue: lane, jobId: excerpt(jobId, 100), reason, outcome: result?.outcome },
        'rejected an unreadable job',
      );
    return ended;
  }

  async function run(
    jobId: Buffer | string,
    returnValue: string,
    how: { mode: 'keep' | 'remove' | 'strip'; max: number; fields?: string[]; decided?: boolean },
  ): Promise<boolean> {
    const lists = ['active', 'stalled', 'delayed', 'completed', 'events', 'marker', 'limiter'].map(key);
    const reply = await endScript(redis, lists, [
      jobId,
      deps.owner,
      returnValue,
      Math.floor(deps.wall()),
      how.mode,
      deps.kept,
      how.max,
      jobKeys,
      how.decided ? 'decided' : '',
      ...(how.fields ?? []),
    ]);
    return reply === 1;
  }

  /** Mends, and ends what lies about broken. Returns how many jobs stood in the way. */
  async function mend(when: 'take' | 'stalled' | 'all'): Promise<number> {
    // BullMQ goes by this machine's clock, and other machines' may be as far off as Redis'.
    const upTo = (Math.floor(Math.max(Date.now(), deps.wall())) + AHEAD_MS) * DELAYED_FACTOR;
    const lists = ['active', 'delayed'].map(key);
    const [freed, broken, cleared] = asList(
      await mendScript(redis, lists, [jobKeys, deps.owner, upTo, when]),
    ).map((ids) => asList(ids).map(asText));
    for (const jobId of freed ?? []) await endOwn(jobId);
    if (cleared?.length)
      log.warn(
        { lane },
        'cleared the events of the queue: a producer had added one with the greatest id there is',
      );
    let ended = freed?.length ?? 0;
    for (const hex of broken ?? []) if (await endBroken(Buffer.from(hex, 'hex'))) ended++;
    return ended;
  }

  async function endBroken(jobId: Buffer): Promise<boolean> {
    const fields = await readHash(jobId);
    if (fields === null) return end(jobId, new Map(), 'the job is not a hash, which BullMQ requires', false);
    const flaw = isUtf8(jobId) ? flawOf(fields) : 'the job id is not valid UTF-8';
    // What is in order by now was mended by another worker.
    return flaw === null ? false : end(jobId, fields, flaw, true);
  }

  /** Null: there is none. */
  async function readHash(jobId: Buffer): Promise<RawJob | null> {
    const jobKey = Buffer.concat([Buffer.from(jobKeys), jobId]);
    if ((await redis.type(jobKey)) !== 'hash') return null;
    return new Map(Object.entries(await redis.hgetall(jobKey)));
  }

  async function endOwn(jobId: string): Promise<void> {
    const reason = ownName(jobId);
    const result = await deps.resultOf?.({ data: undefined, reason, timestamp: Number.NaN });
    const returnValue = JSON.stringify(result ?? { dropped: 'unreadable' });
    await run(jobId, returnValue, { mode: 'strip', max: 0, decided: true });
    log.info({ queue: lane, jobId, reason, outcome: result?.outcome }, 'rejected an unreadable job');
  }

  return {
    /** Whether others write in this lane. */
    isPublic: deps.resultOf !== null,

    /** Why a job that was just handed out cannot be worked on; null: it can. */
    flawOf: (jobId: string, fields: RawJob): string | null =>
      isOwnKey(jobId) ? ownName(jobId) : flawOf(fields),

    /** Ends a job that this worker was just handed, and gives its place back. */
    endTaken: async (jobId: string, fields: RawJob, reason: string): Promise<void> => {
      if (isOwnKey(jobId) && (await mend('all')) > 0) return;
      await end(jobId, fields, reason, true);
    },

    /** Gives a job the result that BullMQ failed to give it. False: it has one, or another worker holds it. */
    complete: async (jobId: string, returnValue: string): Promise<boolean> => {
      const fields = (await readHash(Buffer.from(jobId))) ?? new Map();
      return run(jobId, returnValue, { mode: modeFor(jobId, fields), max: 0, decided: true });
    },

    mend,

    /** Before stalled jobs are looked for: nothing that they wait for lasts longer than `lockMs`. */
    cutLocks: (): Promise<void> => cutLocks(redis, key, deps.lockMs),

    /** Whether this worker has the lock of the job of this name. */
    isOurs: async (jobId: string): Promise<boolean> =>
      (await redis.get(key(`${jobId}:lock`)))?.startsWith(deps.owner) ?? false,

    /** BullMQ failed to move a job from one list to another. */
    putBack: async (jobId: string): Promise<void> => {
      const lists = ['active', 'wait', 'delayed', 'prioritized', 'completed', 'failed'].map(key);
      await putBackScript(redis, [key(jobId), ...lists], [jobId]);
    },
  };
}

function ownName(jobId: string): string {
  return `the job id ${JSON.stringify(jobId)} is reserved by BullMQ`;
}

function modeFor(jobId: string, fields: RawJob): 'keep' | 'remove' | 'strip' {
  // The hash `meta` is the queue's own; under an id with a colon a key of another kind is part of another job.
  if (jobId === 'meta' || (jobId.includes(':') && fields.size === 0)) return 'strip';
  // What stands there is BullMQ's own, unless it is a hash, and those were taken away before.
  if (isOwnKey(jobId)) return 'strip';
  const opts = readField(fields, 'opts') as { removeOnComplete?: unknown } | null | undefined;
  return opts?.removeOnComplete === true ? 'remove' : 'keep';
}
