import { excerpt } from '../../base/foreign.ts';
import { guidToBytes } from '../../base/guid.ts';
import { jobTraceOf } from '../../base/traceparent.ts';
import { JOB_NAME, type Keys, type LaneName } from '../../store/keys.ts';
import type { Ledger } from '../../store/ledger/ledger.ts';
import {
  AWAITED_S,
  MOST_OUTCOMES,
  NO_OUTCOME,
  OUTCOME_FIELDS,
  OUTCOME_KEPT_S,
  outcomeJson,
} from '../../store/ledger/outcomes.ts';
import { FIRST_BUCKETS, RECORD_LUA } from '../../store/ledger/record.ts';
import { defineScript, type RedisClient } from '../../store/script.ts';
import { jobData } from '../job.ts';
import type { InboxEntry, Wish } from './entry.ts';

/** The consumer group of all workers. */
export const GROUP = 'workers';

/** How many rejected entries are kept, about, and how much of each: what it takes to see what a service does wrong. */
const MOST_REJECTED = 10_000;
const MOST_FIELDS = 20;
const MOST_CHARACTERS = 200;

interface Place {
  redis: RedisClient;
  keys: Keys;
}

/** Takes an entry out of the inbox; whoever succeeds in that is the one who answers it. */
const LEAVE_LUA = /* lua */ `
local function leave(entry)
  redis.call('XACK', KEYS[1], '${GROUP}', entry)
  return redis.call('XDEL', KEYS[1], entry) == 1
end
`;

/**
 * Makes jobs of entries, each in the step that takes it out of the inbox: so there is one job for an entry, whoever reads
 * it how often, and however long ago. BullMQ's own `add` would be a step of its own; the hash and the list are as it
 * leaves them (addStandardJob, 6.7). A job that says again forgets what is known of its id.
 *
 * KEYS  1 inbox, 2 wait, 3 meta, 4 active, 5 events, 6 marker, 7 id, then job and outcome of each
 * ARGV  of each: 1 entry, 2 job id, 3 data, 4 when it was added (ms), 5 '1' for again, 6 its options
 */
const enqueueScript = defineScript(
  'inbox-enqueue',
  /* lua */ `
${LEAVE_LUA}
local meta = redis.call('HMGET', KEYS[3], 'paused', 'concurrency', 'opts.maxLenEvents')
local isFull = meta[1] or (meta[2] and redis.call('LLEN', KEYS[4]) >= tonumber(meta[2]))
local t = redis.call('TIME')
local now, isAdded = t[1] * 1000 + math.floor(t[2] / 1000), false
for i = 0, #ARGV / 6 - 1 do
  local id, job, outcome = ARGV[6 * i + 2], KEYS[2 * i + 8], KEYS[2 * i + 9]
  if leave(ARGV[6 * i + 1]) then
    if ARGV[6 * i + 5] == '1' then redis.call('SET', outcome, '${NO_OUTCOME}', 'EX', ${AWAITED_S}) end
    redis.call('INCR', KEYS[7])
    redis.call('HSET', job, 'name', '${JOB_NAME}', 'data', ARGV[6 * i + 3], 'opts', ARGV[6 * i + 6],
      'timestamp', string.format('%.0f', math.min(tonumber(ARGV[6 * i + 4]), now)), 'delay', 0, 'priority', 0)
    redis.call('XADD', KEYS[5], '*', 'event', 'added', 'jobId', id, 'name', '${JOB_NAME}')
    redis.call('LPUSH', KEYS[2], id)
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', meta[3] or 1000, '*', 'event', 'waiting', 'jobId', id)
    isAdded = true
  end
end
if isAdded and not isFull then redis.call('ZADD', KEYS[6], 0, '0') end
return {}
`,
);

/**
 * Entries whose ids are in their campaign by now.
 *
 * KEYS  1 inbox
 * ARGV  entries
 */
const leaveScript = defineScript(
  'inbox-leave',
  /* lua */ `
${LEAVE_LUA}
for _, entry in ipairs(ARGV) do leave(entry) end
return {}
`,
);

/**
 * KEYS  1 inbox, 2 rejected
 * ARGV  1 entry, 2 reason, 3 its fields, as JSON
 */
const rejectScript = defineScript(
  'inbox-reject',
  /* lua */ `
${LEAVE_LUA}
if not leave(ARGV[1]) then return {} end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ${MOST_REJECTED}, '*', 'entry', ARGV[1], 'reason', ARGV[2], 'fields', ARGV[3])
return {}
`,
);

/**
 * Answers an entry with an outcome that there is already, unless the id has been opened again meanwhile.
 *
 * KEYS  1 inbox, 2 outcomes, 3 the id's outcome, 4 state, 5 bucket
 * ARGV  1 entry, 2 the outcome as JSON, 3 '1' to tell all of it, 4 id (16 bytes), 5 buckets, 6 generation, 7… names and values
 * Returns  1, also when somebody else has answered; 0 when it is to be looked at again
 */
