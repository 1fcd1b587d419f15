import { bytesToGuid } from '../../base/guid.ts';
import type { CancelResult } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import { ID_BYTES } from './batch.ts';

/**
 * The fields of an entry of the outcomes of all, in this order. Those of a results entry, but for what is known of the
 * action itself beyond its status: that stands in the campaign's results. What was ended without a call, thousands in a
 * row, stops after `campaign`.
 */
export const OUTCOME_FIELDS = [
  'machineActionId',
  'generation',
  'outcome',
  'attempts',
  'uncertain',
  'decidedAt',
  'campaign',
  'httpStatus',
  'errorCode',
  'errorMessage',
  'correlationId',
  'status',
  'requestedBy',
  'requestedAt',
] as const;

/** Those that are numbers in JSON. */
const NUMBERS: ReadonlySet<string> = new Set([
  'generation',
  'attempts',
  'decidedAt',
  'httpStatus',
  'requestedAt',
]);

/** How many outcomes the stream keeps, about: more than two days' worth of calls at 1,500 an hour. */
export const MOST_OUTCOMES = 100_000;

/** How long the outcome of an id that came through the inbox can be asked for by its key, in seconds: a day. */
export const OUTCOME_KEPT_S = 86_400;

/** How long an id without an outcome is known by its key, in seconds: 30 days. Longer, only the streams tell. */
export const AWAITED_S = 30 * 86_400;

/** What stands under that key while the id has no outcome. */
export const NO_OUTCOME = '{"outcome":null}';

/**
 * For scripts whose last keys are the outcomes of ids: `areAsked(place)`, whether somebody has asked for any of them, `place`
 * that before the first. One look for all, for nearly always nobody has.
 */
export const ASKED_LUA = /* lua */ `
local function areAsked(place) return place < #KEYS and redis.call('EXISTS', unpack(KEYS, place + 1)) > 0 end
`;

/**
 * For scripts that open an id again: `outcomeIsOpen(key)`, the key of the id's outcome. Whoever asked for it sees that it
 * is open, and is told the next outcome; for an id that nobody asked for there is no key, and none comes to be.
 */
export const OUTCOME_OPEN_LUA = /* lua */ `
local function outcomeIsOpen(key) redis.call('SET', key, '${NO_OUTCOME}', 'EX', ${AWAITED_S}, 'XX') end
`;

/** The keys of all outcomes and of one id's. */
export function outcomeKeys(keys: Keys, id: Buffer): [string, string] {
  return [keys.outcomes, keys.outcome(bytesToGuid(id))];
}

/** Each id's own, for ids of 16 bytes each in a row. */
export function outcomeKeysOf(keys: Keys, ids: Buffer): string[] {
  return Array.from({ length: ids.length / ID_BYTES }, (_, i) =>
    keys.outcome(bytesToGuid(ids, i * ID_BYTES)),
  );
}

/** The values of an outcome that no script has told, in the order of the fields. It is of no generation. */
export function outcomeValues(result: CancelResult): string[] {
  const known: Readonly<Record<string, string | number | undefined>> = {
    ...result,
    generation: '',
    uncertain: result.uncertain ? 1 : 0,
    action: undefined,
    status: result.action?.status ?? '',
    decidedAt: Date.parse(result.decidedAt),
    requestedAt: Date.parse(result.requestedAt),
  };
  return OUTCOME_FIELDS.map((field) => String(known[field] ?? ''));
}

/** An outcome as its key holds it: the stream's fields, without those that are empty. */
export function outcomeJson(values: readonly string[]): string {
  const told: Record<string, string | number | boolean> = {};
  for (const [i, name] of OUTCOME_FIELDS.entries()) {
    const value = values[i] ?? '';
    if (name === 'uncertain') told[name] = value === '1';
    else if (value !== '') told[name] = NUMBERS.has(name) ? Number(value) : value;
  }
  return JSON.stringify(told);
}

/**
 * Tells an outcome to those who listen: in the stream of all, and under the id's key where somebody asked for that. In the
 * step that records it, so that it can be neither lost nor told twice.
 *
 * Uses FIELDS and ENTRY, which `append` has filled. k: outcomes, and outcome, the id's key.
 */
export const TELL_LUA = /* lua */ `
local NUMBERS = {${[...NUMBERS].map((name) => `${name} = true`).join(', ')}}
-- An entry's names and values, the names stay; and from where in ENTRY each value comes.
local TOLD, SOURCE, AT = {}, {}, {}
for i, name in ipairs(FIELDS) do AT[name] = 2 * i end
for i, name in ipairs({${OUTCOME_FIELDS.map((name) => `'${name}'`).join(',')}}) do
  TOLD[2 * i - 1], SOURCE[i] = name, AT[name] or name
end

local function asJson(last)
  local told = {}
  for i = 1, last, 2 do
    local name, value = TOLD[i], TOLD[i + 1]
    if name == 'uncertain' then told[name] = value == '1'
    elseif value ~= '' then told[name] = NUMBERS[name] and tonumber(value) or value end
  end
  return cjson.encode(told)
end

local function tell(k, campaign, hasDetail)
  if not k.outcomes then return end
  local last = hasDetail and ${2 * OUTCOME_FIELDS.length} or ${2 * (OUTCOME_FIELDS.indexOf('campaign') + 1)}
  ENTRY.campaign = campaign
  for i = 1, last / 2 do TOLD[2 * i] = ENTRY[SOURCE[i]] end
  redis.call('XADD', k.outcomes, 'MAXLEN', '~', ${MOST_OUTCOMES}, '*', unpack(TOLD, 1, last))
  if k.outcome and redis.call('EXISTS', k.outcome) == 1 then redis.call('SET', k.outcome, asJson(last), 'EX', ${OUTCOME_KEPT_S}) end
end
`;
