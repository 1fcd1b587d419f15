import { StanddownError } from '../../base/errors.ts';
import { type Keys, OPERATIONS, type Operation } from '../keys.ts';
import { asText, type RedisClient } from '../script.ts';

/** Of one id in one campaign; the oldest half is dropped where there would be more, in bytes. A line has about 100. */
const MOST_BYTES = 4_096;

/** As much as is kept of what an answer says, in bytes. */
const MOST_MESSAGE = 200;

/**
 * Why an attempt decided nothing: it is made again (`retry`), nothing was wrong with the request (`wait`: a 429, a 401), Get is
 * asked what a 400 was about (`check`), or its worker did not come back (`lapsed`).
 */
const ENDS = ['retry', 'wait', 'check', 'lapsed'] as const;

/** `unsent`: it provably never left. `lost`: it may have been carried out. */
const FATES = ['answered', 'unsent', 'lost'] as const;

/** A call for a request that did not decide it. */
export interface Attempt {
  generation: number;
  /** When its answer came or was given up, by Redis' clock, in ms since 1970. */
  at: number;
  operation: Operation;
  end: (typeof ENDS)[number];
  fate: (typeof FATES)[number];
  /** What it made the request wait for, or a 429 all calls of the operation, in ms; 0: nothing. */
  waitMs: number;
  /** Null: there was no answer. */
  httpStatus: number | null;
  /** From the answer or the connection; empty where nothing was said. */
  errorCode: string;
  errorMessage: string;
  correlationId: string;
}

/**
 * Notes a call that decided nothing; what decided is in the results. Few requests have any, so they are kept apart: a line of
 * JSON each, in one hash for each campaign. After RECORD_LUA.
 */
export const ATTEMPTS_LUA = /* lua */ `
-- By bytes; a character that would be cut is left out.
local function headOf(text)
  if #text <= ${MOST_MESSAGE} then return text end
  return (string.gsub(string.sub(text, 1, ${MOST_MESSAGE}), '[\\192-\\255][\\128-\\191]*$', ''))
end

-- lastly: how the request ends if this was its last attempt; empty: unresolved.
local function noteAttempt(key, id, r, now, op, how, fate, waitMs, detail, lastly)
  local before = redis.call('HGET', key, id) or ''
  if #before > ${MOST_BYTES} then before = string.match(string.sub(before, -${MOST_BYTES / 2}), '\\n(.*)') or '' end
  local line = {r[GENERATION], math.floor(now), op, how, fate, math.ceil(waitMs), detail[1] or '', detail[2] or '',
    headOf(detail[3] or ''), detail[4] or '', lastly}
  redis.call('HSET', key, id, before .. cjson.encode(line) .. '\\n')
end

-- What the last call that decided nothing was answered, added to a detail, and how the request ends by it.
local function lastWords(key, id, detail)
  local line = string.match(redis.call('HGET', key, id) or '', '([^\\n]+)\\n$')
  local said = line and cjson.decode(line) or {}
  for i = 1, 4 do detail[i] = said[6 + i] end
  return detail, said[11] and said[11] ~= '' and said[11] or 'unresolved'
end

-- Of whom the claim was says the state: one of Get is never held while the record is open.
local function noteLapsed(key, id, r, now)
  noteAttempt(key, id, r, now, r[STATE] == CHECKING and 'get' or 'cancel', 'lapsed', 'lost', 0, {}, '')
end
`;

/**
 * The attempts for an action that decided nothing in this campaign, oldest first; of very many only the last ones.
 *
 * @param campaign its number.
 * @param id the action's 16 bytes.
 * @returns none where every call decided something, also before the first call.
 * @throws StanddownError REDIS_FAILED where what stands there is none of ours.
 */
export async function readAttempts(
  redis: RedisClient,
  keys: Keys,
  campaign: number,
  id: Buffer,
): Promise<Attempt[]> {
  const text = await redis.hgetBuffer(keys.attempts(campaign), id);
  return text === null ? [] : text.toString().split('\n').filter(Boolean).map(readLine);
}

function readLine(line: string): Attempt {
  const [generation, at, operation, end, fate, waitMs, ...detail] = JSON.parse(line) as unknown[];
  const [httpStatus, errorCode, errorMessage, correlationId] = detail.map(asText);
  return {
    generation: Number(generation),
    at: Number(at),
    operation: oneOf(OPERATIONS, operation),
    end: oneOf(ENDS, end),
    fate: oneOf(FATES, fate),
    waitMs: Number(waitMs),
    httpStatus: Number(httpStatus) || null,
    errorCode: errorCode ?? '',
    errorMessage: errorMessage ?? '',
    correlationId: correlationId ?? '',
  };
}

function oneOf<T extends string>(all: readonly T[], value: unknown): T {
  const found = all.find((candidate) => candidate === value);
  if (!found)
    throw new StanddownError('REDIS_FAILED', `unexpected attempt in Redis: ${JSON.stringify(value)}`);
  return found;
}
