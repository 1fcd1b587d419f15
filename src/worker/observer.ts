import type { CancelResult, Outcome } from '../base/outcome.ts';
import type { DefenderClient } from '../defender/client.ts';
import type { HttpAnswer, NoAnswer } from '../defender/exchange.ts';
import type { Operation } from '../store/keys.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import type { Chronicle } from './chronicle.ts';

/** Told what one tenant's worker does, as it does it. Nothing waits for it, and it throws nothing. */
export interface Observer {
  /** One HTTP call, and what it took in ms. */
  called(operation: Operation, answer: HttpAnswer | NoAnswer, tookMs: number): void;
  /** So many requests ended in this way, told once each by the worker that ended them. */
  ended(outcome: Outcome, count: number): void;
  /** The sign-in service was asked for a token. */
  signedIn(ok: boolean): void;
  /** The epoch that holds, at every regular look. */
  looked(epoch: string): void;
}

/** The API's client; what it is asked and answered is told. */
export function observeClient(
  client: DefenderClient,
  observer: Observer,
  monotonic: () => number,
): DefenderClient {
  async function timed(operation: Operation, call: Promise<HttpAnswer | NoAnswer>) {
    const since = monotonic();
    const answer = await call;
    observer.called(operation, answer, monotonic() - since);
    return answer;
  }
  return {
    ...client,
    cancel: (id, comment, options) => timed('cancel', client.cancel(id, comment, options)),
    get: (id, options) => timed('get', client.get(id, options)),
    list: (ids, options) => timed('list', client.list(ids, options)),
    page: (query, options) => timed('list', client.page(query, options)),
  };
}

/** The ledger; what it ends without a call is told. */
export function observeLedger(ledger: Ledger, observer: Observer): Ledger {
  return {
    ...ledger,
    end: async (campaign, ids, outcome, onlyDue) => {
      const done = await ledger.end(campaign, ids, outcome, onlyDue);
      if (done.ended > 0) observer.ended(outcome, done.ended);
      return done;
    },
    settle: async (campaign, id, detail) => {
      const settled = await ledger.settle(campaign, id, detail);
      if (settled.kind === 'settled') observer.ended('already_final', 1);
      return settled;
    },
  };
}

/** The chronicle; what it writes down for the first time is told. */
export function observeChronicle(chronicle: Chronicle, observer: Observer): Chronicle {
  async function first(writing: Promise<CancelResult>) {
    const result = await writing;
    observer.ended(result.outcome, 1);
    return result;
  }
  return {
    ...chronicle,
    decided: (...of) => first(chronicle.decided(...of)),
    invalid: (...of) => {
      const result = chronicle.invalid(...of);
      observer.ended(result.outcome, 1);
      return result;
    },
    unrecorded: (...of) => first(chronicle.unrecorded(...of)),
  };
}
