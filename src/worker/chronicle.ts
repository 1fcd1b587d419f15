import type { CancelResult, Outcome } from '../base/outcome.ts';
import type { Request } from '../queue/job.ts';
import { originOf, readCampaign } from '../store/campaign/registry.ts';
import type { Keys } from '../store/keys.ts';
import { type ResultOrigin, readEntry } from '../store/ledger/result.ts';
import { readResultAt } from '../store/ledger/result-at.ts';
import type { RedisClient } from '../store/script.ts';

export type Chronicle = ReturnType<typeof createChronicle>;

/** Turns what the ledger recorded into results as jobs return them. */
export function createChronicle(deps: {
  redis: RedisClient;
  keys: Keys;
  wall(): number;
  /** The epoch of Redis' data, as far as is known. */
  epoch(): string;
}) {
  const { redis, keys } = deps;
  const origins = new Map<number, ResultOrigin>();
  let epoch = '';

  /** A campaign's name and time never change, and no number is given twice: while Redis keeps its data. */
  async function originFor(number: number): Promise<ResultOrigin> {
    if (epoch !== deps.epoch() || origins.size > 1_000) origins.clear();
    epoch = deps.epoch();
    const known = origins.get(number);
    if (known) return known;
    const asked = epoch;
    const campaign = await readCampaign(redis, keys, number);
    if (!campaign) return { campaign: '', requestedBy: null, requestedAt: deps.wall() };
    const origin = originOf(campaign);
    if (asked === epoch) origins.set(number, origin);
    return origin;
  }

  return {
    originFor,

    /** What was decided just now. */
    decided: async (campaign: number, values: readonly unknown[]): Promise<CancelResult> =>
      readEntry(values, await originFor(campaign)).result,

    /** What was decided before, from the campaign's results. */
    async recorded(
      campaign: number,
      { outcome, position }: { outcome: Outcome; position: number },
      request: Request,
    ): Promise<CancelResult> {
      const origin = await originFor(campaign);
      const values = await readResultAt(redis, keys.results(campaign), position);
      if (values) return readEntry(values, origin).result;
      const time = new Date(origin.requestedAt).toISOString();
      const rest = {
        attempts: 0,
        uncertain: false,
        campaign: origin.campaign,
        requestedAt: time,
        decidedAt: time,
      };
      return { machineActionId: request.machineActionId, outcome, ...rest };
    },

    /** What a job is told that asks for nothing that can be done. */
    invalid: (
      bad: { machineActionId: string; reason: string },
      campaign: string,
      requestedAt: number,
    ): CancelResult => ({
      machineActionId: bad.machineActionId,
      outcome: 'invalid',
      errorMessage: bad.reason,
      attempts: 0,
      uncertain: false,
      campaign,
      requestedAt: new Date(requestedAt).toISOString(),
      decidedAt: new Date(deps.wall()).toISOString(),
    }),

    /** The end of a wish that leaves the ledger as it is. */
    async unrecorded(
      work: { request: Request; requestedAt: number | null },
      campaign: number,
      outcome: Outcome,
    ): Promise<CancelResult> {
      const { request } = work;
      const origin = await originFor(campaign);
      return {
        machineActionId: request.machineActionId,
        outcome,
        attempts: 0,
        uncertain: false,
        campaign: origin.campaign,
        ...(request.requestedBy !== null && { requestedBy: request.requestedBy }),
        requestedAt: new Date(work.requestedAt ?? origin.requestedAt).toISOString(),
        decidedAt: new Date(deps.wall()).toISOString(),
      };
    },
  };
}
