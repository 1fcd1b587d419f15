import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import { PUBLIC_LANES, type PublicLane } from '../queue/contract.ts';
import type { Keys } from '../store/keys.ts';
import { isAfter } from '../store/redis/entry-id.ts';
import { isNotPermitted } from '../store/redis/failure.ts';
import { defineScript, type RedisClient } from '../store/script.ts';
import { asRedisError, BLOCK_MS, closeReader, type Link } from './connection.ts';
import { waitFor } from './waiting.ts';

/** How a job ended. `gone`: it is not in Redis any more, and no event says how it ended. */
export type Ending =
  | { kind: 'completed'; value: string | null }
  | { kind: 'failed'; reason: string }
  | { kind: 'gone' };

export interface Endings {
  /**
   * How a job ends; of several callers for one job all get it. `release` when nobody waits for it any more.
   *
   * @throws StanddownError REDIS_FAILED when Redis does not let its user look, CLOSED.
   */
  of(lane: PublicLane, jobId: string): { ending: Promise<Ending>; release(): void };
  /** Ends all waiting with CLOSED. */
  close(): Promise<void>;
}

/**
 * Whether a job that has not ended is in no list of its lane any more: somebody has emptied one, and nobody will ever take it. Very long
 * lists are not searched.
 *
 * KEYS  1 the job, 2… wait, paused and active, then delayed, prioritized, waiting-children, completed and failed
 * ARGV  1 its id, 2 the longest list that is searched
 * Returns  1 when it is in none
 */
const isLostScript = defineScript(
  'is-lost',
  /* lua */ `
local job = redis.call('HMGET', KEYS[1], 'timestamp', 'finishedOn')
if not job[1] or job[2] then return 0 end
for i = 5, #KEYS do if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return 0 end end
local most = tonumber(ARGV[2])
for i = 2, 4 do
  if redis.call('LLEN', KEYS[i]) > most then return 0 end
  if redis.call('LPOS', KEYS[i], ARGV[1]) then return 0 end
end
return 1
`,
);

const LISTS = ['wait', 'paused', 'active'] as const;
const SETS = ['delayed', 'prioritized', 'waiting-children', 'completed', 'failed'] as const;

/** Longer lists are not searched: that takes Redis' time, and each waiting job would. */
const MOST_SEARCHED = 20_000;

/** In ms. Longer than a worker takes to put back what was lost. */
const LOST_AGAIN_MS = 3_000;

/** What was put in less long ago is there, in ms; and one that was found is not looked for again so soon. */
const LISTED_MS = 60_000;

interface Waiting {
  lane: PublicLane;
  jobId: string;
  callers: number;
  /** Ms since 1970: when it was in a list. */
  listedAt: number;
  promise: Promise<Ending>;
  resolve(ending: Ending): void;
  reject(error: unknown): void;
}

/** Jobs are looked at in turns, for an event can be missed: Redis keeps the last thousand. */
const SWEEP_MS = 5_000;
const SWEEP_JOBS = 500;
const EVENTS_READ = 200;
const RETRY_MS = 1_000;

/**
 * Waits for jobs of the public lanes to end. One connection reads BullMQ's events of both, only while somebody waits. As an event may be
 * missed (Redis away, too many meanwhile), each job is looked at as well: at first, after each outage, and in turns, `sweepMs` apart.
 */
