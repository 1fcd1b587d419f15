import { type Job, type KeepJobs, Queue } from 'bullmq';
import type { Clock } from '../base/clock.ts';
import { guidToBytes } from '../base/guid.ts';
import type { Logger } from '../base/log.ts';
import type { CancelResult } from '../base/outcome.ts';
import type { Timings } from '../config/timings.ts';
import type { SignInError } from '../defender/sign-in.ts';
import { isFromInbox, tell } from '../queue/inbox/scripts.ts';
import { parseJob, quotedId } from '../queue/job.ts';
import { directName } from '../store/campaign/registry.ts';
import { type Keys, LANES, type LaneName } from '../store/keys.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import { outcomeValues } from '../store/ledger/outcomes.ts';
import { isCommandRefused } from '../store/redis/failure.ts';
import type { RedisClient } from '../store/script.ts';
import type { Chronicle } from './chronicle.ts';
import { createDirects } from './direct.ts';
import { giveBackPlace } from './door.ts';
import type { Executed, Work } from './execute.ts';
import { fedFor, fedJobSchema } from './fed-job.ts';
import { type BadJob, createJanitor } from './janitor.ts';
import { LaneWorker } from './lane-worker.ts';
import { createOrder } from './order.ts';
import { createProcessor, type Dropped, type Intake, type ProcessorDeps } from './processor.ts';
import { type Tracing, traceProcessor } from './tracing.ts';

export interface LanesDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  chronicle: Chronicle;
  execute(work: Work, onCall: () => void): Promise<Executed>;
  signInFailed(error: SignInError): Promise<void>;
  /** After each job, whatever became of it. */
  onJob(lane: LaneName): void;
  /** A lane has stopped taking jobs without being told to: this process cannot mend that. */
  onEnded(lane: LaneName): void;
  clock: Clock;
  concurrency: number;
  timings: Timings;
  /** BullMQ's own limiter: the door, where the budget is the law. */
  door: { max: number; duration: number };
  defaultComment: string | null;
  /** Null: nobody follows. */
  tracing: Tracing | null;
  log: Logger;
  stopping: AbortSignal;
}

/**
 * How many of a lane's results BullMQ keeps, and for how long in seconds. The campaigns' results keep all of them; for
 * those of a fed job nobody waits, so a few are enough to look at.
 */
const KEPT: Record<LaneName, { count: number; age: number }> = {
  cancel: { count: 10_000, age: 86_400 },
  'cancel-urgent': { count: 10_000, age: 86_400 },
  'cancel-campaign': { count: 100, age: 3_600 },
};

/** Failed jobs are bugs, or failed with a child; the last of them are enough to find one. */
const KEPT_FAILED: KeepJobs = { count: 1_000 };

/** How many of BullMQ's own events a lane keeps, about: those who wait for a result hear of it by them. */
const KEPT_EVENTS: Record<LaneName, number> = {
  cancel: 1_000,
  'cancel-urgent': 1_000,
  'cancel-campaign': 100,
};

/** How many jobs that wait for a campaign to be resumed are remembered; more look again by themselves, later. */
const MOST_PAUSED = 1_000;

export type Lanes = ReturnType<typeof createLanes>;

