import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';

/** What the API limits: each has a quota of its own unless they share one. */
export type ApiOperation = 'cancel' | 'get' | 'list';
/** Sign-in is watched and can fail like the rest, but has no quota. */
export type Operation = ApiOperation | 'token';

export const API_OPERATIONS: readonly ApiOperation[] = ['cancel', 'get', 'list'];
export const OPERATIONS: readonly Operation[] = [...API_OPERATIONS, 'token'];

/**
 * How a call ended.
 *
 * - `pending`: not decided yet, or given up by the client before its body was complete.
 * - `served`: handled, also when the answer was a 400 or 404.
 * - `refused`: over the limit.
 * - `fault`: a fault rule answered, or kept the answer back.
 * - `unauthorized`, `forbidden`: no good token or client; a role is missing.
 * - `unknown-path`: no such route.
 */
export type Verdict =
  | 'pending'
  | 'served'
  | 'refused'
  | 'fault'
  | 'unauthorized'
  | 'forbidden'
  | 'unknown-path';

/** One call as the server saw it. Filled in as the call proceeds. */
export interface Call {
  /** 1 for the first, in the order of arrival. */
  n: number;
  /** Whose quota it used, as its token says; of a token's request, for whom it is. Null for an unknown path. */
  tenantId: string | null;
  /** Null for an unknown path. */
  operation: Operation | null;
  /** The machine action's id in lower case; null where the path has none. */
  id: string | null;
  /** Path and query as sent. */
  path: string;
  method: string;
  /** Monotonic ms since the simulator started, with fractions: when the headers had been read. */
  arrivedAtMs: number;
  /** Ms since 1970 at arrival. */
  wallMs: number;
  /** As `arrivedAtMs`; null while there is no answer. */
  answeredAtMs: number | null;
  verdict: Verdict;
  /** Null while there is no answer; of a reset or hanging call for good. */
  status: number | null;
  /** Whether it used quota. */
  counted: boolean;
  /** Whether it changed something: an action is cancelled or will be, a token was issued. */
  applied: boolean;
  /** The kind of fault that was played, also of a `slow` one that was served in the end. */
  fault: string | null;
  /** The `jti` of the token it brought, or of the one it was given. */
  tokenJti: string | null;
  /** The `target` of an error answer. */
  correlationId: string;
  /** The comment of a cancel, when there was one. */
  comment: string | null;
}

export interface Calls {
  /** Ms since the simulator started. */
  elapsedMs(): number;
  open(seen: Pick<Call, 'operation' | 'id' | 'path' | 'method'> & Partial<Pick<Call, 'tenantId'>>): Call;
  /** Those with a number above `since`. */
  list(since?: number): Call[];
  clear(): void;
}

/** The simulator's own record of what it saw, in memory. */
export function createCalls({ clock }: { clock: Clock }): Calls {
  const startedAt = clock.monotonic();
  const elapsedMs = () => clock.monotonic() - startedAt;
  let calls: Call[] = [];
  return {
    elapsedMs,
    open: (seen) => {
      const call: Call = {
        n: calls.length + 1,
        tenantId: null,
        ...seen,
        arrivedAtMs: elapsedMs(),
        wallMs: clock.wall(),
        answeredAtMs: null,
        verdict: 'pending',
        status: null,
        counted: false,
        applied: false,
        fault: null,
        tokenJti: null,
        correlationId: randomUUID(),
        comment: null,
      };
      calls.push(call);
      return call;
    },
    list: (since = 0) => calls.slice(since),
    clear: () => {
      calls = [];
    },
  };
}
