import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { StanddownError } from '../base/errors.ts';
import { createTelemetry } from '../ops/traces/bullmq.ts';
import { spansOfProgram } from '../ops/traces/spans.ts';
import { type PublicLane, prefixFor } from '../queue/contract.ts';
import { JOB_NAME, type Keys, keysFor } from '../store/keys.ts';
import type { RedisClient } from '../store/script.ts';
import type { CampaignRequest } from './campaign-request.ts';
import { type CampaignStatus, createCampaigns, readLimits, type SubmitSummary } from './campaigns.ts';
import { asRedisError, borrowLink, openLink } from './connection.ts';
import { closedError, createEndings } from './endings.ts';
import { type Followed, type FollowOptions, followCampaign } from './follow.ts';
import { type CancelHandle, checkReference, createHandle, type JobReference } from './handle.ts';
import { type CancelRequest, checkRequest } from './request.ts';
import type { IdSource } from './source.ts';
import { checkTimeout, checkWait, type WaitOptions, waitFor } from './waiting.ts';

export interface ProducerOptions {
  /**
   * Where Redis is: a URL as in REDIS_URL (`redis://`, `rediss://`, `unix://`, `redis-sentinel://`, `redis-cluster://` …), or a
   * connection of ioredis, which stays open when the producer is closed.
   */
  redis: string | RedisClient;
  /** The tenant's label: STANDDOWN_TENANT of its workers, by default the tenant id in lower case. */
  tenant: string;
  /** How long `openProducer` waits for Redis when given a URL, in ms. Default 4,500. */
  openTimeoutMs?: number;
  /** As in RATE_LIMITS of the workers; only `status` needs it, to say when a campaign will be done. Default `100/1m,1500/1h`. */
  rateLimits?: string;
  /** As in URGENT_RESERVE of the workers; likewise. */
  urgentReserve?: string;
  /** Is told in one line when Redis is away and when it is back, when given a URL; and see `unknownTenant`. Default: nobody is. */
  onWarning?: (message: string) => void;
  /**
   * What `cancel` and `submit` do when no worker was ever seen for this tenant, so that its label may be wrong and nobody would ever
   * answer: tell `onWarning`, or else the process (`process.emitWarning`), once; refuse with TENANT_UNKNOWN; or nothing. Default `warn`.
   */
  unknownTenant?: 'warn' | 'refuse' | 'ignore';
}

export interface CancelOptions extends WaitOptions {
  /** `urgent`: goes before everything else, and may use the slots that are kept for such. Default `normal`. */
  priority?: 'normal' | 'urgent' | undefined;
  /** How long Redis may take to accept it, in ms. Default 10,000. */
  timeoutMs?: number | undefined;
}

/** Puts cancels into Redis and gives their outcomes back. Any number of calls may be under way at once. */
export interface Producer extends AsyncDisposable {
  /**
   * Asks for one machine action to be cancelled. It is checked at once and then handed to Redis: what this resolves with, Redis has.
   *
   * @throws StanddownError INPUT_INVALID, USAGE; TENANT_UNKNOWN where that is asked for; TIMEOUT when Redis does not take it in time, where it may still do so later
   *   (asking again is harmless, as an id is called once; with `again: true` each may be called); REDIS_FAILED; CLOSED; the
   *   signal's reason when aborted.
   */
  cancel(request: CancelRequest, options?: CancelOptions): Promise<CancelHandle>;
  /** A job that was put in before, here or elsewhere: to wait for it after a restart. Does not ask Redis whether it exists. */
  job(reference: JobReference): CancelHandle;
  /**
   * Puts ids into a campaign, which is created unless it exists. No more than a thousand ids are taken ahead of Redis, so the source may
   * be endless as far as memory goes. Repeating it, also after it was cut off, changes nothing. Takes an operator's rights in Redis.
   *
   * @throws StanddownError INPUT_INVALID for an id that is no GUID, where those before it may be submitted already, and for a time
   *   that has passed; USAGE for a bad name or comment; CAMPAIGN_CLOSED, DATA_NEWER, REDIS_FAILED, CLOSED; what the source throws; the signal's reason.
   */
  submit(ids: IdSource, request: CampaignRequest): Promise<SubmitSummary>;
  /**
   * A campaign's outcomes as they are decided, from the first one or from a position on, until nothing of it is open. Has a
   * connection of its own. Takes a reader's rights in Redis.
   *
   * @throws StanddownError CAMPAIGN_UNKNOWN, USAGE, DATA_NEWER, REDIS_FAILED, CLOSED; the signal's reason.
   */
  follow(campaign: string, options?: FollowOptions): AsyncGenerator<Followed, void, undefined>;
  /**
   * How far a campaign is. Takes a reader's rights in Redis.
   *
   * @throws StanddownError CAMPAIGN_UNKNOWN, DATA_NEWER, REDIS_FAILED, CLOSED
   */
  status(campaign: string): Promise<CampaignStatus>;
  /** Ends it, and what still waits with CLOSED. Requests that Redis has go on. May be called again. */
  close(): Promise<void>;
}

