import { guidsToBytes } from '../../base/guid.ts';
import type { Keys } from '../../store/keys.ts';
import type { Ledger } from '../../store/ledger/ledger.ts';
import type { Look } from '../../store/ledger/look.ts';
import { OUTCOME_FIELDS } from '../../store/ledger/outcomes.ts';
import { RESULT_FIELDS } from '../../store/ledger/result.ts';
import { readResultAt } from '../../store/ledger/result-at.ts';
import { asText, type RedisClient } from '../../store/script.ts';
import type { Wish } from './entry.ts';

export interface StandingDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

/** What the ledger says of a wish's id already. */
export interface Standing {
  wish: Wish;
  /** Null: unknown. */
  record: Look | null;
}

export function isDecided(record: Look | null): record is Look {
  return record !== null && record.position > 0;
}

/** Looks each wish's id up, in their order. From now on the outcomes of those that have none are told by their keys. */
export async function awaitOutcomes({ ledger }: StandingDeps, wishes: readonly Wish[]): Promise<Standing[]> {
  if (wishes.length === 0) return [];
  const ids = guidsToBytes(wishes.map(({ request }) => request.machineActionId));
  const records = await ledger.awaitOutcomes(ids);
  return wishes.map((wish, i) => ({ wish, record: records[i] ?? null }));
}

/** A recorded outcome, in the order of OUTCOME_FIELDS; and when it was decided, in ms since 1970. */
export interface Recorded {
  values: string[];
  decidedAt: number;
}

/** Reads an outcome from the results of the campaign that owns the id. */
export async function readRecorded(
  { redis, keys }: StandingDeps,
  wish: Wish,
  { campaign, position, state, ...record }: Look,
): Promise<Recorded> {
  const [found, name] = await Promise.all([
    readResultAt(redis, keys.results(campaign), position),
    redis.hget(keys.campaign(campaign), 'name'),
  ]);
  const known = new Map<string, string>();
  const recorded = found ?? [];
  for (const [i, field] of RESULT_FIELDS.entries()) known.set(field, asText(recorded[i]));
  // An earlier version wrote 0 where it meant the campaign's.
  if (known.get('requestedAt') === '0') known.set('requestedAt', '');
  // Somebody may have taken the results away; what the ledger says stands.
  known.set('machineActionId', wish.request.machineActionId);
  known.set('outcome', state);
  known.set('generation', String(record.generation));
  known.set('attempts', String(record.attempts));
  known.set('uncertain', record.uncertain ? '1' : '0');
  known.set('campaign', name ?? '');
  return {
    values: OUTCOME_FIELDS.map((field) => known.get(field) ?? ''),
    decidedAt: Number(known.get('decidedAt')),
  };
}
