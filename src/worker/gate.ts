import type { Clock } from '../base/clock.ts';
import type { SlotClass } from '../config/limits.ts';
import { SHORT_WAIT_MS } from '../config/timings.ts';
import type { Answer } from '../store/ledger/calls.ts';

export interface Gate {
  /**
   * Asks whether a call may be made. Where the answer is a short wait, or others wait already, stands in line: one at a
   * time sleeps and asks again, in order of arrival, so that a full window costs one sleeper and not one per job. Urgent
   * requests have a line of their own.
   *
   * @throws the signal's reason when aborted while waiting.
   */
  pass<T extends { answer: Answer }>(
    slotClass: SlotClass,
    ask: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** A slot was settled: whoever only waits to look again looks now. */
  nudge(): void;
}

export function createGate(clock: Clock): Gate {
  const lines: Record<SlotClass, Line> = { urgent: createLine(), bulk: createLine() };
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

  return {
    pass: async (slotClass, ask, signal) => {
      signal.throwIfAborted();
      const line = lines[slotClass];
      if (line.isEmpty()) {
        const asked = await ask();
        if (!isShortWait(asked.answer)) return asked;
      }
      return line.join(() => askUntilAnswered(ask, signal));
    },
    nudge: () => {
      lookAgain?.abort();
      lookAgain = null;
    },
  };
}

type Wait = Extract<Answer, { kind: 'window' | 'hold' }>;

function isShortWait(answer: Answer): answer is Wait {
  return (answer.kind === 'window' || answer.kind === 'hold') && answer.ms <= SHORT_WAIT_MS;
}

interface Line {
  isEmpty(): boolean;
  /** Runs after everything that joined before. */
  join<T>(run: () => Promise<T>): Promise<T>;
}

function createLine(): Line {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    isEmpty: () => waiting === 0,
    join: (run) => {
      waiting++;
      const turn = last.then(run).finally(() => waiting--);
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}
