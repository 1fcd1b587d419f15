import { setTimeout as pause } from 'node:timers/promises';
import { type Job, type JobJson, type Processor, Worker, type WorkerOptions } from 'bullmq';
import { LONGEST_BLOCK_MS } from '../config/timings.ts';
import type { Janitor } from './janitor.ts';
import { rawJob } from './raw-job.ts';

/** An idle worker blocks on its lane for so long, in seconds: what wakes it is a job, not the clock. */
const DRAIN_DELAY_S = LONGEST_BLOCK_MS / 1_000;

/** BullMQ asks again at once when Redis refuses to hand out a job, in ms: not more often than so. */
const REFUSED_MS = 1_000;

/** What BullMQ's script answers when there is nothing to hand out. */
const NOTHING = [0, 0, 0, 0];

/** How many arguments BullMQ's script that finishes a job has behind its keys. */
const FINISH_ARGUMENTS = 9;

/** Where BullMQ's scripts that move a job have its id, among keys and arguments. */
const JOB_ARGUMENTS = { moveToDelayed: 13, moveJobFromActiveToWait: 9 };

/** That script's refusals over what a job's children are: a cancel does not wait for them. */
const CHILDREN = [-4, -9];

/** What BullMQ notes at a job of which a child failed with `failParentOnFailure`. A job that stalled has other words there. */
const CHILD_FAILED = /^child .* failed$/s;

type Run = () => Promise<unknown>;

/**
 * A BullMQ worker that can be woken from a held lane, and that a job which cannot be read does not harm.
 *
 * BullMQ sleeps through a rate limit in `delay`, and only closing wakes it. A hold can end early (the upstream answers
 * again), and up to half a minute of every such end would be lost.
 *
 * What Redis hands out is looked at before BullMQ reads it: its reader throws, and its scripts break off in the middle.
 */
export class LaneWorker<Data, Result> extends Worker<Data, Result> {
  #sleeping: { abort(): void } | undefined;
  #childFailures = new WeakMap<Job, string>();
  /** Told when the loop that takes jobs has ended with an error: it does not begin again. */
  onBroken: (error: unknown) => void = () => undefined;
  /** Told of each job when Redis has handed it out. */
  onTaken: (jobId: string) => void = () => undefined;
  /** Ends what cannot be read. Without one it is BullMQ's to stumble over. */
  janitor: Janitor | null = null;

  constructor(name: string, processor: Processor<Data, Result>, options: WorkerOptions) {
    super(name, processor, {
      // A job may meet any number of dying workers: the ledger bounds its calls, and stalling must not fail it.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      drainDelay: DRAIN_DELAY_S,
      ...options,
    });
  }

  /** Never rejects: BullMQ calls it, too, when it resumes, and waits for nothing. */
  override async run(): Promise<void> {
    try {
      await super.run();
      // A resume that comes while a paused loop is leaving finds it still running, and does not start it again.
      while (!this.closing && !this.isPaused() && !this.isRunning()) await super.run();
    } catch (error) {
      this.onBroken(error);
    }
  }

  override async delay(milliseconds?: number, controller?: Parameters<Worker['delay']>[1]): Promise<void> {
    // Closing wakes only whoever sleeps already; one that is about to would sleep through it.
    if (this.closing) return;
    this.#sleeping = controller;
    // BullMQ works the wait out from two readings of the clock; it may have passed between them.
    await super.delay(milliseconds && Math.max(1, milliseconds), controller);
  }

  /** Ends a wait for the lane's rate limit; the lane is looked at again at once. */
  wake(): void {
    this.#sleeping?.abort();
  }

  protected override createBackend(): void {
    super.createBackend();
    const { backend } = this;
    const execute = backend.execCommand.bind(backend);
    backend.execCommand = (client, name, args) => {
      const run: Run = () => execute(client, name, args);
      switch (name) {
        case 'moveToActive':
          return this.#take(run);
        case 'moveToFinished':
          return this.#finish(run, args.slice(-FINISH_ARGUMENTS));
        case 'moveStalledJobsToWait':
          return this.#lookForStalled(run);
        case 'moveToDelayed':
          return this.#move(run, args[JOB_ARGUMENTS.moveToDelayed]);
        case 'moveJobFromActiveToWait':
          return this.#move(run, args[JOB_ARGUMENTS.moveJobFromActiveToWait]);
        default:
          return run();
      }
    };
  }

  protected override createJob(json: JobJson, jobId: string): Job<Data, Result> {
    // BullMQ fails a job with this field before the processor hears of it, whose place would never be given back.
    const { deferredFailure, ...rest } = json;
    // Only the list knows a job's id.
    const job = super.createJob({ ...rest, id: jobId }, jobId);
    if (deferredFailure && CHILD_FAILED.test(deferredFailure)) this.#childFailures.set(job, deferredFailure);
    // One that belongs to no schedule has none to go on with: BullMQ would break over it.
    if (!isSchedule(Reflect.get(job.opts, 'repeat'))) delete job.repeatJobKey;
    return job;
  }

