import { z } from 'zod';
import { createMemory } from '../budget/memory.ts';
import {
  DEFAULT_RATE_LIMITS,
  type Limits,
  longestMs,
  parseReserves,
  parseWindows,
  type Window,
} from '../budget/windows.ts';
import { originOf, readCampaign } from '../campaign/registry.ts';
import { type CampaignStatus, campaignStatus } from '../campaign/status.ts';
import { type SubmitSummary, submitCampaign } from '../campaign/submit.ts';
import { systemClock } from '../clock.ts';
import { StanddownError } from '../errors.ts';
import { guidsToBytes, guidToBytes, parseGuid } from '../guid.ts';
import { jobDataSchema } from '../job.ts';
import type { Keys } from '../keys.ts';
import { BATCH_IDS } from '../ledger/batch.ts';
import { createLedger, type Ledger } from '../ledger/ledger.ts';
import { readEntry } from '../ledger/result.ts';
import { readResults } from '../ledger/results.ts';
import { checkVersion } from '../ledger/version.ts';
import type { CancelResult } from '../outcome.ts';
import type { RedisClient } from '../script.ts';
import { asRedisError } from './connection.ts';
import { withPlainTime } from './request.ts';

export type { CampaignStatus, SubmitSummary };

/** Ids one by one or in arrays, each a GUID in any case, with or without braces. */
export type IdSource = AsyncIterable<string | readonly string[]> | Iterable<string | readonly string[]>;

/** A campaign to put ids into. One that exists keeps its comment, priority and expiry. */
export interface CampaignRequest {
  /** Its name: 1 to 100 characters, not beginning with `direct-`. */
  campaign: string;
  /** 1 to 4,000 characters, sent to Defender with each id. */
  comment: string;
  /** 1 (first) to 9 (last). Default 5. */
  priority?: number | undefined;
  /** What is not called by then ends as `expired`: a Date, ISO 8601 with an offset, or ms since 1970. Default: never. */
  expiresAt?: Date | string | number | null | undefined;
  /** Who wants it, for reports and history; at most 200 characters. */
  requestedBy?: string | null | undefined;
  /** About how many ids will come, where that is known: saves time. */
  expected?: number | undefined;
  /** Stops before the next id is taken, with its reason. What was submitted stays. */
  signal?: AbortSignal | undefined;
}

export interface CampaignsDeps {
  redis: RedisClient;
  keys: Keys;
  limits: Limits;
}

/** What a producer does beyond single cancels. */
export function createCampaigns(deps: CampaignsDeps) {
  const { redis, keys } = deps;
  const ledger = ledgerFor(deps);

  return {
    async submit(ids: IdSource, request: CampaignRequest): Promise<SubmitSummary> {
      const { wanted, actor, expected } = checkCampaign(request);
      const source = batchesOf(ids, request.signal);
      try {
        const options = { expected, actor };
        return await submitCampaign({ redis, keys, ledger }, wanted, source.batches, options);
      } catch (error) {
        await source.end();
        // What the caller's own source throws is the caller's.
        throw source.failure && source.failure.error === error ? error : asRedisError(error);
      }
    },

    async status(campaign: string): Promise<CampaignStatus> {
      try {
        await checkVersion(redis, keys);
        return await campaignStatus(deps, campaign);
      } catch (error) {
        throw asRedisError(error);
      }
    },

    /** What stands of an action; null where it has no outcome, or this user may not look. */
    async recorded(machineActionId: string): Promise<CancelResult | null> {
      try {
        return await recorded({ ...deps, ledger }, machineActionId);
      } catch {
        return null;
      }
    },
  };
}

async function recorded(
  { redis, keys, ledger }: { redis: RedisClient; keys: Keys; ledger: Ledger },
  machineActionId: string,
): Promise<CancelResult | null> {
  const [record] = await ledger.look(guidToBytes(machineActionId));
  if (!record || record.position === 0 || record.state === 'open' || record.state === 'checking') return null;
  const campaign = await readCampaign(redis, keys, record.campaign);
  const [entry] = await readResults(redis, keys.results(record.campaign), record.position - 1, 1);
  return campaign && entry ? readEntry(entry.values, originOf(campaign)).result : null;
}

