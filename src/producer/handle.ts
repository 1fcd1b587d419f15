import { StanddownError } from '../base/errors.ts';
import { parseGuid } from '../base/guid.ts';
import type { CancelResult } from '../base/outcome.ts';
import type { PublicLane } from '../queue/contract.ts';
import { readResult } from '../queue/result-schema.ts';
import type { Ending, Endings } from './endings.ts';
import { checkWait, type WaitOptions, waitFor } from './waiting.ts';

export type OutcomeOptions = WaitOptions;

/** What another process needs to wait for a job that this one put in: a handle's facts, which can be kept as JSON. */
export interface JobReference {
  jobId: string;
  lane: PublicLane;
  /** With it the outcome can be found even when the job is gone, where Redis permits that. */
  machineActionId?: string;
  /** Whether it asked for another call: then an outcome that stands when the job is gone may be the one before. Default false. */
  again?: boolean;
}

/** A cancel that Redis has taken. */
export interface CancelHandle {
  readonly jobId: string;
  readonly lane: PublicLane;
  /** Lower case; empty of a job that was referred to without. */
  readonly machineActionId: string;
  /** Whether it asked for another call. */
  readonly again: boolean;
  /**
   * Waits until the request is decided, for as long as it takes unless told otherwise: while a window is full or Redis is
   * away that may be an hour. May be called as often as one likes.
   *
   * @throws StanddownError TIMEOUT (the request goes on, ask again); JOB_GONE; CLOSED; REDIS_FAILED when Redis does not permit
   *   it; INTERNAL when the job failed, which is a bug of the worker; the signal's reason when aborted.
   */
  outcome(options?: OutcomeOptions): Promise<CancelResult>;
}

export interface HandleDeps {
  endings: Endings;
  /** What the ledger says of an action, where this user may read it; null: nothing. */
  recorded(machineActionId: string): Promise<CancelResult | null>;
}

export function createHandle(deps: HandleDeps, job: JobReference): CancelHandle {
  const { jobId, lane, machineActionId = '', again = false } = job;
  const context = { jobId, lane, machineActionId };
  let known: CancelResult | null = null;

  async function read(ending: Ending): Promise<CancelResult> {
    if (ending.kind === 'failed')
      throw new StanddownError('INTERNAL', `the job failed: ${ending.reason}`, { context });
    if (ending.kind === 'completed') return readResult(ending.value) ?? throwUnreadable(context);
    const found = machineActionId === '' || again ? null : await deps.recorded(machineActionId);
    return found ?? throwGone(context);
  }

  return {
    jobId,
    lane,
    machineActionId,
    again,
    async outcome(options = {}) {
      checkWait(options);
      if (known) return known;
      const { ending, release } = deps.endings.of(lane, jobId);
      try {
        const result = await waitFor(ending.then(read), options, `outcome of job ${jobId}`, context);
        known = result;
        return result;
      } finally {
        release();
      }
    },
  };
}

/** @throws StanddownError USAGE */
export function checkReference(reference: JobReference): JobReference {
  if (typeof reference !== 'object' || reference === null)
    throw usage('the reference of a job must be an object');
  const { jobId, lane, machineActionId = '', again = false } = reference;
  if (typeof jobId !== 'string' || jobId === '') throw usage('jobId is missing');
  if (lane !== 'cancel' && lane !== 'cancel-urgent') throw usage('lane must be "cancel" or "cancel-urgent"');
  if (typeof again !== 'boolean') throw usage('again must be true or false');
  if (machineActionId === '') return { jobId, lane, again };
  const id = typeof machineActionId === 'string' ? parseGuid(machineActionId) : null;
  if (id === null) throw usage('machineActionId is not a GUID');
  return { jobId, lane, machineActionId: id, again };
}

function usage(words: string): StanddownError {
  return new StanddownError('USAGE', words);
}

function throwUnreadable(context: Record<string, unknown>): never {
  throw new StanddownError('INTERNAL', 'the return value of the job is not a result', { context });
}

function throwGone(context: Record<string, unknown>): never {
  const reason =
    'the job is no longer in Redis: it was removed, its retention has passed, or Redis lost data';
  const advice = 'request the same action again: if it has an outcome, you get that without another call';
  throw new StanddownError('JOB_GONE', `${reason}; ${advice}`, { context });
}
