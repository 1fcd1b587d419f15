import {
  type ActionSummary,
  type CancelResult,
  COMMAND_COMPLETED,
  type Detail,
  OUTCOMES,
  type Outcome,
  STOPPED_STATUS,
} from '../../base/outcome.ts';
import { asText } from '../script.ts';
import { TELL_LUA } from './outcomes.ts';

/**
 * The fields of a results entry, in this order and all of them, so that Redis stores the names once per node. Only those
 * without any detail, of which an abort writes thousands in a row, end after `decidedAt`: that is a third of the work.
 * Empty where there is nothing to say; times in ms since 1970; `requestedBy` and `requestedAt` empty where the
 * campaign's hold.
 */
export const RESULT_FIELDS = [
  'machineActionId',
  'generation',
  'outcome',
  'attempts',
  'uncertain',
  'decidedAt',
  'httpStatus',
  'errorCode',
  'errorMessage',
  'correlationId',
  'status',
  'type',
  'machineId',
  'computerDnsName',
  'createdAt',
  'updatedAt',
  'requestedBy',
  'requestedAt',
  'verifiedAt',
] as const;

/** What the scripts fill in themselves; the rest is the caller's detail. */
const OWN_FIELDS = 6;

/** How many detail arguments `decide` takes. */
export const DETAIL_LENGTH = RESULT_FIELDS.length - OWN_FIELDS;

/** Which of them is the action's status, and which the error's code, from 1. */
const STATUS = RESULT_FIELDS.indexOf('status') - OWN_FIELDS + 1;
const ERROR_CODE = RESULT_FIELDS.indexOf('errorCode') - OWN_FIELDS + 1;

/** Which of them says who asked, from 1; when they asked comes next. */
export const REQUESTED_BY = RESULT_FIELDS.indexOf('requestedBy') - OWN_FIELDS + 1;

export function detailArguments(detail: Detail): string[] {
  const { action } = detail;
  const values = [
    detail.httpStatus,
    detail.errorCode,
    detail.errorMessage,
    detail.correlationId,
    action?.status,
    action?.type,
    action?.machineId,
    action?.computerDnsName,
    toMs(action?.createdAt),
    toMs(action?.updatedAt),
    detail.requestedBy,
    detail.requestedAt,
    detail.verifiedAt,
  ];
  return values.map((value) => (value === undefined || value === null ? '' : String(value)));
}

/** The reverse of `detailArguments`, as far as a refusal's details go. */
export function detailFromArguments(values: readonly string[]): Detail {
  const [httpStatus, errorCode, errorMessage, correlationId] = values;
  return {
    ...(httpStatus && { httpStatus: Number(httpStatus) }),
    ...(errorCode && { errorCode }),
    ...(errorMessage && { errorMessage }),
    ...(correlationId && { correlationId }),
  };
}

/** What a campaign adds to each of its results. */
export interface ResultOrigin {
  campaign: string;
  requestedBy: string | null;
  /** Ms since 1970. */
  requestedAt: number;
}

/** A results entry, as far as reading it needs no campaign. */
export interface ResultEntry {
  generation: number;
  result: CancelResult;
}

/** Reads the values of a results entry, in the order of the fields. */
export function readEntry(values: readonly unknown[], origin: ResultOrigin): ResultEntry {
  const [id, generation, outcome, attempts, uncertain, decidedAt, ...rest] = values.map(asText);
  const [
    httpStatus,
    errorCode,
    errorMessage,
    correlationId,
    status,
    type,
    machineId,
    dnsName,
    created,
    updated,
    by,
    at,
    verifiedAt,
  ] = rest;
  const action = {
    status,
    type,
    machineId,
    computerDnsName: dnsName,
    createdAt: toIso(created),
    updatedAt: toIso(updated),
  };
  const requestedBy = by || origin.requestedBy;
  return {
    generation: Number(generation),
    result: {
      machineActionId: id ?? '',
      outcome: asOutcome(outcome),
      ...(httpStatus && { httpStatus: Number(httpStatus) }),
      ...(errorCode && { errorCode }),
      ...(errorMessage && { errorMessage }),
      ...(correlationId && { correlationId }),
      ...(status && { action: emptyToNull(action) }),
      attempts: Number(attempts),
      uncertain: uncertain === '1',
      campaign: origin.campaign,
      ...(requestedBy && { requestedBy }),
      // An earlier version wrote 0 where it meant the campaign's.
      requestedAt: new Date(Number(at) || origin.requestedAt).toISOString(),
      decidedAt: new Date(Number(decidedAt)).toISOString(),
      ...(verifiedAt && { verifiedAt: new Date(Number(verifiedAt)).toISOString() }),
    },
  };
}

/** Takes the values out of a stream entry's flat list of names and values. */
export function entryValues(flat: readonly unknown[]): unknown[] {
  const byName = new Map<string, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) byName.set(asText(flat[i]), flat[i + 1]);
  return RESULT_FIELDS.map((field) => byName.get(field));
}

function asOutcome(text: string | undefined): Outcome {
  const outcome = OUTCOMES.find((candidate) => candidate === text);
  if (!outcome) throw new TypeError(`unknown outcome in the results: ${text}`);
  return outcome;
}

function emptyToNull(action: Record<keyof ActionSummary, string | null | undefined>): ActionSummary {
  const clean = (value: string | null | undefined) => (value ? value : null);
  return {
    status: clean(action.status),
    type: clean(action.type),
    machineId: clean(action.machineId),
    computerDnsName: clean(action.computerDnsName),
    createdAt: clean(action.createdAt),
    updatedAt: clean(action.updatedAt),
  };
}

