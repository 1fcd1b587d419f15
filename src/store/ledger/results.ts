import { asText, defineScript, type RedisClient } from '../script.ts';
import { RESULT_FIELDS } from './result.ts';

/**
 * Reads entries of a campaign's results: their values only, as one text. As Redis' own answer, a list of lists with every
 * name in each, they take ten times as long to read.
 *
 * KEYS  1 results
 * ARGV  1 place of the entry to begin after, 2 most entries
 * Returns  JSON: a list of [place, value of each field…]
 */
const readScript = defineScript(
  'read-results',
  /* lua */ `
local FIELDS = {${RESULT_FIELDS.map((field) => `'${field}'`).join(',')}}
local rows = {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])) do
  local values, flat = {}, entry[2]
  for f = 1, #flat, 2 do values[flat[f]] = flat[f + 1] end
  local row = {string.match(entry[1], '^%d+')}
  for f, name in ipairs(FIELDS) do row[f + 1] = values[name] or '' end
  rows[i] = row
end
if #rows == 0 then return '[]' end
return cjson.encode(rows)
`,
);

/** Entries as they stand in a campaign's results, and their places in it. */
export interface StoredResult {
  place: number;
  /** In the order of the fields. */
  values: string[];
}

/** Entries after a place, in order. */
export async function readResults(
  redis: RedisClient,
  resultsKey: string,
  after: number,
  most: number,
): Promise<StoredResult[]> {
  const rows: unknown = JSON.parse(asText(await readScript(redis, [resultsKey], [after, most])));
  if (!Array.isArray(rows)) throw new TypeError('unexpected reply of read-results');
  return rows.map(([place, ...values]: string[]) => ({ place: Number(place), values }));
}
