import type { Clock } from '../../src/base/clock.ts';
import type { CallOptions, DefenderClient } from '../../src/defender/client.ts';
import type { HttpAnswer, NoAnswer } from '../../src/defender/exchange.ts';
import type { Random } from '../../src/simulator/random.ts';
import type { Book } from './book.ts';
import type { Defender, ServerOperation, Trouble } from './defender.ts';
import { type Life, reach, type Timeline } from './time.ts';

export interface NetworkDeps {
  timeline: Timeline;
  life: Life;
  clock: Clock;
  random: Random;
  defender: Defender;
  book: Book;
  callTimeoutMs: number;
  isOut(at: number): boolean;
  /** A call left this process. */
  onSent(): void;
  tally: Record<Fate, number>;
  /** Says of lost calls that they never left: a client that must not be believed. */
  lies: boolean;
}

/** What becomes of a call. */
export type Fate = 'answered' | 'late' | 'lost' | 'failed' | 'unauthorized' | 'unsent';

export const FATES: readonly Fate[] = ['answered', 'late', 'lost', 'failed', 'unauthorized', 'unsent'];

interface Course {
  fate: Fate;
  /** Ms to the server; null: it never arrives. */
  thereMs: number | null;
  /** Ms back; null: the answer is lost. */
  backMs: number | null;
  trouble: Trouble;
}

/** In place of HTTP: calls travel through simulated time to the model of the API, and not all of them arrive. */
export function createNetwork(deps: NetworkDeps): DefenderClient {
  const { timeline, life, clock, random, defender, book, tally } = deps;
  const legMs = () => 10 + 120 * random() ** 3;

  /** @param leftMs until the caller gives up. */
  function chooseCourse(leftMs: number): Course {
    const usual: Course = { fate: 'answered', thereMs: legMs(), backMs: legMs(), trouble: 'no' };
    // It may still arrive a whole timeout after its caller gave it up.
    const anyTime = () => random() * (leftMs + 0.98 * deps.callTimeoutMs);
    const chance = random();
    if (deps.isOut(timeline.now())) {
      if (chance < 0.4) return { ...usual, fate: 'unsent' };
      if (chance < 0.8) return { ...usual, fate: 'failed', trouble: 'before' };
      return { ...usual, fate: 'lost', thereMs: random() < 0.5 ? null : anyTime(), backMs: null };
    }
    if (chance < 0.005) return { ...usual, fate: 'lost', thereMs: anyTime(), backMs: null };
    if (chance < 0.007) return { ...usual, fate: 'lost', thereMs: null, backMs: null };
    if (chance < 0.009) return { ...usual, fate: 'unsent' };
    if (chance < 0.012) return { ...usual, fate: 'failed', trouble: random() < 0.5 ? 'before' : 'behind' };
    if (chance < 0.0125) return { ...usual, fate: 'unauthorized', trouble: 'denied' };
    if (chance < 0.025) {
      return { ...usual, fate: 'late', thereMs: random() * 0.6 * leftMs, backMs: random() * 0.6 * leftMs };
    }
    return usual;
  }

  /** Between leave and sending: mostly nothing, now and then a process that is held up. */
  function holdUp(): Promise<void> {
    return clock.sleep(random() < 0.002 ? 5_000 * random() : random());
  }

  async function call(
    operation: ServerOperation,
    id: string,
    options: CallOptions,
  ): Promise<HttpAnswer | NoAnswer> {
    const givesUpAt = timeline.now() + options.timeoutMs;
    await holdUp();
    if (options.maySend && !options.maySend()) {
      tally.unsent++;
      return { kind: 'unsent', code: 'TOO_LATE', message: 'held up before sending' };
    }
    const course = chooseCourse(Math.max(1, givesUpAt - timeline.now()));
    tally[course.fate]++;
    if (course.fate === 'unsent') {
      await clock.sleep(1);
      return { kind: 'unsent', code: 'ECONNREFUSED', message: 'connection refused' };
    }
    if (operation === 'cancel') book.sent(id);
    deps.onSent();
    const answer = await travel(operation, id, course, givesUpAt - timeline.now());
    const { kind } = answer;
    if (operation === 'cancel' && !(kind === 'answer' && isDecisive(answer.status))) book.excuse(id);
    if (kind === 'lost' && deps.lies) return { ...answer, kind: 'unsent' };
    return answer;
  }

  function travel(
    operation: ServerOperation,
    id: string,
    { thereMs, backMs, trouble }: Course,
    leftMs: number,
  ): Promise<HttpAnswer | NoAnswer> {
    return new Promise((resolve) => {
      const give = (answer: HttpAnswer | NoAnswer) => {
        callOff();
        reach(timeline, life, () => resolve(answer));
      };
      const giveUp = () => give({ kind: 'lost', code: 'TIMEOUT', message: 'no answer in time' });
      const callOff = timeline.after(leftMs, giveUp);
      if (thereMs === null) return;
      // It arrives whatever becomes of its sender.
      timeline.after(thereMs, () => {
        const reply = defender.arrive(operation, id, timeline.now(), trouble);
        if (backMs !== null) timeline.after(backMs, () => give({ kind: 'answer', ...reply }));
      });
    });
  }

  const notHere = () => {
    throw new TypeError('not part of the simulation');
  };
  return {
    address: 'simulated',
    cancel: (id, _comment, options) => call('cancel', id, options),
    get: (id, options) => call('get', id, options),
    list: notHere,
    page: notHere,
    queryOf: notHere,
  };
}

function isDecisive(status: number): boolean {
  return status === 200 || (status >= 400 && status < 500 && status !== 401 && status !== 429);
}
