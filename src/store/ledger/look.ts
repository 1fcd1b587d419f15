import { RECORD_STATES, type RecordState } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { BATCH_LUA, type Batch, ID_BYTES } from './batch.ts';
import { AWAITED_S, NO_OUTCOME, outcomeKeysOf } from './outcomes.ts';
import { FIRST_BUCKETS, RECORD_LUA } from './record.ts';

/** What both have in common; `reply` is what they say. */
const LOOK_LUA = /* lua */ `
${RECORD_LUA}
${BATCH_LUA}
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[1] then return {'again', buckets} end
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local reply = {}

local function say(r)
  local n = #reply
  if not r then
    for i = 1, 8 do reply[n + i] = -1 end
    return
  end
  local busy = isClaimed(r, now) or isPutOff(r, now)
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = r[STATE], r[CAMPAIGN], r[GENERATION], r[POSITION]
  reply[n + 5], reply[n + 6], reply[n + 7] = busy and 1 or 0, r[ATTEMPTS], hasFlag(r, UNCERTAIN) and 1 or 0
  reply[n + 8] = hasFlag(r, STOPPED) and 1 or 0
end
`;

/**
 * What the ledger says of ids, without changing anything. As a campaign sees them: of those that it has kept since another
 * one opened them again, how they ended in it.
 *
 * KEYS  1 state, then the batch's buckets, then, for a campaign, what it has kept
 * ARGV  1 buckets, 2 ids, 3 places, 4 number of the campaign (empty: as they are)
 * Returns  {'done', 'state code,campaign,generation,position,busy,attempts,uncertain,stopped,…'} | {'again', buckets}; one
 *          text, for as many numbers by themselves take five times as long to read
 */
const lookScript = defineScript(
  'look',
  /* lua */ `
${LOOK_LUA}
local number = tonumber(ARGV[4])
each(ARGV[2], ARGV[3], 2, function(id, bucket)
  local r = load(bucket, id)
  if number and (not r or r[CAMPAIGN] ~= number) then
    local raw = redis.call('HGET', KEYS[#KEYS], id)
    if raw then r = unpacked(raw) end
  end
  say(r)
end)
return {'done', table.concat(reply, ',')}
`,
);

/**
 * The same; and from now on the outcomes of those that have none can be asked for. In one step: what is decided before it
 * is in the answer, and what is decided after it is told by the id's key, as long as that is kept from now on.
 *
 * KEYS  1 state, then the batch's buckets, then each id's outcome
 */
const awaitScript = defineScript(
  'await-outcomes',
  /* lua */ `
${LOOK_LUA}
local place = #KEYS - #ARGV[2] / ${ID_BYTES}
each(ARGV[2], ARGV[3], 2, function(id, bucket)
  place = place + 1
  local r = load(bucket, id)
  if not r or not isDecided(r) then redis.call('SET', KEYS[place], '${NO_OUTCOME}', 'EX', ${AWAITED_S}) end
  say(r)
end)
return {'done', table.concat(reply, ',')}
`,
);

/** A record as it stands. */
export interface Look {
  state: RecordState;
  /** Number of the owning campaign. */
  campaign: number;
  generation: number;
  /** Place of its outcome in that campaign's results; 0: none yet. */
  position: number;
  /** Being called, or waiting for its next attempt. */
  busy: boolean;
  attempts: number;
  uncertain: boolean;
  /** The action is known to be cancelled. */
  stopped: boolean;
}

export type Looked = { kind: 'done'; records: (Look | null)[] } | { kind: 'again'; buckets: number };

export async function look(
  redis: RedisClient,
  keys: Keys,
  buckets: number,
  batch: Batch,
  campaign: number | null,
): Promise<Looked> {
  const touched = [keys.state, ...batch.bucketKeys, ...(campaign === null ? [] : [keys.kept(campaign)])];
  return readLooked(
    await lookScript(redis, touched, [buckets, batch.ids, batch.places, campaign ?? '']),
    batch,
  );
}

export async function awaitOutcomes(
  redis: RedisClient,
  keys: Keys,
  buckets: number,
  batch: Batch,
): Promise<Looked> {
  const touched = [keys.state, ...batch.bucketKeys, ...outcomeKeysOf(keys, batch.ids)];
  return readLooked(await awaitScript(redis, touched, [buckets, batch.ids, batch.places]), batch);
}

function readLooked(answer: unknown, batch: Batch): Looked {
  const reply = asList(answer);
  if (reply[0] === 'again') return { kind: 'again', buckets: asNumber(asText(reply[1])) };
  const numbers = asText(reply[1]).split(',').map(Number);
  return { kind: 'done', records: Array.from({ length: batch.count }, (_, i) => readLook(numbers, 8 * i)) };
}

function readLook(numbers: readonly number[], at: number): Look | null {
  const [code, campaign, generation, position, busy, attempts, uncertain, stopped] = numbers.slice(
    at,
    at + 8,
  );
  const state = code === undefined ? undefined : RECORD_STATES[code];
  if (!state) return null;
  return {
    state,
    campaign: campaign ?? 0,
    generation: generation ?? 0,
    position: position ?? 0,
    busy: busy === 1,
    attempts: attempts ?? 0,
    uncertain: uncertain === 1,
    stopped: stopped === 1,
  };
}
