import { setTimeout as sleep } from 'node:timers/promises';
import { StanddownError } from '../base/errors.ts';
import { createTurns } from '../base/turns.ts';

/** Of one session and of one role, so many wait. */
const MOST_OF_SESSION = 4;
const MOST = 32;

/** Longer none waits, in ms. */
const WAIT_MS = 3_000;

export interface Searcher {
  /** What nobody but this session has. */
  formKey: string;
  mayAct: boolean;
}

export type Searches = ReturnType<typeof createSearches>;

/**
 * Lets searches through all rows of a campaign run one at a time, and of those who may only read, apart. Each takes the whole
 * process while it runs; afterwards as much time is left to everything else.
 */
export function createSearches() {
  const queues = [createQueue(), createQueue()] as const;
  /** @throws StanddownError TIMEOUT when too many wait. */
  return <T>({ formKey, mayAct }: Searcher, search: () => T): Promise<T> =>
    queues[mayAct ? 1 : 0](formKey, search);
}

function createQueue() {
  const turn = createTurns(1);
  const waiting: string[] = [];

  return async <T>(session: string, search: () => T): Promise<T> => {
    const ofSession = waiting.filter((other) => other === session).length;
    if (ofSession >= MOST_OF_SESSION || waiting.length >= MOST) throw tooMany();
    waiting.push(session);
    const found = Promise.withResolvers<T>();
    const timer = setTimeout(() => found.reject(tooMany()), WAIT_MS);
    let isOver = false;
    void turn(async () => {
      if (isOver) return;
      const startedAt = performance.now();
      try {
        found.resolve(search());
      } catch (error) {
        found.reject(error);
      }
      await sleep(performance.now() - startedAt, undefined, { ref: false });
    });
    try {
      return await found.promise;
    } finally {
      isOver = true;
      clearTimeout(timer);
      waiting.splice(waiting.indexOf(session), 1);
    }
  };
}

function tooMany(): StanddownError {
  const message = 'Too many searches are in progress. Try again in a moment.';
  return new StanddownError('TIMEOUT', message, { context: { httpStatus: 503 } });
}