function toMs(iso: string | null | undefined): number | undefined {
  const ms = iso ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function toIso(ms: string | undefined): string | null {
  return ms ? new Date(Number(ms)).toISOString() : null;
}

/**
 * Ends a request: writes the outcome into the record, counts it in its campaign, appends it to the results and to the
 * outcomes of all.
 *
 * k: bucket, campaign, results, expiries, checking, outcomes, outcome. detail: ARGV[detail…], or a list. Returns position and the entry's values.
 */
export const DECIDE_LUA = /* lua */ `
local FIELDS = {${RESULT_FIELDS.map((field) => `'${field}'`).join(',')}}
-- Filled as it is needed: most scripts end one request.
local HEX = setmetatable({}, {__index = function(hex, byte)
  hex[byte] = string.format('%02x', byte)
  return hex[byte]
end})

-- A number as Redis gets it. It would write each anew, and slowly, at each call; these few come again and again.
local DIGITS = setmetatable({}, {__index = function(digits, number)
  digits[number] = string.format('%d', number)
  return digits[number]
end})

local function guid(id)
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p = string.byte(id, 1, 16)
  local H = HEX
  return H[a] .. H[b] .. H[c] .. H[d] .. '-' .. H[e] .. H[f] .. '-' .. H[g] .. H[h] .. '-' .. H[i] .. H[j] .. '-'
    .. H[k] .. H[l] .. H[m] .. H[n] .. H[o] .. H[p]
end

local function detailFrom(first)
  local detail = {}
  for i = 1, ${DETAIL_LENGTH} do detail[i] = ARGV[first + i - 1] or '' end
  return detail
end

-- Whether the action is known not to take place. As wasStopped does.
local function stops(detail)
  return detail[${STATUS}] == '${STOPPED_STATUS}' and detail[${ERROR_CODE}] ~= '${COMMAND_COMPLETED}'
end

-- One entry's names and values; the names stay.
local ENTRY = {}
for i, name in ipairs(FIELDS) do ENTRY[2 * i - 1] = name end

-- Appends what stands of a record to the results.
local function append(resultsKey, id, r, decidedAt, detail)
  ENTRY[2], ENTRY[4], ENTRY[6] = guid(id), DIGITS[r[GENERATION]], STATES[r[STATE]]
  ENTRY[8], ENTRY[10], ENTRY[12] = DIGITS[r[ATTEMPTS]], hasFlag(r, UNCERTAIN) and '1' or '0', DIGITS[decidedAt]
  for i = 1, ${DETAIL_LENGTH} do ENTRY[${2 * OWN_FIELDS} + 2 * i] = detail[i] or '' end
  local last = next(detail) and #ENTRY or ${2 * OWN_FIELDS}
  redis.call('XADD', resultsKey, string.format('%d-0', r[POSITION]), unpack(ENTRY, 1, last))
end

${TELL_LUA}

-- The values of the entry that was appended last.
local function appended()
  local values = {}
  for i = 1, #FIELDS do values[i] = tostring(ENTRY[2 * i]) end
  return values
end

-- Counts one outcome in its campaign. Returns its position, the campaign's name, and whether it is one of single cancels.
local function count(k, outcome, now)
  local c = redis.call('HMGET', k.campaign, 'open', outcome, 'results', 'name', 'direct')
  local position = (tonumber(c[3]) or 0) + 1
  redis.call('HSET', k.campaign, 'open', (tonumber(c[1]) or 1) - 1, outcome, (tonumber(c[2]) or 0) + 1, 'results', position,
    'decidedAt', math.floor(now))
  return position, c[4], c[5] == '1'
end

-- k.tally, where many are ended in one script: then they are counted in it, and written once by countTally.
local function decide(k, id, r, outcome, detail, now)
  local position, name
  if k.tally then
    position, name = k.tally.results + 1, k.tally.name
    k.tally.results = position
    k.tally.ended[outcome] = (k.tally.ended[outcome] or 0) + 1
  else
    local isDirect
    position, name, isDirect = count(k, outcome, now)
    -- In a campaign that somebody submitted, who asked for the same id by itself is not who asked for it there.
    if not isDirect and next(detail) then detail[${REQUESTED_BY}], detail[${REQUESTED_BY} + 1] = '', '' end
  end
  r[STATE], r[POSITION], r[PROBES], r[NOT_BEFORE], r[FAILED], r[UNEXPLAINED] = CODES[outcome], position, 0, 0, 0, 0
  release(r)
  if hasFlag(r, EXPIRES) then
    redis.call('ZREM', k.expiries, id)
    redis.call('HDEL', k.checking, id)
    setFlag(r, EXPIRES, false)
  end
  if stops(detail) then
    setFlag(r, STOPPED, true)
    redis.call('HINCRBY', k.campaign, 'stopped', 1)
  end
  save(k.bucket, id, r)
  append(k.results, id, r, math.floor(now), detail)
  tell(k, name or '', next(detail) ~= nil)
  return position, not k.tally and appended()
end

local function newTally(campaignKey)
  local c = redis.call('HMGET', campaignKey, 'results', 'name')
  return {results = tonumber(c[1]) or 0, name = c[2], ended = {}}
end

local function countTally(campaignKey, tally, now)
  local all = 0
  for outcome, n in pairs(tally.ended) do
    redis.call('HINCRBY', campaignKey, outcome, n)
    all = all + n
  end
  if all == 0 then return end
  redis.call('HINCRBY', campaignKey, 'open', -all)
  redis.call('HSET', campaignKey, 'results', tally.results, 'decidedAt', math.floor(now))
end

-- How a request ends whose campaign was aborted or whose time has passed: an answer that was lost is not hidden.
local function endingOf(r, wanted)
  if hasFlag(r, UNCERTAIN) then return 'unresolved' end
  return wanted
end
`;
