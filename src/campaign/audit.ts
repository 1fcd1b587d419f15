import type { Keys } from '../keys.ts';
import { MOST_AUDITED } from '../ledger/audit.ts';
import type { RedisClient } from '../script.ts';

/** What was done to a campaign. */
export type AuditAction = 'submit' | 'pause' | 'resume' | 'abort' | 'retry' | 'priority';

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

/** Notes what is done in more than one step, before the first of them. */
export async function appendAudit(
  deps: { redis: RedisClient; keys: Keys },
  campaign: number,
  entry: Omit<AuditEntry, 'at'>,
): Promise<void> {
  const { action, by, command, detail } = entry;
  const fields = ['action', action, 'by', by, 'command', command, 'detail', detail];
  await deps.redis.xadd(deps.keys.audit(campaign), 'MAXLEN', '~', MOST_AUDITED, '*', ...fields);
}

/** Everything that was done to a campaign, in order. */
export async function readAudit(
  deps: { redis: RedisClient; keys: Keys },
  campaign: number,
): Promise<AuditEntry[]> {
  const entries = await deps.redis.xrange(deps.keys.audit(campaign), '-', '+');
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
