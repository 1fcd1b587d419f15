import { type Processor, Worker, type WorkerOptions } from 'bullmq';
import { LONGEST_BLOCK_MS } from '../redis/options.ts';

/** How long a job's lock lasts, and how often stalled jobs are looked for: a killed worker's jobs go on within twice that. */
const LOCK_MS = 15_000;

/** An idle worker blocks on its lane for so long, in seconds: what wakes it is a job, not the clock. */
const DRAIN_DELAY_S = LONGEST_BLOCK_MS / 1_000;

/**
 * A BullMQ worker that can be woken from a held lane.
 *
 * BullMQ sleeps through a rate limit in `delay`, and only closing wakes it. A hold can end early (the upstream answers
 * again), and up to half a minute of every such end would be lost.
 */
export class LaneWorker<Data, Result> extends Worker<Data, Result> {
  #sleeping: { abort(): void } | undefined;
  /** Told when the loop that takes jobs has ended with an error: it does not begin again. */
  onBroken: (error: unknown) => void = () => undefined;

  constructor(name: string, processor: Processor<Data, Result>, options: WorkerOptions) {
    super(name, processor, {
      lockDuration: LOCK_MS,
      stalledInterval: LOCK_MS,
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
}
