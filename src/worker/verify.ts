import { guidToBytes } from '../base/guid.ts';
import type { CancelResult, Detail, Outcome } from '../base/outcome.ts';
import { type Action, isFinal, isFinalStatus, seenOf } from '../defender/classify.ts';
import type { Reader } from '../defender/reader.ts';
import { type Campaign, originOf } from '../store/campaign/registry.ts';
import { eachStanding, type PlacedResult } from '../store/campaign/report.ts';
import { countTracked } from '../store/campaign/tracked.ts';
import type { Keys } from '../store/keys.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import type { RedisClient } from '../store/script.ts';

export interface VerifyDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  reader: Reader;
  /** Ms since 1970. */
  wall(): number;
}

/** All ids of a campaign: `total` is what was asked for, `settled`, `uncalled`, `open`, `others` and `unknown`. */
export interface VerifyCount {
  /** Ids whose state was asked for: what was noted, absent and changed. */
  asked: number;
  /** Ids whose state was read and noted. */
  noted: number;
  /** Of these, by the state they are in; `null`: the API left it out. */
  states: Map<string | null, number>;
  /** Of these, how many are in a state that may still change. */
  unsettled: number;
  /** Ids that the list does not show. */
  absent: number;
  /** Ids that were retried or verified elsewhere while they were read. */
  changed: number;
  /** Ids that were verified in a final state before: it does not change. */
  settled: number;
  /** Ids that ended without a call, or before another one: there is nothing to verify. */
  uncalled: number;
  /** Ids without an outcome. */
  open: number;
  /** Ids that other campaigns own. */
  others: number;
  /** Ids whose campaign was deleted. */
  unknown: number;
}

/** Ids asked for at once: what one call of the list takes. */
const PART = 100;

/** Outcomes without a call say nothing that could be verified. */
const UNCALLED: readonly Outcome[] = ['invalid', 'withdrawn', 'expired'];

/**
 * Reads what the state of each finished action became, and fills it into the results. The outcomes stay as they
 * are. Actions that were verified in a final state are not asked for again: it does not change.
 *
 * @param options.onProgress told after each call, with how many were asked for so far.
 * @throws all that the reader throws. Half-way through it may simply be run again.
 */
export async function verifyCampaign(
  deps: VerifyDeps,
  campaign: Campaign,
  options: { onProgress?: (asked: number) => void | Promise<void> } = {},
): Promise<VerifyCount> {
  const { redis, keys } = deps;
  const [tracked, kept] = await Promise.all([
    countTracked(deps, campaign.number),
    redis.hlen(keys.kept(campaign.number)),
  ]);
  const count: VerifyCount = {
    asked: 0,
    noted: 0,
    states: new Map(),
    unsettled: 0,
    absent: 0,
    changed: 0,
    settled: 0,
    uncalled: 0,
    open: campaign.open,
    others: tracked.total - tracked.unknown + kept,
    unknown: tracked.unknown,
  };
  let waiting: PlacedResult[] = [];
  const flush = async () => {
    if (waiting.length === 0) return;
    await verifyPart(deps, campaign, waiting, count);
    waiting = [];
    await options.onProgress?.(count.asked);
  };
  // What is appended from here on is this verification's own.
  const end = Number((await redis.hget(keys.campaign(campaign.number), 'results')) ?? 0);
  for await (const placed of eachStanding(deps, campaign)) {
    if (placed.place > end) break;
    const { outcome, verifiedAt, action } = placed.result;
    if (UNCALLED.includes(outcome)) count.uncalled++;
    else if (verifiedAt !== undefined && action && isFinal(action)) count.settled++;
    else waiting.push(placed);
    if (waiting.length >= PART) await flush();
  }
  await flush();
  return count;
}

async function verifyPart(
  deps: VerifyDeps,
  campaign: Campaign,
  part: readonly PlacedResult[],
  count: VerifyCount,
): Promise<void> {
  const actions = await deps.reader.byIds(part.map(({ result }) => result.machineActionId));
  const byId = new Map(actions.map((action) => [action.id, action]));
  count.asked += part.length;
  for (const placed of part) {
    const action = byId.get(placed.result.machineActionId);
    if (action === undefined) count.absent++;
    else if (await note(deps, campaign, placed, action)) {
      count.noted++;
      const { status } = action.summary;
      count.states.set(status, (count.states.get(status) ?? 0) + 1);
      if (!isFinalStatus(status)) count.unsettled++;
    } else count.changed++;
  }
}

async function note(
  deps: VerifyDeps,
  campaign: Campaign,
  { place, result }: PlacedResult,
  action: Action,
): Promise<boolean> {
  const { kind } = await deps.ledger.verify({
    id: guidToBytes(result.machineActionId),
    campaign: campaign.number,
    position: place,
    decidedAt: Date.parse(result.decidedAt),
    detail: { ...detailOf(result, campaign), ...seenOf(action), verifiedAt: Math.floor(deps.wall()) },
  });
  return kind === 'noted';
}

/** A result's own details; what it has from its campaign is not written again. */
function detailOf(result: CancelResult, campaign: Campaign): Detail {
  const { httpStatus, errorCode, errorMessage, correlationId, requestedBy } = result;
  const origin = originOf(campaign);
  const requestedAt = Date.parse(result.requestedAt);
  return {
    ...(httpStatus !== undefined && { httpStatus }),
    ...(errorCode !== undefined && { errorCode }),
    ...(errorMessage !== undefined && { errorMessage }),
    ...(correlationId !== undefined && { correlationId }),
    ...(requestedBy !== undefined && requestedBy !== origin.requestedBy && { requestedBy }),
    ...(requestedAt !== origin.requestedAt && { requestedAt }),
  };
}
