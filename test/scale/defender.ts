import type { Action } from './actions.ts';
import { Quota, type ServerWindow } from './windows.ts';

/** What the server says to a call. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** `before`, `behind`: something in front of the API fails, before or after it did its work. `denied`: the token is not taken. */
export type Trouble = 'no' | 'before' | 'behind' | 'denied';

export type ServerOperation = 'cancel' | 'get';

/** What one tenant's server has counted. */
export interface Seen {
  calls: Record<ServerOperation, number>;
  refused: Record<ServerOperation, number>;
  /** Calls of ours that were one too many in a window, whatever others took. */
  excess: number;
  firstAt: number;
  lastAt: number;
  /** Places that others took, ascending. */
  others: number[];
}

/** A model of one tenant's API: strict windows, actions with states, and nothing of the product's code. */
export class Defender {
  readonly seen: Seen = {
    calls: { cancel: 0, get: 0 },
    refused: { cancel: 0, get: 0 },
    excess: 0,
    firstAt: Number.POSITIVE_INFINITY,
    lastAt: 0,
    others: [],
  };
  /** Of all that arrive. */
  readonly #quota: Record<ServerOperation, Quota>;
  /** Of ours alone: whoever shares a quota may be refused, but is never to exceed it by itself. */
  readonly #own: Record<ServerOperation, Quota>;
  readonly #actions: Map<string, Action>;

  constructor(windows: readonly ServerWindow[], actions: Map<string, Action>) {
    this.#quota = { cancel: new Quota(windows), get: new Quota(windows) };
    this.#own = { cancel: new Quota(windows), get: new Quota(windows) };
    this.#actions = actions;
  }

  /** A cancel of somebody else who uses the same application. */
  arriveOther(at: number): void {
    if (this.#quota.cancel.freeFrom() > at) return;
    this.#quota.cancel.count(at);
    this.seen.others.push(at);
  }

  /** A call of ours. It is counted whatever trouble there is. */
  arrive(operation: ServerOperation, id: string, at: number, trouble: Trouble): Reply {
    const { seen } = this;
    seen.calls[operation]++;
    if (operation === 'cancel') {
      seen.firstAt = Math.min(seen.firstAt, at);
      seen.lastAt = Math.max(seen.lastAt, at);
    }
    if (this.#own[operation].freeFrom() > at) seen.excess++;
    this.#own[operation].count(at);
    const freeFrom = this.#quota[operation].freeFrom();
    if (freeFrom > at) {
      seen.refused[operation]++;
      return refusal(Math.ceil((freeFrom - at) / 1_000));
    }
    this.#quota[operation].count(at);
    if (trouble === 'denied') return problem(401, 'Unauthorized', 'the token has ended');
    if (trouble === 'before') return { status: 503, headers: {}, body: '<html>Service Unavailable</html>' };
    const reply = operation === 'cancel' ? this.#cancel(id) : this.#get(id);
    return trouble === 'behind' ? { status: 504, headers: {}, body: '' } : reply;
  }

  #cancel(id: string): Reply {
    const action = this.#actions.get(id);
    if (!action) return problem(404, 'ResourceNotFound', 'no such machine action');
    if (action.status !== 'Pending') return problem(400, 'BadRequest', `the action is ${action.status}`);
    action.cancels++;
    if (!action.isSlow) action.status = 'Cancelled';
    return success(id, action.status);
  }

  #get(id: string): Reply {
    const action = this.#actions.get(id);
    return action ? success(id, action.status) : problem(404, 'ResourceNotFound', 'no such machine action');
  }
}

function success(id: string, status: string): Reply {
  return { status: 200, headers: {}, body: JSON.stringify({ id, status, type: 'RunAntiVirusScan' }) };
}

function problem(status: number, code: string, message: string): Reply {
  return { status, headers: {}, body: JSON.stringify({ error: { code, message } }) };
}

function refusal(seconds: number): Reply {
  return { ...problem(429, '429', 'too many requests'), headers: { 'retry-after': String(seconds) } };
}