const answerScript = defineScript(
  'inbox-answer',
  /* lua */ `
${RECORD_LUA}
${LEAVE_LUA}
if (redis.call('HGET', KEYS[4], 'buckets') or '${FIRST_BUCKETS}') ~= ARGV[5] then return 0 end
local r = load(KEYS[5], ARGV[4])
if not r or not isDecided(r) or r[GENERATION] ~= tonumber(ARGV[6]) then return 0 end
if not leave(ARGV[1]) then return 1 end
redis.call('SET', KEYS[3], ARGV[2], 'EX', ${OUTCOME_KEPT_S})
if ARGV[3] == '1' then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ${MOST_OUTCOMES}, '*', unpack(ARGV, 7)) end
return 1
`,
);

/**
 * Tells how the wish of a job ended that leaves the ledger as it is. Once per job, however often that is run.
 *
 * KEYS  1 job, 2 outcomes, 3 the id's outcome
 * ARGV  1 the outcome as JSON, 2… names and values
 */
const tellScript = defineScript(
  'inbox-tell',
  /* lua */ `
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HSETNX', KEYS[1], 'sd:told', 1) == 0 then return {} end
-- Others may wait for what becomes of the id itself, which that key is to tell them.
redis.call('SET', KEYS[3], ARGV[1], 'PX', math.max(${1_000 * OUTCOME_KEPT_S}, redis.call('PTTL', KEYS[3])))
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ${MOST_OUTCOMES}, '*', unpack(ARGV, 2))
return {}
`,
);

/** What the ids of its jobs begin with; the entry's follows. */
const JOB_PREFIX = 'inbox-';

/** Whether a job came through the inbox. */
export function isFromInbox(jobId: string | undefined): jobId is string {
  return jobId?.startsWith(JOB_PREFIX) ?? false;
}

/** Makes a job of each, unless it left the inbox already. */
export async function enqueue(
  { redis, keys }: Place,
  lane: LaneName,
  wishes: readonly Wish[],
): Promise<void> {
  if (wishes.length === 0) return;
  const own = ['wait', 'meta', 'active', 'events', 'marker', 'id'].map((name) => keys.lane(lane, name));
  const jobs = wishes.map((wish) => ({ ...wish, id: `${JOB_PREFIX}${wish.entry.id}` }));
  const touched = jobs.flatMap(({ id, request }) => [
    keys.lane(lane, id),
    keys.outcome(request.machineActionId),
  ]);
  const args = jobs.flatMap(({ id, entry, request, at, traceparent }) => [
    entry.id,
    id,
    JSON.stringify(jobData(request)),
    at,
    request.again ? 1 : 0,
    optionsOf(traceparent),
  ]);
  await enqueueScript(redis, [keys.inbox, ...own, ...touched], args);
}

/** As BullMQ writes them. */
function optionsOf(traceparent: string | null): string {
  const tm = jobTraceOf('parent', traceparent);
  return JSON.stringify({ attempts: 0, removeOnComplete: true, ...(tm !== null && { tm }) });
}

/** Takes entries out of the inbox whose requests are recorded elsewhere. */
export async function leave({ redis, keys }: Place, wishes: readonly Wish[]): Promise<void> {
  if (wishes.length === 0) return;
  await leaveScript(
    redis,
    [keys.inbox],
    wishes.map(({ entry }) => entry.id),
  );
}

/** Moves an entry to the rejected ones, with what is wrong with it. */
export async function reject({ redis, keys }: Place, entry: InboxEntry, reason: string): Promise<void> {
  const fields = entry.fields.slice(0, 2 * MOST_FIELDS).map(quoted);
  await rejectScript(redis, [keys.inbox, keys.rejected], [entry.id, reason, JSON.stringify(fields)]);
}

function quoted(bytes: Buffer): string {
  return excerpt(bytes.toString(), MOST_CHARACTERS);
}

/**
 * Answers an entry with an outcome that there is already.
 *
 * @param recorded.values in the order of OUTCOME_FIELDS.
 * @param recorded.isTold whether it was told after the entry was added: then the stream has it.
 * @returns false when the id has been opened again meanwhile: then that is no answer.
 */
export async function answer(
  { redis, keys, ledger }: Place & { ledger: Ledger },
  { entry, request: { machineActionId } }: Wish,
  { values, generation, isTold }: { values: readonly string[]; generation: number; isTold: boolean },
): Promise<boolean> {
  const id = guidToBytes(machineActionId);
  const { bucketKey, buckets } = ledger.placeOf(id);
  const touched = [keys.inbox, keys.outcomes, keys.outcome(machineActionId), keys.state, bucketKey];
  const args = [entry.id, outcomeJson(values), isTold ? 0 : 1, id, buckets, generation, ...named(values)];
  return (await answerScript(redis, touched, args)) === 1;
}

/** Tells how the wish of a job ended that leaves the ledger as it is. */
export async function tell(
  { redis, keys }: Place,
  jobKey: string,
  machineActionId: string,
  values: readonly string[],
): Promise<void> {
  const touched = [jobKey, keys.outcomes, keys.outcome(machineActionId)];
  await tellScript(redis, touched, [outcomeJson(values), ...named(values)]);
}

function named(values: readonly string[]): string[] {
  return OUTCOME_FIELDS.flatMap((name, i) => [name, values[i] ?? '']);
}