/** Enough of a ledger to submit and to look: no call is ever made with it. */
function ledgerFor({ redis, keys, limits }: CampaignsDeps): Ledger {
  const memory = createMemory({ keepMs: longestMs(limits.windows) });
  const { monotonic } = systemClock;
  const settings = { limits, callTimeoutMs: 0, maxAttempts: 1 };
  return createLedger({ redis, keys, memory, monotonic, graceMs: 0, settings });
}

/** @throws StanddownError CONFIG_INVALID */
export function readLimits(rateLimits = DEFAULT_RATE_LIMITS, urgentReserve?: string): Limits {
  const orThrow = (name: string, read: readonly Window[] | string) => {
    if (typeof read !== 'string') return read;
    throw new StanddownError('CONFIG_INVALID', `${name}: ${read}`);
  };
  const windows = orThrow('rateLimits', parseWindows(rateLimits));
  return { windows, reserves: orThrow('urgentReserve', parseReserves(urgentReserve, windows)) };
}

const { comment, requestedBy, expiresAt } = jobDataSchema.shape;
const campaignSchema = z.object({
  campaign: z.string(),
  comment,
  requestedBy,
  expiresAt,
  priority: z.number().int().min(1).max(9).optional(),
  expected: z.number().int().min(0).optional(),
});

function checkCampaign(request: CampaignRequest) {
  const parsed = campaignSchema.safeParse(withPlainTime(request));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const words = `${issue?.path.join('.') || 'campaign'}: ${issue?.message}`;
    throw new StanddownError('INPUT_INVALID', `the campaign cannot be submitted: ${words}`);
  }
  const { campaign, priority, expected = 0, ...given } = parsed.data;
  const requestedBy = given.requestedBy ?? null;
  const wanted = {
    name: campaign,
    comment: given.comment ?? '',
    requestedBy,
    expiresAt: given.expiresAt ?? null,
    now: systemClock.wall(),
    ...(priority !== undefined && { priority }),
  };
  return { wanted, expected, actor: { by: requestedBy ?? 'a producer', command: 'producer.submit' } };
}

/** Takes no further id before Redis has taken the thousand before it. */
function batchesOf(ids: IdSource, signal: AbortSignal | undefined) {
  const iterator = begin(ids);
  const source = {
    batches: read(),
    failure: null as { error: unknown } | null,
    /** For one that was not read to its end, or not at all. */
    end: async () => {
      await Promise.resolve(iterator.return?.()).catch(() => undefined);
    },
  };
  async function* read(): AsyncGenerator<Buffer> {
    try {
      yield* inBatches({ [Symbol.asyncIterator]: () => iterator }, signal);
    } catch (error) {
      source.failure = { error };
      throw error;
    }
  }
  return source;
}

/** At once and not when the campaign is open: readline, for one, loses the lines that come before somebody asks for them. */
function begin(ids: IdSource): AsyncIterator<string | readonly string[]> {
  if (Symbol.asyncIterator in ids) return ids[Symbol.asyncIterator]();
  const iterator = ids[Symbol.iterator]();
  return {
    next: async () => iterator.next(),
    return: async () => iterator.return?.() ?? { done: true, value: undefined },
  };
}

async function* inBatches(
  ids: AsyncIterable<string | readonly string[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  let batch: string[] = [];
  let place = 0;
  signal?.throwIfAborted();
  for await (const item of ids) {
    for (const text of typeof item === 'string' ? [item] : item) {
      signal?.throwIfAborted();
      place++;
      batch.push(
        typeof text === 'string' ? (parseGuid(text) ?? throwNoGuid(text, place)) : throwNoGuid(text, place),
      );
      if (batch.length < BATCH_IDS) continue;
      yield guidsToBytes(batch);
      batch = [];
    }
  }
  if (batch.length > 0) yield guidsToBytes(batch);
}

function throwNoGuid(text: unknown, place: number): never {
  const shown = JSON.stringify(String(text).slice(0, 60));
  throw new StanddownError(
    'INPUT_INVALID',
    `id ${place} is not a GUID: ${shown}; those before it may be submitted`,
    {
      context: { place },
    },
  );
}
