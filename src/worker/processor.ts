import { DelayedError, type Job, RateLimitError, UnrecoverableError, WaitingError } from 'bullmq';
import { StanddownError, unreachable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { CancelResult } from '../base/outcome.ts';
import type { Timings } from '../config/timings.ts';
import { SignInError } from '../defender/sign-in.ts';
import type { Disposition, Executed, Work } from './execute.ts';
import type { Turn } from './order.ts';

/** What a job brings: work, or a result that needs none. */
export type Intake =
  | { kind: 'work'; work: Work }
  /** `unrecorded`: the ledger is as it was, so it has told nobody. */
  | { kind: 'result'; result: CancelResult; unrecorded?: boolean }
  /** As its producer wants it: a child of it failed. */
  | { kind: 'fail'; reason: string }
  | { kind: 'drop' };

/** What a fed job returns that its campaign may not run now; it is removed at once. */
export interface Dropped {
  dropped: string;
}

export interface ProcessorDeps {
  read(job: Job<unknown>): Promise<Intake>;
  execute(work: Work, onCall: () => void): Promise<Executed>;
  /** A job's place among those that may have to go back. */
  turnOf(jobId: string): Turn;
  /** Nothing of this lane is taken for so many ms. */
  holdLane(ms: number): Promise<void>;
  /** The job waits for a campaign to be resumed. */
  onPaused(jobId: string): void;
  /** The job has a result that the ledger does not tell. */
  onUnrecorded(job: Job<unknown>, result: CancelResult): Promise<void>;
  /** The job made no call: its place in BullMQ's limiter goes to another. */
  giveBackPlace(): Promise<void>;
  /** No token is to be had: nothing is taken by this worker until there is one. */
  signInFailed(error: SignInError): Promise<void>;
  timings: Timings;
  log: Logger;
  stopping: AbortSignal;
}

/**
 * BullMQ's side of a job: what is decided becomes its result; waiting leaves its attempts alone. A job fails only by a
 * bug, or with a child of its producer's.
 */
export function createProcessor(deps: ProcessorDeps) {
  return async function process(job: Job<unknown>, token?: string): Promise<CancelResult | Dropped> {
    const turn = deps.turnOf(job.id ?? '');
    try {
      return await decide(job, token, turn);
    } finally {
      turn.end();
    }
  };

  async function decide(
    job: Job<unknown>,
    token: string | undefined,
    turn: Turn,
  ): Promise<CancelResult | Dropped> {
    try {
      const intake = await deps.read(job);
      if (intake.kind !== 'work') {
        await deps.giveBackPlace();
        if (intake.kind === 'drop') return drop(job, 'unreadable');
        if (intake.kind === 'fail') {
          deps.log.info(
            { jobId: job.id, reason: intake.reason },
            'failed a job, as its producer wants when a child fails',
          );
          throw new UnrecoverableError(intake.reason);
        }
        logDecision(deps.log, intake.result);
        if (intake.unrecorded) await deps.onUnrecorded(job, intake.result);
        return intake.result;
      }
      const { disposition, called } = await deps.execute(intake.work, turn.calls);
      if (!called && disposition.kind !== 'hold') await deps.giveBackPlace();
      // A request that was decided for another job has its line.
      if (disposition.kind === 'done' && !disposition.isKnown) logDecision(deps.log, disposition.result);
      return await dispose(job, token, disposition, turn);
    } catch (error) {
      return await recover(job, token, error, turn);
    }
  }

  async function dispose(job: Job<unknown>, token: string | undefined, disposition: Disposition, turn: Turn) {
    switch (disposition.kind) {
      case 'done':
        if (disposition.unrecorded) await deps.onUnrecorded(job, disposition.result);
        return disposition.result;
      case 'drop':
        return drop(job, disposition.reason);
      case 'hold':
        await deps.holdLane(disposition.ms);
        await turn.toGoBack();
        throw new RateLimitError();
      case 'later':
        await job.moveToDelayed(Date.now() + Math.ceil(disposition.ms), token);
        if (disposition.paused && job.id !== undefined) deps.onPaused(job.id);
        throw new DelayedError();
      default:
        return unreachable(disposition);
    }
  }

  /** What is not the job's doing sends it back to its lane. */
  async function recover(
    job: Job<unknown>,
    token: string | undefined,
    error: unknown,
    turn: Turn,
  ): Promise<never> {
    if (isSignal(error)) throw error;
    if (error instanceof SignInError) {
      await deps.signInFailed(error);
    } else if (!isBug(error) && !deps.stopping.aborted) {
      deps.log.warn({ jobId: job.id, err: error }, 'Redis failed during a job; retrying the job');
      // If this fails too, the job's lock runs out and the lane takes it back as stalled.
      await job.moveToDelayed(Date.now() + deps.timings.redisFailedMs, token).catch(() => undefined);
      throw new DelayedError();
    } else if (!deps.stopping.aborted) {
      deps.log.error({ jobId: job.id, err: error }, 'job failed: this is a bug in Standdown');
      throw error;
    }
    await turn.toGoBack();
    await job.moveToWait(token).catch(() => undefined);
    throw new WaitingError();
  }
}

function isSignal(error: unknown): boolean {
  return [RateLimitError, DelayedError, UnrecoverableError].some((kind) => error instanceof kind);
}

/**
 * Whether this program is to blame. What else comes here is Redis' doing, or the way's there: ioredis and BullMQ have no class
 * of their own for most of that (a connection that closed, a cluster without a master, a lock that was lost).
 */
function isBug(error: unknown): boolean {
  if (error instanceof StanddownError) return error.code !== 'REDIS_FAILED';
  return !(error instanceof Error) || PROGRAMMING.some((kind) => error instanceof kind);
}

const PROGRAMMING = [TypeError, RangeError, ReferenceError, SyntaxError];

function drop(job: Job<unknown>, reason: string): Dropped {
  job.opts.removeOnComplete = true;
  return { dropped: reason };
}

function logDecision(log: Logger, result: CancelResult): void {
  const { machineActionId: id, outcome, httpStatus, errorCode, campaign, attempts, uncertain } = result;
  log.info({ id, outcome, httpStatus, errorCode, campaign, attempts, uncertain }, 'action finished');
}