const CLOSE_MS = 1_000;

/**
 * Opens a producer. It needs to know where Redis is and which tenant, and nothing of Defender.
 *
 * @throws StanddownError USAGE, CONFIG_INVALID; REDIS_UNREACHABLE when given a URL.
 */
export function openProducer(options: ProducerOptions): Promise<Producer> {
  return openProducerAs(options);
}

/** As `openProducer`; jobs that are waited for are looked at `sweepMs` apart. */
export async function openProducerAs(options: ProducerOptions, sweepMs?: number): Promise<Producer> {
  if (typeof options !== 'object' || options === null) throw usage('options are required');
  checkTenant(options.tenant);
  const limits = readLimits(options.rateLimits, options.urgentReserve);
  const { openTimeoutMs = 4_500, onWarning = () => undefined, unknownTenant = 'warn' } = options;
  checkTimeout(openTimeoutMs, 'openTimeoutMs');
  if (typeof onWarning !== 'function') throw usage('onWarning must be a function');
  if (!['warn', 'refuse', 'ignore'].includes(unknownTenant))
    throw usage('unknownTenant must be "warn", "refuse" or "ignore"');
  const link =
    typeof options.redis === 'string'
      ? await openLink(options.redis, { openTimeoutMs, onWarning })
      : borrowLink(options.redis);
  const { redis } = link;
  const keys = keysFor(options.tenant);
  const prefix = prefixFor(options.tenant);
  const endings = createEndings(link, keys, sweepMs);
  const spans = spansOfProgram(options.tenant);
  const telemetry = createTelemetry(spans);
  const queues = new Map<PublicLane, Queue>();
  const closed = new AbortController();
  let closing: Promise<void> | null = null;
  const assertKnown = createTenantCheck({ redis, keys }, unknownTenant, options.onWarning ?? emitWarning);
  const campaigns = createCampaigns({ redis, keys, limits, spans, closed: closed.signal, assertKnown });

  function queueOf(lane: PublicLane): Queue {
    // The workers say how much a lane keeps; a queue opened with other options would change that.
    const queue =
      queues.get(lane) ?? new Queue(lane, { connection: redis, prefix, skipMetasUpdate: true, telemetry });
    if (!queues.has(lane)) queue.on('error', () => undefined);
    queues.set(lane, queue);
    return queue;
  }

  function assertOpen(): void {
    if (closed.signal.aborted) throw closedError();
  }

  /** An id of our own: what is sent again after an answer was lost does not become a second job. */
  async function add(lane: PublicLane, jobId: string, data: object): Promise<void> {
    try {
      const added = queueOf(lane).add(JOB_NAME, data, { jobId });
      // What waits for a Redis that is away would keep the end waiting.
      await waitFor(added, { signal: closed.signal }, 'answer from Redis', {});
    } catch (error) {
      throw closed.signal.aborted ? closedError() : asRedisError(error);
    }
  }

  function close(): Promise<void> {
    closing ??= (async () => {
      closed.abort(closedError());
      await endings.close();
      await Promise.all([...queues.values()].map(closeQueue));
      await link.close();
    })();
    return closing;
  }

  return {
    async cancel(request, { priority = 'normal', timeoutMs = 10_000, signal } = {}) {
      assertOpen();
      const data = checkRequest(request);
      const lane = laneFor(priority);
      const { machineActionId } = data;
      const job = { jobId: randomUUID(), lane, machineActionId, again: data.again === true };
      checkWait({ timeoutMs, signal });
      signal?.throwIfAborted();
      const put = assertKnown().then(() => add(lane, job.jobId, data));
      await waitFor(put, { timeoutMs, signal }, 'answer from Redis', job);
      return createHandle({ endings, ...campaigns }, job);
    },
    job: (reference) => createHandle({ endings, ...campaigns }, checkReference(reference)),
    async submit(ids, request) {
      assertOpen();
      return campaigns.submit(ids, request);
    },
    follow: (campaign, followOptions = {}) =>
      followCampaign({ link, keys, closed: closed.signal }, campaign, followOptions),
    async status(campaign) {
      assertOpen();
      return campaigns.status(campaign);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Whether a worker has ever opened this tenant's lanes; which is asked until one has.
 *
 * @throws StanddownError TENANT_UNKNOWN
 */
function createTenantCheck(
  { redis, keys }: { redis: RedisClient; keys: Keys },
  unknownTenant: NonNullable<ProducerOptions['unknownTenant']>,
  tell: (message: string) => void,
): () => Promise<void> {
  let isSettled = unknownTenant === 'ignore';
  const words = `no worker has ever run for tenant ${JSON.stringify(keys.tenant)}; check that this is its label (STANDDOWN_TENANT of its workers)`;
  /** Null: nobody can say, for this user may not read it, or Redis is away, which is told by what comes next. */
  const isKnown = async (): Promise<boolean | null> => {
    // Only a worker notes its version there: a producer's own queue leaves the lane's settings alone.
    const version = redis.hget(keys.lane('cancel', 'meta'), 'version');
    return version.then(
      (found) => found !== null,
      () => null,
    );
  };

  async function warn(): Promise<void> {
    const known = await isKnown();
    if (known === null) isSettled = false;
    if (known === false) tell(words);
  }

  return async () => {
    if (isSettled) return;
    if (unknownTenant === 'warn') {
      isSettled = true;
      // Nobody waits for a warning, and what the caller's own function throws is no failure of this.
      void warn().catch(() => undefined);
      return;
    }
    // Settled only by an answer: whoever asks meanwhile waits for one, too.
    const known = await isKnown();
    if (known === false)
      throw new StanddownError('TENANT_UNKNOWN', words, { context: { tenant: keys.tenant } });
    isSettled = known === true;
  };
}

function emitWarning(message: string): void {
  process.emitWarning(message, { code: 'STANDDOWN_TENANT_UNKNOWN' });
}

/** While Redis is away a queue would wait for it. */
async function closeQueue(queue: Queue): Promise<void> {
  await waitFor(queue.close(), { timeoutMs: CLOSE_MS }, 'end of a queue', {}).catch(() => undefined);
}

function laneFor(priority: unknown): PublicLane {
  if (priority === 'normal') return 'cancel';
  if (priority === 'urgent') return 'cancel-urgent';
  throw usage('priority must be "normal" or "urgent"');
}

function checkTenant(tenant: unknown): void {
  if (typeof tenant === 'string' && /^[\w.-]{1,100}$/.test(tenant)) return;
  throw usage('tenant must be the label of a tenant: letters, digits, ".", "_" and "-"');
}

function usage(words: string): StanddownError {
  return new StanddownError('USAGE', words);
}