  /** A job whose schedule is broken is worked on all the same; BullMQ would leave it lying until it stalls, for ever. */
  protected override async nextJobFromJobData(
    json?: JobJson,
    jobId?: string,
    token?: string,
  ): Promise<Job<Data, Result>> {
    if (json && jobId !== undefined) this.onTaken(jobId);
    const next = await super.nextJobFromJobData(json, jobId, token);
    if (next || !json || jobId === undefined) return next;
    const job = this.createJob(json, jobId);
    if (token !== undefined) job.token = token;
    return job;
  }

  /** In BullMQ's words, that a child failed whose failure is to fail this job, too; undefined: none did. */
  childFailureOf(job: Job<Data, Result>): string | undefined {
    return this.#childFailures.get(job);
  }

  async #take(run: Run): Promise<unknown> {
    try {
      return await this.#readable(await this.#mended(run));
    } catch (error) {
      if (!isRefusal(error) || !this.janitor) throw error;
      return await this.#takeAgain(run, this.janitor);
    }
  }

  /** As long as something stands in the way that can be ended; another worker may have been quicker to end it. */
  async #takeAgain(run: Run, janitor: Janitor): Promise<unknown> {
    for (;;) {
      const ended = await janitor.mend('all').catch(() => 0);
      if (this.closing) return NOTHING;
      try {
        return await this.#readable(await run());
      } catch (error) {
        if (isRefusal(error) && ended > 0) continue;
        await pause(REFUSED_MS);
        throw error;
      }
    }
  }

  /**
   * Mends right before, on the same connection. A job that is taken does not wait for that; among stalled ones what is
   * broken has to be ended first. Where nobody else writes, and most calls come from, it is enough to mend when a script
   * has broken off.
   */
  async #mended(run: Run, when: 'take' | 'stalled' = 'take'): Promise<unknown> {
    if (!this.janitor?.isPublic) return run();
    const mending = this.janitor.mend(when).then(
      () => null,
      (error: Error) => error,
    );
    if (when === 'stalled') await mending;
    const reply = await run();
    const failure = await mending;
    // Where Redis takes nothing, or is not there, the other script says so.
    if (failure && isRefusal(failure.cause)) this.emit('error', failure);
    return reply;
  }

  async #lookForStalled(run: Run): Promise<unknown> {
    await this.janitor?.cutLocks();
    return this.#mended(run, 'stalled');
  }

  async #finish(run: Run, [jobId, , , value, target]: unknown[]): Promise<unknown> {
    const { janitor } = this;
    if (!janitor || target !== 'completed') return this.#readable(await this.#mended(run));
    try {
      const reply = await this.#mended(run);
      if (!CHILDREN.includes(Number(reply))) return await this.#readable(reply);
      await janitor.complete(String(jobId), String(value));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#finishBroken(janitor, String(jobId), String(value), error);
    }
    return 0;
  }

  /**
   * BullMQ's script broke off over this job's hash, or over that of the next one, which it was to hand out. Where Redis
   * takes nothing at all, BullMQ would try to fail the job, and might succeed by then: but it is decided. It is left to
   * stall, and ends with its outcome when it is taken again.
   */
  async #finishBroken(janitor: Janitor, jobId: string, value: string, broken: unknown): Promise<void> {
    try {
      await janitor.mend('all');
      await janitor.complete(jobId, value);
    } catch {
      this.emit('error', broken as Error);
    }
  }

  async #move(run: Run, jobId: unknown): Promise<unknown> {
    try {
      return await run();
    } catch (error) {
      if (!isRefusal(error) || !this.janitor) throw error;
      await this.janitor.mend('all');
      await this.janitor.putBack(String(jobId));
      throw error;
    }
  }

  /** What a script hands out, or nothing where that cannot be read: it has been ended. */
  async #readable(reply: unknown): Promise<unknown> {
    if (!this.janitor || !Array.isArray(reply) || !Array.isArray(reply[0])) return reply;
    const [hash, jobId] = reply;
    if (String(jobId).includes('\ufffd')) {
      // Perhaps bytes that are no text: then this is not its id, and nothing can be done with it under that.
      await this.janitor.mend('all');
      if (!(await this.janitor.isOurs(String(jobId)))) return NOTHING;
    }
    const fields = rawJob(hash);
    const flaw = this.janitor.flawOf(String(jobId), fields);
    if (flaw === null) return reply;
    await this.janitor.endTaken(String(jobId), fields, flaw);
    return NOTHING;
  }
}

function isSchedule(repeat: unknown): boolean {
  if (typeof repeat !== 'object' || repeat === null) return false;
  return Boolean(Reflect.get(repeat, 'pattern') || Reflect.get(repeat, 'every'));
}

/** Redis answered, and what it said is no. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}
