import type { SlotClass } from '../budget/windows.ts';
import type { Clock } from '../clock.ts';
import type { Operation } from '../keys.ts';
import type { Answer } from '../ledger/calls.ts';
import { SHORT_WAIT_MS } from '../timings.ts';

export interface Gate {
  /**
   * Asks whether a call may be made. Where the answer is a short wait, or others wait already, stands in line: one at a
   * time sleeps and asks again, in order of arrival, so that a full window costs one sleeper and not one per job. Each
   * operation has its own line, and urgent requests have theirs.
   *
   * A request that may not go now leaves after those that came later. Its job goes back to the front of the lane, so that the
   * lane is then in the order that it had: otherwise the first of a campaign would fall behind at every full window.
   *
   * @throws the signal's reason when aborted while waiting.
   */
  pass<T extends { answer: Answer }>(
    line: { operation: Operation; slotClass: SlotClass },
    ask: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** A slot was settled: whoever only waits to look again looks now. */
  nudge(): void;
}

export function createGate(clock: Clock): Gate {
  const lines: Record<Operation, Record<SlotClass, Line>> = {
    cancel: createLines(),
    get: createLines(),
    list: createLines(),
  };
  /** Of those that wait only to look again; null while there are none: a nudge then costs nothing. */
  let lookAgain: AbortController | null = null;

  async function sleep(answer: Wait, signal: AbortSignal): Promise<void> {
    try {
      await clock.sleep(answer.ms, answer.look ? AbortSignal.any([signal, nudged()]) : signal);
    } catch (reason) {
      if (signal.aborted) throw reason;
    }
  }

  function nudged(): AbortSignal {
    lookAgain ??= new AbortController();
    return lookAgain.signal;
  }

  async function askUntilAnswered<T extends { answer: Answer }>(
    ask: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const asked = await ask();
      if (!isShortWait(asked.answer)) return asked;
      await sleep(asked.answer, signal);
    }
  }

  async function askInTurn<T extends { answer: Answer }>(
    line: Line,
    ask: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    if (line.isEmpty()) {
      const asked = await ask();
      if (!isShortWait(asked.answer)) return asked;
    }
    return line.join(() => askUntilAnswered(ask, signal));
  }

  return {
    pass: async ({ operation, slotClass }, ask, signal) => {
      const line = lines[operation][slotClass];
      const visit = line.enter();
      try {
        const asked = await askInTurn(line, ask, signal);
        if (isWait(asked.answer)) await visit.last();
        return asked;
      } catch (error) {
        await visit.last();
        throw error;
      } finally {
        visit.leave();
      }
    },
    nudge: () => {
      lookAgain?.abort();
      lookAgain = null;
    },
  };
}

type Wait = Extract<Answer, { kind: 'window' | 'hold' }>;

function isWait(answer: Answer): answer is Wait {
  return answer.kind === 'window' || answer.kind === 'hold';
}

function isShortWait(answer: Answer): answer is Wait {
  return isWait(answer) && answer.ms <= SHORT_WAIT_MS;
}

interface Line {
  enter(): Visit;
  isEmpty(): boolean;
  /** Runs after everything that joined before. */
  join<T>(run: () => Promise<T>): Promise<T>;
}

/** From a request's arrival until it leaves. */
interface Visit {
  /** Resolves when nobody who came later is here. */
  last(): Promise<void>;
  leave(): void;
}

function createLines(): Record<SlotClass, Line> {
  return { urgent: createLine(), bulk: createLine() };
}

function createLine(): Line {
  const visits: Promise<void>[] = [];
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    enter: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      visits.push(promise);
      return {
        last: async () => {
          while (visits.at(-1) !== promise) await visits.at(-1);
        },
        leave: () => {
          visits.splice(visits.indexOf(promise), 1);
          resolve();
        },
      };
    },
    isEmpty: () => waiting === 0,
    join: (run) => {
      waiting++;
      const turn = last.then(run).finally(() => waiting--);
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}