/** The three queues and their workers in this process. */
export function createLanes(deps: LanesDeps) {
  const { redis, keys, log } = deps;
  const today = createDirects({ ...deps, wall: () => deps.clock.wall() });
  const lanes = LANES.map((name) => ({
    name,
    queue: openQueue(name),
    worker: createWorker(name),
    /** Jobs that this worker put off because their campaign is paused. */
    paused: new Set<string>(),
    ended: false,
  }));

  function openQueue(name: LaneName): Queue {
    const queue = new Queue(name, {
      connection: redis,
      prefix: keys.prefix,
      streams: { events: { maxLen: KEPT_EVENTS[name] } },
    });
    return queue.on('error', (err) => log.debug({ queue: name, err }, 'queue'));
  }

  function createWorker(name: LaneName): LaneWorker<unknown, CancelResult | Dropped> {
    const order = createOrder(deps.clock);
    const processing: ProcessorDeps = {
      read: async (job) => {
        if (name === 'cancel-campaign') return readFed(job);
        const reason = worker.childFailureOf(job as Job<unknown, CancelResult | Dropped>);
        return reason === undefined ? readWish(name, job) : { kind: 'fail', reason };
      },
      execute: deps.execute,
      turnOf: order.turnOf,
      holdLane: async (ms) => {
        await queueOf(name).rateLimit(Math.ceil(ms));
      },
      onPaused: (jobId) => {
        const { paused } = laneOf(name);
        if (paused.size < MOST_PAUSED) paused.add(jobId);
      },
      onUnrecorded: async (job, result) => {
        // The job itself is not waited for.
        if (isFromInbox(job.id)) {
          await tell(deps, keys.lane(name, job.id), result.machineActionId, outcomeValues(result));
        }
      },
      giveBackPlace: () => giveBackPlace(redis, keys.lane(name, 'limiter'), deps.door.max),
      signInFailed: deps.signInFailed,
      timings: deps.timings,
      log,
      stopping: deps.stopping,
    };
    const process = createProcessor(traceProcessor(processing, deps.tracing));
    const worker = new LaneWorker<unknown, CancelResult | Dropped>(
      name,
      async (job, token) => {
        boundResult(job, name);
        try {
          return await process(job, token);
        } finally {
          deps.onJob(name);
        }
      },
      {
        connection: redis,
        prefix: keys.prefix,
        autorun: false,
        concurrency: deps.concurrency,
        // A killed worker's jobs go on within twice that.
        lockDuration: deps.timings.lockMs,
        stalledInterval: deps.timings.lockMs,
        limiter: deps.door,
        removeOnComplete: KEPT[name],
        removeOnFail: KEPT_FAILED,
        ...(deps.tracing && { telemetry: deps.tracing.telemetry }),
      },
    );
    worker.onTaken = order.take;
    worker.janitor = createJanitor({
      redis,
      keys,
      lane: name,
      owner: worker.id,
      lockMs: deps.timings.lockMs,
      max: deps.door.max,
      kept: KEPT[name].count,
      resultOf: name === 'cancel-campaign' ? null : refuse,
      wall: () => deps.clock.wall(),
      log,
    });
    // A refusal ends the worker, which says so once; until then every try would.
    worker.on('error', (err) =>
      log[isCommandRefused(err) ? 'debug' : 'warn']({ queue: name, err }, 'queue error'),
    );
    worker.on('stalled', (jobId) =>
      log.info({ queue: name, jobId }, 'took over a job from a worker that stopped responding'),
    );
    return worker;
  }

  function laneOf(name: LaneName) {
    const lane = lanes.find((candidate) => candidate.name === name);
    if (!lane) throw new TypeError(`no lane ${name}`);
    return lane;
  }

  function queueOf(name: LaneName): Queue {
    return laneOf(name).queue;
  }

  /** Brings a job forward that waits, unless it does not any more. */
  async function promote(queue: Queue, jobId: string): Promise<void> {
    const job = await queue.getJob(jobId);
    await job?.promote().catch(() => undefined);
  }

  async function readFed(job: Job<unknown>): Promise<Intake> {
    const parsed = fedJobSchema.safeParse(job.data);
    if (!parsed.success) return { kind: 'drop' };
    const { id, comment, campaign, listed = false } = parsed.data;
    const request = { machineActionId: id, comment, requestedBy: null, expiresAt: null, again: false };
    return {
      kind: 'work',
      work: { request, slotClass: 'bulk', campaign, fed: true, listed, requestedAt: null },
    };
  }

  async function readWish(name: LaneName, job: Job<unknown>): Promise<Intake> {
    const now = deps.clock.wall();
    const direct = today();
    const parsed = parseJob(job.name, job.data, { comment: deps.defaultComment });
    const requestedAt = isTime(job.timestamp) ? job.timestamp : now;
    if (!parsed.ok) {
      return { kind: 'result', result: deps.chronicle.invalid(parsed, direct.name, requestedAt) };
    }
    const { request } = parsed;
    if (request.again && job.id !== undefined) {
      const id = guidToBytes(request.machineActionId);
      const wish = { ...request, requestedAt };
      if ((await deps.ledger.renew(id, direct, keys.lane(name, job.id), wish)) === 'refused') {
        // What the id has as an outcome is of before, and no answer to this.
        const result = await deps.chronicle.unrecorded(
          { request, requestedAt },
          await direct.number(),
          'withdrawn',
        );
        return { kind: 'result', result, unrecorded: true };
      }
    }
    const slotClass = name === 'cancel-urgent' ? 'urgent' : 'bulk';
    const calledFor = name === 'cancel-urgent' ? fedFor(job.data) : undefined;
    const work = { request, slotClass, fed: false, requestedAt } as const;
    // Whose the id is, the ledger says; the day's campaign is not opened for what a campaign has.
    if (calledFor !== undefined) return { kind: 'work', work: { ...work, campaign: calledFor, calledFor } };
    return { kind: 'work', work: { ...work, campaign: await direct.number(), direct } };
  }

  /** What a job is told that cannot be read. */
  async function refuse({ data, reason, timestamp }: BadJob): Promise<CancelResult> {
    const now = deps.clock.wall();
    const bad = { machineActionId: quotedId(data), reason };
    return deps.chronicle.invalid(bad, directName(now), isTime(timestamp) ? timestamp : now);
  }

  return {
    queueOf,
    start: () => {
      for (const lane of lanes) {
        lane.worker.onBroken = (err) => {
          lane.ended = true;
          log.error({ queue: lane.name, err }, 'processing of the queue ended unexpectedly');
          deps.onEnded(lane.name);
        };
        // A hold that an earlier worker left may be of limits that hold no more; what holds now, the first job is told.
        const forgotten = lane.queue
          .removeRateLimitKey()
          .catch((err) => log.debug({ queue: lane.name, err }, 'release'));
        void forgotten.then(() => lane.worker.run());
      }
    },
    /** Those that have stopped taking jobs without being told to. */
    ended: () => lanes.filter(({ ended }) => ended).map(({ name }) => name),
    /** Takes no more jobs here until `resume`; those in progress go on. */
    pause: () => Promise.all(lanes.map(({ worker }) => worker.pause(true))),
    resume: () => {
      for (const { worker } of lanes) worker.resume();
    },
    /** A hold has ended before its time: looks at the lanes at once. */
    release: async () => {
      await Promise.all(lanes.map(({ queue }) => queue.removeRateLimitKey()));
      for (const { worker } of lanes) worker.wake();
    },
    /** Something was resumed: brings forward what waits for that, and nothing that its producer delayed. */
    promote: async () => {
      for (const { queue, paused } of lanes) {
        const jobIds = [...paused];
        paused.clear();
        await Promise.all(jobIds.map((jobId) => promote(queue, jobId)));
      }
    },
    stop: async () => {
      await Promise.all(lanes.map(({ worker }) => worker.close()));
      await Promise.all(lanes.map(({ queue }) => queue.close()));
    },
  };
}

/** A job that asks to be kept for ever is kept as long as others. */
function boundResult(job: Job<unknown>, name: LaneName): void {
  if (job.opts.removeOnComplete !== true) job.opts.removeOnComplete = KEPT[name];
  if (job.opts.removeOnFail !== true) job.opts.removeOnFail = KEPT_FAILED;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < 8.64e15;
}
