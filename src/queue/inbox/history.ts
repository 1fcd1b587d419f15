import type { Keys } from '../../store/keys.ts';
import { AUDIT_LUA } from '../../store/ledger/audit.ts';
import { defineScript, type RedisClient } from '../../store/script.ts';

/** What services put into a campaign within so many ms, and one of them, is one entry of its history. */
const FOLDED_MS = 600_000;

/** The command of what came through the inbox. */
const INBOX = 'inbox';

/**
 * Notes ids that came through the inbox, in a stream of their own: who may write there names itself as it likes, and must not
 * push out who paused or aborted. While nothing else was done since, a service's entry of these ten minutes is replaced by one
 * for both.
 *
 * KEYS  1 campaign, 2 audit of the inbox, 3 audit
 * ARGV  1 by whom, 2 how many ids
 */
const noteInboxScript = defineScript(
  'note-inbox',
  /* lua */ `
${AUDIT_LUA}
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' and state ~= 'paused' then return {} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local entries = redis.call('XRANGE', KEYS[2], string.format('%.0f', now - now % ${FOLDED_MS}), '+')
local count = tonumber(ARGV[2])
for i = #entries, 1, -1 do
  local f = {}
  for n = 1, #entries[i][2], 2 do f[entries[i][2][n]] = entries[i][2][n + 1] end
  if f.by == ARGV[1] then
    if #redis.call('XRANGE', KEYS[3], entries[i][1], '+', 'COUNT', 1) == 0 then
      redis.call('XDEL', KEYS[2], entries[i][1])
      count = count + (tonumber(string.match(f.detail, '^%d+')) or 0)
    end
    break
  end
end
audit(KEYS[2], 'submit', ARGV[1], '${INBOX}', string.format(count == 1 and '%d action' or '%d actions', count))
return {}
`,
);

/** Notes ids that came through the inbox: after they did, for only then it is known how many were new. */
export async function noteInbox(
  { redis, keys }: { redis: RedisClient; keys: Keys },
  campaign: number,
  by: string,
  count: number,
): Promise<void> {
  const touched = [keys.campaign(campaign), keys.auditInbox(campaign), keys.audit(campaign)];
  await noteInboxScript(redis, touched, [by, count]);
}