export function createEndings(link: Link, keys: Keys, sweepMs = SWEEP_MS): Endings {
  const { redis } = link;
  const waiting = new Map<string, Waiting>();
  const streams = PUBLIC_LANES.map((lane) => keys.lane(lane, 'events'));
  /** From the first event that is kept: only a time would tell where else to begin, and nobody's clock is Redis'. */
  const places = streams.map(() => '0-0');
  const closed = new AbortController();
  let reader: RedisClient | null = null;
  let nudged = new AbortController();

  const keyOf = (lane: PublicLane, jobId: string) => `${lane} ${jobId}`;

  function settle(job: Waiting, ending: Ending): void {
    forget(job);
    job.resolve(ending);
  }

  /** Not one that has come to wait for the same job since: a look may come back late. */
  function forget(job: Waiting): void {
    const key = keyOf(job.lane, job.jobId);
    if (waiting.get(key) === job) waiting.delete(key);
  }

  function failAll(error: unknown): void {
    for (const [key, job] of waiting) {
      waiting.delete(key);
      job.reject(error);
    }
  }

  /** Reads what has happened since; without `blockMs` only what is there already. @returns whether there was anything. */
  async function readEvents(connection: RedisClient, blockMs: number | null): Promise<boolean> {
    const from = [...streams, ...places];
    const found =
      blockMs === null
        ? await connection.xread('COUNT', EVENTS_READ, 'STREAMS', ...from)
        : await connection.xread('COUNT', EVENTS_READ, 'BLOCK', blockMs, 'STREAMS', ...from);
    for (const [stream, entries] of found ?? []) {
      const index = streams.indexOf(stream);
      for (const [, fields] of entries) note(PUBLIC_LANES[index], fields);
      const last = entries.at(-1)?.[0];
      if (last && isAfter(last, places[index])) places[index] = last;
    }
    return found !== null;
  }

  function note(lane: PublicLane | undefined, flat: readonly string[]): void {
    const field = (name: string) => flat.find((_, i) => i % 2 === 1 && flat[i - 1] === name);
    const job = lane && waiting.get(keyOf(lane, field('jobId') ?? ''));
    if (!job) return;
    const event = field('event');
    const value = field('returnvalue');
    if (event === 'completed' && value !== undefined) settle(job, { kind: 'completed', value });
    else if (event === 'completed' || event === 'failed') void look(job).catch(() => undefined);
  }

  async function look(job: Waiting): Promise<void> {
    const fields = ['timestamp', 'finishedOn', 'returnvalue', 'failedReason'];
    const found = await redis.hmget(keys.lane(job.lane, job.jobId), ...fields);
    const [timestamp, finishedOn, value = null, reason] = found;
    if (finishedOn) {
      settle(job, value === null ? { kind: 'failed', reason: reason ?? '' } : { kind: 'completed', value });
    } else if (!timestamp) {
      // Removed as soon as it had ended? Then an event says so that was not read yet.
      while (await readEvents(redis, null));
      settle(job, { kind: 'gone' });
    } else if (Date.now() - Math.max(Number(timestamp), job.listedAt) > LISTED_MS) {
      job.listedAt = Date.now();
      if (await isLost(job)) await confirmLost(job);
    }
  }

  /** A worker may be putting it back, where a script of BullMQ's broke off. */
  async function confirmLost(job: Waiting): Promise<void> {
    await systemClock.sleep(LOST_AGAIN_MS, closed.signal).catch(() => undefined);
    if (!closed.signal.aborted && (await isLost(job))) settle(job, { kind: 'gone' });
  }

  /** Whoever may not look cannot say so. */
  async function isLost({ lane, jobId }: Waiting): Promise<boolean> {
    const lists = [jobId, ...LISTS, ...SETS].map((suffix) => keys.lane(lane, suffix));
    return (await isLostScript(redis, lists, [jobId, MOST_SEARCHED]).catch(() => 0)) === 1;
  }

  /** What waits for a Redis that is away would keep the end waiting. */
  function unlessClosed<T>(work: Promise<T>): Promise<T> {
    return waitFor(work, { signal: closed.signal }, 'answer from Redis', {});
  }

  async function openEvents(): Promise<RedisClient> {
    const opened = await link.openReader('producer-events');
    if (closed.signal.aborted) closeReader(opened);
    reader = opened;
    return opened;
  }

  async function follow(): Promise<void> {
    while (waiting.size > 0 && !closed.signal.aborted) {
      try {
        const events = reader ?? (await openEvents());
        await unlessClosed(readEvents(events, BLOCK_MS));
      } catch (error) {
        if (isNotPermitted(error)) failAll(asRedisError(error));
        await systemClock.sleep(RETRY_MS, closed.signal).catch(() => undefined);
      }
    }
  }

  async function sweep(): Promise<void> {
    while (waiting.size > 0 && !closed.signal.aborted) {
      const jobs = nudged.signal.aborted ? [...waiting.values()] : nextInTurn();
      nudged = new AbortController();
      for (let at = 0; at < jobs.length; at += SWEEP_JOBS) {
        await unlessClosed(lookAt(jobs.slice(at, at + SWEEP_JOBS)));
      }
      await systemClock.sleep(sweepMs, nudged.signal).catch(() => undefined);
    }
  }

  function nextInTurn(): Waiting[] {
    const turn = [...waiting].slice(0, SWEEP_JOBS);
    for (const [key, job] of turn) {
      waiting.delete(key);
      waiting.set(key, job);
    }
    return turn.map(([, job]) => job);
  }

  /** What fails now is looked at later, unless it would fail for ever. */
  async function lookAt(jobs: readonly Waiting[]): Promise<void> {
    const looked = await Promise.allSettled(jobs.map(look));
    const failure = looked.find(({ status }) => status === 'rejected');
    if (failure?.status !== 'rejected' || closed.signal.aborted) return;
    if (isNotPermitted(failure.reason) || redis.status === 'end') failAll(asRedisError(failure.reason));
  }

  /** Each ends by itself when nobody waits, and must not be taken for alive because the other one is. */
  function keepUp(work: () => Promise<void>): () => void {
    let running = false;
    const start = () => {
      if (running) return;
      running = true;
      const done = work().catch(() => undefined);
      ends.add(done);
      void done.then(() => {
        running = false;
        ends.delete(done);
        // Somebody may have come between its last look and here.
        if (waiting.size > 0 && !closed.signal.aborted) start();
      });
    };
    return start;
  }

  const ends = new Set<Promise<void>>();
  const starts = [keepUp(follow), keepUp(sweep)];
  const onReady = () => nudged.abort();
  redis.on('ready', onReady);

  return {
    of: (lane, jobId) => {
      const key = keyOf(lane, jobId);
      const known = waiting.get(key);
      const job = known ?? { lane, jobId, callers: 0, listedAt: 0, ...Promise.withResolvers<Ending>() };
      job.callers++;
      if (closed.signal.aborted) job.reject(closedError());
      else if (!known) {
        waiting.set(key, job);
        job.promise.catch(() => undefined);
        void look(job).catch(() => undefined);
        for (const start of starts) start();
      }
      const release = () => {
        if (--job.callers === 0) forget(job);
      };
      return { ending: job.promise, release };
    },
    close: async () => {
      closed.abort();
      nudged.abort();
      redis.off('ready', onReady);
      failAll(closedError());
      if (reader) closeReader(reader);
      await Promise.all(ends);
    },
  };
}

export function closedError(): StanddownError {
  return new StanddownError('CLOSED', 'the producer was closed');
}
