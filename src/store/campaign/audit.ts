import type { Keys } from '../keys.ts';
import { AUDIT_LUA } from '../ledger/audit.ts';
import { asText, defineScript, type RedisClient } from '../script.ts';
import type { CampaignState } from './registry.ts';

/** What was done to a campaign. */
export type AuditAction =
  | 'submit'
  | 'pause'
  | 'resume'
  | 'abort'
  | 'retry'
  | 'priority'
  | 'verify'
  | 'export';

/** What leaves a campaign as it is, and may be done to one that has ended. */
const LOOKING: readonly AuditAction[] = ['verify', 'export'];

/** Who does something to a campaign, and how. */
export interface Actor {
  /** A person on a machine (`user@host`), or a service's name. */
  by: string;
  /** The command as it was given, or another way of asking. Never a secret. */
  command: string;
}

export interface AuditEntry extends Actor {
  /** Ms since 1970, by Redis' clock. */
  at: number;
  action: AuditAction;
  /** What else there is to say: how many ids, which outcomes, which priority. */
  detail: string;
}

/**
 * Notes something, unless the campaign takes no more of it.
 *
 * KEYS  1 campaign, 2 audit
 * ARGV  1 action, 2 by whom, 3 command, 4 detail, 5 '1' when it may have ended
 * Returns  the campaign's state
 */
const noteScript = defineScript(
  'note-audit',
  /* lua */ `
${AUDIT_LUA}
local state = redis.call('HGET', KEYS[1], 'state') or 'deleted'
local takes = state == 'running' or state == 'paused' or (ARGV[5] == '1' and state ~= 'deleted')
if takes then audit(KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) end
return state
`,
);

/**
 * Notes what is done in more than one step, before the first of them; not to a campaign that is deleted, nor, unless it
 * only looks, to one that has ended.
 *
 * @returns the campaign's state.
 */
export async function appendAudit(
  deps: { redis: RedisClient; keys: Keys },
  campaign: number,
  entry: Omit<AuditEntry, 'at'>,
): Promise<CampaignState> {
  const { redis, keys } = deps;
  const { action, by, command, detail } = entry;
  const isLook = LOOKING.includes(action);
  const touched = [keys.campaign(campaign), isLook ? keys.auditLooks(campaign) : keys.audit(campaign)];
  const reply = await noteScript(redis, touched, [action, by, command, detail, isLook ? 1 : 0]);
  return asText(reply) as CampaignState;
}

/**
 * Everything that was done to a campaign, in order.
 *
 * @param last only the last so many of each kind: changes, what came through the inbox, and what only looked.
 */
export async function readAudit(
  { redis, keys }: { redis: RedisClient; keys: Keys },
  campaign: number,
  last?: number,
): Promise<AuditEntry[]> {
  const streams = [keys.audit, keys.auditInbox, keys.auditLooks].map((of) => of(campaign));
  const read = await Promise.all(
    streams.map(async (stream) =>
      toEntries(
        last === undefined
          ? await redis.xrange(stream, '-', '+')
          : (await redis.xrevrange(stream, '+', '-', 'COUNT', last)).reverse(),
      ),
    ),
  );
  return read.flat().sort((one, other) => one.at - other.at);
}

function toEntries(entries: [id: string, fields: string[]][]): AuditEntry[] {
  return entries.map(([id, flat]) => {
    const at = (name: string) => flat[flat.indexOf(name) + 1] ?? '';
    return {
      at: Number(id.split('-')[0]),
      action: at('action') as AuditAction,
      by: at('by'),
      command: at('command'),
      detail: at('detail'),
    };
  });
}
