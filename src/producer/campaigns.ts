import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import { guidToBytes } from '../base/guid.ts';
import type { Logger } from '../base/log.ts';
import type { CancelResult } from '../base/outcome.ts';
import {
  DEFAULT_RATE_LIMITS,
  type Limits,
  longestMs,
  parseReserves,
  parseWindows,
  type Window,
} from '../config/limits.ts';
import { TIMINGS } from '../config/timings.ts';
import type { Spans } from '../ops/traces/spans.ts';
import { traceSubmit } from '../ops/traces/submit.ts';
import { createMemory } from '../store/budget/memory.ts';
import { type NewCampaign, originOf, readCampaign } from '../store/campaign/registry.ts';
import { type CampaignStatus, campaignStatus } from '../store/campaign/status.ts';
import { type SubmitSummary as CampaignSummary, submitCampaign } from '../store/campaign/submit.ts';
import type { Keys } from '../store/keys.ts';
import { ID_BYTES } from '../store/ledger/batch.ts';
import { createIdSet } from '../store/ledger/id-set.ts';
import { createLedger, type Ledger } from '../store/ledger/ledger.ts';
import { URGENT } from '../store/ledger/place.ts';
import { readEntry } from '../store/ledger/result.ts';
import { readResultAt } from '../store/ledger/result-at.ts';
import { checkVersion } from '../store/ledger/version.ts';
import { isNotPermitted } from '../store/redis/failure.ts';
import { redisTime } from '../store/redis/time.ts';
import type { RedisClient } from '../store/script.ts';
import { type CampaignRequest, checkCampaign, invalidCampaign } from './campaign-request.ts';
import { reasonOf } from './connection.ts';
import { type IdSource, openSource } from './source.ts';
import { waitFor } from './waiting.ts';

export type { CampaignStatus };

export interface SubmitSummary extends CampaignSummary {
  /** Named before in the same submit: each is submitted once. */
  duplicates: number;
}

export interface CampaignsDeps {
  redis: RedisClient;
  keys: Keys;
  limits: Limits;
  spans: Spans;
  /** Of the producer. */
  closed: AbortSignal;
  /** @throws StanddownError TENANT_UNKNOWN */
  assertKnown(): Promise<void>;
}

/** What a producer does beyond single cancels. */
export function createCampaigns(deps: CampaignsDeps) {
  const { redis, keys, closed } = deps;
  const tenant = { redis, keys, ledger: ledgerFor(deps) };

  return {
    async submit(ids: IdSource, request: CampaignRequest): Promise<SubmitSummary> {
      const { wanted, ...options } = checkCampaign(request);
      const signal = AbortSignal.any([closed, ...(request.signal ? [request.signal] : [])]);
      signal.throwIfAborted();
      const source = openSource(ids, signal);
      try {
        const put = (campaign: NewCampaign) =>
          submit({ ...tenant, assertKnown: deps.assertKnown }, campaign, source.batches, {
            ...options,
            signal,
          });
        const work = traceSubmit(deps.spans, wanted, put);
        return await waitFor(work, { signal }, 'answer from Redis', {});
      } catch (error) {
        // What the caller's own source throws is the caller's.
        throw source.threw(error) ? error : reasonOf(error, signal);
      } finally {
        await source.end();
      }
    },

    async status(campaign: string): Promise<CampaignStatus> {
      const look = async () => {
        await checkVersion(redis, keys);
        return campaignStatus({ ...deps, ...tenant }, campaign);
      };
      try {
        return await waitFor(look(), { signal: closed }, 'answer from Redis', {});
      } catch (error) {
        throw reasonOf(error, closed);
      }
    },

    /** What stands of an action; null where it has no outcome, or this user may not look. */
    async recorded(machineActionId: string): Promise<CancelResult | null> {
      try {
        return await waitFor(recorded(tenant, machineActionId), { signal: closed }, 'answer from Redis', {});
      } catch (error) {
        if (!closed.aborted && isNotPermitted(error)) return null;
        throw reasonOf(error, closed);
      }
    },
  };
}

