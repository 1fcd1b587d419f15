import { unreachable } from '../base/errors.ts';
import type { Detail } from '../base/outcome.ts';
import type { Timings } from '../config/timings.ts';
import { backoff, isFinal, type Meaning, outcomeOf, seenOf } from '../defender/classify.ts';
import type { NoAnswer } from '../defender/exchange.ts';
import type { FinishInput, Verdict } from '../store/ledger/finish.ts';

/** What a call's answer means for its slot, its request and the upstream. */
export type Judgement = Pick<FinishInput, 'slotFate' | 'verdict' | 'penaltyMs' | 'busyMs' | 'sign'>;

export interface Circumstances {
  /** Calls that failed before this one. */
  attempts: number;
  /** From 0 to 1, for jitter. */
  random: number;
  /** Whether Get may be asked about a 400. */
  mayRead: boolean;
  /** Whether a fresh token was used already. */
  freshToken: boolean;
  /** Whether a list has just shown the action. */
  listed: boolean;
  timings: Timings;
}

const ANSWERED = { slotFate: 'answered', penaltyMs: 0, sign: 'alive' } as const;

/** Judges an answer to a cancel. */
export function judgeCancel(meaning: Meaning, circumstances: Circumstances): Judgement {
  const { detail } = meaning;
  switch (meaning.kind) {
    case 'action':
      return { ...ANSWERED, verdict: { kind: 'decided', outcome: outcomeOf(meaning.action), detail } };
    case 'not_found':
      // What the list shows is there: that Get and cancel know it only moments later has been seen.
      if (circumstances.listed && circumstances.attempts === 0)
        return judgeInconclusive({ ...meaning, lastly: 'not_found', sign: 'alive' }, circumstances);
      return { ...ANSWERED, verdict: { kind: 'decided', outcome: 'not_found', detail } };
    case 'forbidden':
    case 'rejected':
      return { ...ANSWERED, verdict: { kind: 'decided', outcome: meaning.kind, detail } };
    case 'bad_request':
      if (circumstances.mayRead) return { ...ANSWERED, verdict: { kind: 'check', detail } };
      return { ...ANSWERED, verdict: { kind: 'decided', outcome: 'rejected', detail } };
    case 'inconclusive':
      return judgeInconclusive(meaning, circumstances);
    case 'fault':
      return judgeFault(meaning, circumstances);
    default:
      return judgeWait(meaning, circumstances, 0);
  }
}

/** Judges Get's answer about an action whose cancel was answered with 400 (`refusal`). */
export function judgeCheck(meaning: Meaning, circumstances: Circumstances, refusal: Detail): Judgement {
  switch (meaning.kind) {
    case 'action': {
      const outcome = isFinal(meaning.action.summary) ? 'already_final' : 'rejected';
      const seen = { ...refusal, ...seenOf(meaning.action) };
      return { ...ANSWERED, verdict: { kind: 'decided', outcome, detail: seen } };
    }
    case 'not_found':
    case 'forbidden':
    case 'rejected':
    case 'bad_request':
      return { ...ANSWERED, verdict: { kind: 'decided', outcome: 'rejected', detail: refusal } };
    case 'inconclusive':
      return {
        ...judgeInconclusive(meaning, circumstances),
        verdict: { ...checkAgain(meaning, circumstances), lastly: 'rejected' },
      };
    case 'fault':
      return { ...judgeFault(meaning, circumstances), verdict: checkAgain(meaning, circumstances) };
    default:
      return judgeWait(meaning, circumstances, circumstances.timings.checkAgainMs);
  }
}

function checkAgain({ detail }: Meaning, { timings }: Circumstances): Extract<Verdict, { kind: 'wait' }> {
  return { kind: 'wait', delayMs: timings.checkAgainMs, detail };
}

function judgeWait(
  meaning: Extract<Meaning, { kind: 'throttled' | 'unauthorized' }>,
  { freshToken }: Circumstances,
  delayMs: number,
): Judgement {
  const verdict: Verdict = { kind: 'wait', delayMs, detail: meaning.detail };
  switch (meaning.kind) {
    case 'throttled':
      return { slotFate: 'answered', verdict, penaltyMs: meaning.retryAfterMs, sign: 'none' };
    case 'unauthorized':
      return { slotFate: 'answered', verdict, penaltyMs: 0, sign: freshToken ? 'unauthorized' : 'none' };
    default:
      return unreachable(meaning);
  }
}

/**
 * An answer that is no verdict costs an attempt, and the last one stands. Where nobody knows whether it comes from the API, it counts
 * like a fault: as the request's own trouble only when calls that were sent later succeed, and as an outage while none does.
 */
function judgeInconclusive(
  { lastly, sign, detail }: Pick<Extract<Meaning, { kind: 'inconclusive' }>, 'lastly' | 'sign' | 'detail'>,
  circumstances: Circumstances,
): Judgement {
  const delayMs = backoff(circumstances.attempts + 1, circumstances.random, circumstances.timings);
  const ending = lastly === 'check' && !circumstances.mayRead ? 'rejected' : lastly;
  return {
    slotFate: 'answered',
    verdict: { kind: 'retry', delayMs, uncertain: false, costsAttempt: true, lastly: ending, detail },
    penaltyMs: 0,
    sign: sign === 'alive' ? 'alive' : 'fault',
  };
}

/** What the worker did itself (it stops, it was held up) is no sign of the upstream. */
const OWN_DOING = ['ABORTED', 'TOO_LATE'];

function judgeFault(meaning: Extract<Meaning, { kind: 'fault' }>, circumstances: Circumstances): Judgement {
  const { detail, lost } = meaning;
  const slotFate = fateOf(meaning);
  const sign = OWN_DOING.includes(detail.errorCode ?? '') ? 'none' : 'fault';
  if (slotFate === 'unsent' && sign === 'none') {
    return { slotFate, verdict: { kind: 'wait', delayMs: 0, detail }, penaltyMs: 0, sign };
  }
  const delayMs = backoff(circumstances.attempts + 1, circumstances.random, circumstances.timings);
  const costsAttempt = slotFate !== 'unsent';
  return {
    slotFate,
    verdict: { kind: 'retry', delayMs, uncertain: lost, costsAttempt, detail },
    penaltyMs: 0,
    ...(meaning.retryAfterMs !== undefined && { busyMs: meaning.retryAfterMs }),
    sign,
  };
}

/** A fault with a status is an answer; without one it depends on whether the call left. */
function fateOf(meaning: Extract<Meaning, { kind: 'fault' }>): FinishInput['slotFate'] {
  if (meaning.detail.httpStatus !== undefined) return 'answered';
  const kind: NoAnswer['kind'] = meaning.lost ? 'lost' : 'unsent';
  return kind;
}
