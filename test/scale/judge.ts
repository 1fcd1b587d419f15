import type { Outcome } from '../../src/base/outcome.ts';
import { readCampaign } from '../../src/store/campaign/registry.ts';
import { RESULT_FIELDS } from '../../src/store/ledger/result.ts';
import { readResults } from '../../src/store/ledger/results.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { recount } from '../support/ledger.ts';
import { untruth } from './actions.ts';
import type { Fate } from './network.ts';
import type { Scale, SimulatedTenant } from './tenant.ts';
import { Ideal } from './windows.ts';

/** What became of one tenant. */
export interface TenantReport {
  index: number;
  /** Others used the same application. */
  isShared: boolean;
  requests: number;
  /** Cancels that arrived at the server. */
  calls: number;
  /** Cancels that one who knows everything could have made in the same time. */
  possible: number;
  /** From the first cancel's arrival to the last one's. */
  makespanMs: number;
  /** The same for one who knows everything and needs one call for each request. */
  idealMs: number;
  /** Cancels; nobody else uses Get, where none may be. */
  refused: number;
  /** Calls that were one too many by what we made ourselves. */
  excess: number;
  repeats: number;
  crashes: number;
  sleeps: number;
  outages: number;
  others: number;
  fates: Record<Fate, number>;
  outcomes: Partial<Record<Outcome, number>>;
  /** What must not be: all of it counted, some of it told. */
  violated: number;
  violations: readonly string[];
}

export async function judge(
  redis: RedisClient,
  scale: Scale,
  tenant: SimulatedTenant,
): Promise<TenantReport> {
  const { book, defender, isShared, fates, crashes, sleeps, outages } = tenant;
  const { calls, refused, excess, firstAt, lastAt, others } = defender.seen;
  const outcomes = await judgeLedger(redis, tenant);
  if (excess > 0) book.violate(`${excess} calls more than a window allows`);
  if (refused.cancel > 0 && !isShared) book.violate(`${refused.cancel} calls refused`);
  if (refused.get > 0) book.violate(`${refused.get} calls of Get refused`);
  const ideal = new Ideal(scale.windows, firstAt, { outages, others });
  let possible = 0;
  let idealAt = firstAt;
  for (let at = ideal.next(); at <= lastAt || possible < scale.requests; at = ideal.next()) {
    if (possible < scale.requests) idealAt = at;
    if (at > lastAt && possible >= scale.requests) break;
    possible++;
  }
  return {
    index: tenant.index,
    isShared,
    requests: scale.requests,
    calls: calls.cancel,
    possible,
    makespanMs: lastAt - firstAt,
    idealMs: idealAt - firstAt,
    refused: refused.cancel,
    excess,
    repeats: book.repeats(),
    crashes,
    sleeps,
    outages: outages.length,
    others: others.length,
    fates,
    outcomes,
    violated: book.violationCount(),
    violations: book.violations(),
  };
}

/** Compares what the ledger and its results say with what jobs were told, and with what became of the actions. */
async function judgeLedger(
  redis: RedisClient,
  tenant: SimulatedTenant,
): Promise<Partial<Record<Outcome, number>>> {
  const { book, keys, made } = tenant;
  const campaign = await readCampaign(redis, keys, 1);
  if (campaign?.open !== 0) book.violate(`${campaign?.open} requests are open for ever`);
  await recount({ ...tenant, redis }, 1).catch((error: Error) => book.violate(error.message));
  const recorded = new Map<string, Outcome>();
  for (let after = 0; ; ) {
    const page = await readResults(redis, keys.results(1), after, 2_000);
    for (const { place, values } of page) {
      after = place;
      const text = (name: (typeof RESULT_FIELDS)[number]) => values[RESULT_FIELDS.indexOf(name)] ?? '';
      const [id, outcome] = [text('machineActionId'), text('outcome') as Outcome];
      if (recorded.has(id)) book.violate(`${id} ended twice`);
      recorded.set(id, outcome);
      const told = { outcome, uncertain: text('uncertain') === '1', attempts: Number(text('attempts')) };
      const lie = untruth(made.actions.get(id), told);
      if (lie !== null) book.violate(`${id}: ${lie}`);
    }
    if (page.length === 0) break;
  }
  for (const id of made.ids) {
    const [told, stands] = [book.outcomeOf(id), recorded.get(id)];
    if (told === undefined || told !== stands) book.violate(`${id}: told ${told}, recorded ${stands}`);
  }
  return campaign?.outcomes ?? {};
}