/** What submitting and looking need of a tenant. */
interface Submitting {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

type SubmitOptions = NonNullable<Parameters<typeof submitCampaign>[3]> & { signal: AbortSignal };

/** The campaign is opened when the first ids are there and are such: its name is taken for good. */
async function submit(
  tenant: Submitting & Pick<CampaignsDeps, 'assertKnown'>,
  wanted: NewCampaign,
  batches: AsyncGenerator<Buffer>,
  options: SubmitOptions,
): Promise<SubmitSummary> {
  const asked = batches.next();
  asked.catch(() => undefined);
  await tenant.assertKnown();
  await refusePast(tenant, wanted);
  const first = await asked;
  const seen = createIdSet();
  let duplicates = 0;
  const once = (batch: Buffer) => {
    const fresh = seen.fresh(batch);
    duplicates += (batch.length - fresh.length) / ID_BYTES;
    return fresh;
  };
  const all = (async function* () {
    if (first.done) return;
    options.signal.throwIfAborted();
    yield once(first.value);
    for await (const batch of batches) yield once(batch);
  })();
  const summary = await submitCampaign(tenant, wanted, all, options);
  if (summary.priority === URGENT) await feedFirst(tenant);
  return { ...summary, duplicates };
}

/** By Redis' clock, which is what expires it. A campaign that exists keeps its own time. */
async function refusePast(
  { redis, keys }: Submitting,
  { name, expiresAt = null }: NewCampaign,
): Promise<void> {
  if (expiresAt === null) return;
  if (expiresAt > (await redisTime(redis)) || (await redis.hget(keys.campaigns, name)) !== null) return;
  throw invalidCampaign(
    `expiresAt: ${new Date(expiresAt).toISOString()} is in the past; a number must be in milliseconds since 1970`,
  );
}

const UNHEARD = { debug: () => undefined, info: () => undefined } as unknown as Logger;

/** Only a matter of time: a worker looks within 2 s. So it may fail, and is loaded by those only who need it. */
async function feedFirst(tenant: Submitting): Promise<void> {
  try {
    const { feedUrgent } = await import('../app/feed.ts');
    await feedUrgent({ ...tenant, timings: TIMINGS }, UNHEARD);
  } catch {
    // The ids are submitted.
  }
}

async function recorded(
  { redis, keys, ledger }: Submitting,
  machineActionId: string,
): Promise<CancelResult | null> {
  const [record] = await ledger.look(guidToBytes(machineActionId));
  if (!record || record.position === 0 || record.state === 'open' || record.state === 'checking') return null;
  const campaign = await readCampaign(redis, keys, record.campaign);
  const values = await readResultAt(redis, keys.results(record.campaign), record.position);
  return campaign && values ? readEntry(values, originOf(campaign)).result : null;
}

/** Enough of a ledger to submit and to look: no call is ever made with it. */
function ledgerFor({ redis, keys, limits }: CampaignsDeps): Ledger {
  const memory = createMemory({ keepMs: longestMs(limits.windows), graceMs: 0 });
  const { monotonic, wall } = systemClock;
  const settings = { limits, callTimeoutMs: 0, maxAttempts: 1 };
  return createLedger({ redis, keys, memory, monotonic, wall, graceMs: 0, timings: TIMINGS, settings });
}

/** @throws StanddownError CONFIG_INVALID */
export function readLimits(rateLimits = DEFAULT_RATE_LIMITS, urgentReserve?: string): Limits {
  const invalid = (words: string) => new StanddownError('CONFIG_INVALID', words);
  for (const [name, text] of Object.entries({ rateLimits, urgentReserve })) {
    if (text !== undefined && typeof text !== 'string') throw invalid(`${name}: must be a string`);
  }
  const orThrow = (name: string, read: readonly Window[] | string) => {
    if (typeof read !== 'string') return read;
    throw invalid(`${name}: ${read}`);
  };
  const windows = orThrow('rateLimits', parseWindows(rateLimits));
  return { windows, reserves: orThrow('urgentReserve', parseReserves(urgentReserve, windows)) };
}
