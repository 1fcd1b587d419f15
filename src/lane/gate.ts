import type { SlotClass } from '../budget/windows.ts';
import type { Clock } from '../clock.ts';
import type { Answer } from '../ledger/calls.ts';

/** A wait up to this long is slept in the job's processor; a longer one is the lane's business. */
export const SHORT_WAIT_MS = 1_000;

export interface Gate {
  /**
   * Asks, one at a time and in order of arrival, so that a full window costs one sleeper and not one per job. While the
   * answer is a short wait, sleeps and asks again. Urgent requests have a line of their own.
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
  const lines: Record<SlotClass, Promise<unknown>> = { urgent: Promise.resolve(), bulk: Promise.resolve() };
  let lookAgain = new AbortController();

  async function sleep(answer: Answer & { ms: number }, signal: AbortSignal): Promise<void> {
    const look = answer.kind === 'window' && answer.look;
    const nudged = lookAgain.signal;
    try {
      await clock.sleep(answer.ms, look ? AbortSignal.any([signal, nudged]) : signal);
    } catch (reason) {
      if (signal.aborted) throw reason;
    }
  }

  async function askUntilAnswered<T extends { answer: Answer }>(
    ask: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const asked = await ask();
      const { answer } = asked;
      if ((answer.kind !== 'window' && answer.kind !== 'hold') || answer.ms > SHORT_WAIT_MS) return asked;
      await sleep(answer, signal);
    }
  }

  return {
    pass: (slotClass, ask, signal) => {
      const turn = lines[slotClass].then(() => askUntilAnswered(ask, signal));
      lines[slotClass] = turn.catch(() => undefined);
      return turn;
    },
    nudge: () => {
      lookAgain.abort();
      lookAgain = new AbortController();
    },
  };
}
