import type { Keys } from '../../store/keys.ts';
import { asText, defineScript, type RedisClient } from '../../store/script.ts';
import { GROUP } from './scripts.ts';

/**
 * An entry whose id is so far ahead of Redis' clock, in ms, was numbered by its service. Every later `XADD … *` continues
 * from there: services then read the outcomes from a place that lies in the future, and behind the greatest id Redis
 * adds nothing at all.
 */
const MOST_AHEAD_MS = 3_600_000;

/** @param now in ms since 1970, by Redis' clock. */
export function isAhead(id: string, now: number): boolean {
  return Number(id.split('-')[0]) > now + MOST_AHEAD_MS;
}

/**
 * Lets Redis number entries by its clock again, once none is left whose id is ahead. What the group has read of the others
 * stays read, and what it has not comes to it.
 *
 * KEYS  1 inbox
 * Returns  the first id that is too far ahead while there are such entries, 'lowered', or '' where all is in order
 */
const lowerScript = defineScript(
  'inbox-lower',
  /* lua */ `
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most = now + ${MOST_AHEAD_MS}
local function fieldsOf(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end
local function ms(id) return tonumber(string.match(id, '^%d+')) end
local stream = fieldsOf(redis.call('XINFO', 'STREAM', KEYS[1]))
if ms(stream['last-generated-id']) <= most then return '' end
local newest = stream['last-entry'] and stream['last-entry'][1]
if newest and ms(newest) > most then return string.format('%.0f-0', most + 1) end
local last = newest and ms(newest) >= now and newest or string.format('%.0f-0', now)
-- From 7.0 on a stream remembers the greatest id that was deleted, and a later version allows none below it.
local added = stream['entries-added']
if added then redis.call('XSETID', KEYS[1], last, 'ENTRIESADDED', added, 'MAXDELETEDID', last)
else redis.call('XSETID', KEYS[1], last) end
for _, reply in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = fieldsOf(reply)
  if group.name == '${GROUP}' and ms(group['last-delivered-id']) > most then
    redis.call('XGROUP', 'SETID', KEYS[1], '${GROUP}', last)
  end
end
return 'lowered'
`,
);

/** @returns where the entries begin that have to be taken in first; null: there are none. */
export async function lowerLastId({
  redis,
  keys,
}: {
  redis: RedisClient;
  keys: Keys;
}): Promise<{ lowered: boolean; ahead: string | null }> {
  const reply = asText(await lowerScript(redis, [keys.inbox], []));
  const lowered = reply === 'lowered';
  return { lowered, ahead: lowered || reply === '' ? null : reply };
}

/** The last id of the inbox, where it is too far ahead; null: it is not, or there is no inbox. */
export async function lastIdAhead(
  { redis, keys }: { redis: RedisClient; keys: Keys },
  now: number,
): Promise<string | null> {
  if ((await redis.exists(keys.inbox)) === 0) return null;
  const reply = (await redis.call('XINFO', 'STREAM', keys.inbox)) as unknown[];
  const last = String(reply[reply.indexOf('last-generated-id') + 1]);
  return isAhead(last, now) ? last : null;
}
