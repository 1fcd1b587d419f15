import { TIMINGS } from '../../src/config/timings.ts';
import type { Disposition, Executed } from '../../src/worker/execute.ts';
import type { Book } from './book.ts';
import type { Life, Timeline } from './time.ts';

/** A job: its place among the campaign's ids. */
type Job = number;

/** What takes jobs from a lane. */
export interface Hand {
  life: Life;
  /** Jobs in hand. */
  held: Set<Job>;
  concurrency: number;
  execute(job: Job): Promise<Executed>;
}

export interface Lane {
  /** It takes jobs from now on. */
  join(hand: Hand): void;
  /** It is gone; its jobs come back when their locks have run out. */
  lose(hand: Hand): void;
  /** The lane's hold has ended. */
  release(): void;
}

export interface LaneDeps {
  timeline: Timeline;
  book: Book;
  jobs: number;
  idOf(job: Job): string;
  random(): number;
  /** All jobs are done. */
  onDone(): void;
}

/** A dead worker's jobs come back after its lock and until the next look for stalled ones, in ms. */
const { lockMs: LOCK_MS } = TIMINGS;

/** In place of BullMQ: a queue in order, a hold for all of it, delayed jobs, and stalled ones that come back. */
export function createLane(deps: LaneDeps): Lane {
  const { timeline, book } = deps;
  const hands = new Set<Hand>();
  const back: Job[] = [];
  let next = 0;
  let heldUntil = 0;
  let done = 0;
  let callOff = () => {};

  const take = (): Job | undefined => back.shift() ?? (next < deps.jobs ? next++ : undefined);
  const idle = () =>
    [...hands]
      .filter((hand) => hand.held.size < hand.concurrency)
      .sort((a, b) => a.held.size - b.held.size)[0];

  function pump(): void {
    if (timeline.now() < heldUntil) return;
    for (let hand = idle(); hand; hand = idle()) {
      const job = take();
      if (job === undefined) return;
      hand.held.add(job);
      void work(hand, job);
    }
  }

  async function work(hand: Hand, job: Job): Promise<void> {
    try {
      const { disposition } = await hand.execute(job);
      hand.held.delete(job);
      dispose(job, disposition);
    } catch (error) {
      hand.held.delete(job);
      book.violate(`a job failed: ${(error as Error).stack}`);
    }
    pump();
  }

  function dispose(job: Job, disposition: Disposition): void {
    switch (disposition.kind) {
      case 'done':
        done++;
        book.told(deps.idOf(job), disposition.result.outcome);
        if (done === deps.jobs) deps.onDone();
        return;
      case 'hold':
        back.unshift(job);
        hold(disposition.ms);
        return;
      case 'later':
        timeline.after(Math.ceil(disposition.ms), () => putBack(job));
        return;
      default:
        book.violate(`a job was dropped: ${disposition.reason}`);
    }
  }

  function putBack(job: Job): void {
    back.push(job);
    pump();
  }

  /** As BullMQ's rateLimit: whoever comes last says how long. */
  function hold(ms: number): void {
    callOff();
    heldUntil = timeline.now() + Math.ceil(ms);
    callOff = timeline.after(Math.ceil(ms), pump);
  }

  return {
    join: (hand) => {
      hands.add(hand);
      pump();
    },
    lose: (hand) => {
      hands.delete(hand);
      for (const job of hand.held) {
        book.excuse(deps.idOf(job));
        timeline.after(LOCK_MS * (1 + deps.random()), () => putBack(job));
      }
    },
    release: () => {
      callOff();
      heldUntil = timeline.now();
      pump();
    },
  };
}
