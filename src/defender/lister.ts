import type { Clock } from '../base/clock.ts';
import { StanddownError, unreachable } from '../base/errors.ts';
import type { Detail } from '../base/outcome.ts';
import { withCode } from '../base/words/code.ts';
import type { Timings } from '../config/timings.ts';
import type { ListEnd, OperationBudget, SlotGrant, SlotWait } from '../store/budget/operation.ts';
import { backoff, classify } from './classify.ts';
import { type DefenderClient, type Listing, readListing } from './client.ts';
import { type HttpAnswer, type NoAnswer, TOO_LARGE } from './exchange.ts';
import { audienceHint, describeUnreadable, mayRead } from './roles.ts';
import { gistOf, type SignIn, SignInError, type Token } from './sign-in.ts';

/** Why reading waits, and until when. */
export interface ReadWait {
  /** `fault`: the API or its sign-in failed and is tried again. */
  reason: SlotWait['reason'];
  /** Ms since 1970. */
  until: number;
  /** In words; empty: nothing more to say. */
  detail: string;
}

export interface ListerDeps {
  signIn: SignIn;
  client: DefenderClient;
  /** The list's own budget. */
  budget: OperationBudget;
  clock: Clock;
  random(): number;
  callTimeoutMs: number;
  timings: Timings;
  /** Ends waits and calls. */
  signal: AbortSignal;
  /** Told before each wait of two seconds or more. May throw, to give up instead. */
  onWait(wait: ReadWait): void;
}

/** Shorter waits are not worth a word, in ms. */
const TOLD_MS = 2_000;

/** Tries in a row for one page. */
const MOST_TRIES = 5;

/** Sign-in troubles of which a second try would say the same: a wrong secret, an unknown application. */
const LASTING = /^(invalid|unauthorized|credential|access_denied)/;

type Answer =
  | { kind: 'listing'; listing: Listing }
  | { kind: 'again'; waitMs: number }
  /** `busyMs`: it asks to wait for so long; 0: it does not say. */
  | { kind: 'fault'; busyMs: number; detail: Detail }
  | { kind: 'unauthorized'; detail: Detail }
  | { kind: 'forbidden'; detail: Detail };

/** No token for now. */
interface NoToken {
  failure: SignInError;
  detail: Detail;
  /** Until the sign-in service may be asked again, in ms. */
  waitMs: number;
}

/**
 * Brings one call of the list to its answer: within the budget, however long that takes; with another token after a 401,
 * once; again after a fault, a few times.
 *
 * @throws StanddownError NOT_PERMITTED, UPSTREAM_FAILED
 */
export function createLister(deps: ListerDeps): (query: string) => Promise<Listing> {
  const { clock, signal } = deps;

  async function pause(ms: number, reason: ReadWait['reason'], detail = ''): Promise<void> {
    if (ms >= TOLD_MS) deps.onWait({ reason, until: clock.wall() + ms, detail });
    await clock.sleep(ms, signal);
  }

  async function call(query: string, token: Token, grant: SlotGrant): Promise<Answer> {
    const answer = await deps.client.page(query, {
      accessToken: token.accessToken,
      timeoutMs: Math.max(1, deps.callTimeoutMs - grant.term.elapsed()),
      signal,
      maySend: () => !deps.signIn.isRefused(token) && grant.term.maySend(),
    });
    const judged = judge(answer, clock.wall());
    const fate = answer.kind === 'answer' ? 'answered' : answer.kind;
    const penaltyMs = judged.kind === 'again' ? judged.waitMs : 0;
    await deps.budget.settle('list', grant, fate, penaltyMs, endOf(judged));
    signal.throwIfAborted();
    if (judged.kind === 'refused') throw judged.error;
    return judged;
  }

  return async (query) => {
    let faults = 0;
    let doubted: Token | null = null;
    let failure: SignInError | null = null;
    let renewed = false;
    const retry = async (detail: Detail, waitMs = backoff(faults + 1, deps.random(), deps.timings)) => {
      if (++faults >= MOST_TRIES) throw failed(detail, `${faults} attempts`);
      await pause(waitMs, 'fault', describe(detail));
    };
    for (;;) {
      signal.throwIfAborted();
      const token: Token | NoToken = await tokenOf(deps, doubted);
      if (!('accessToken' in token)) {
        // The same one, told again, is no further try.
        if (token.failure === failure) await pause(token.waitMs, 'fault', describe(token.detail));
        else await retry(token.detail, token.waitMs);
        failure = token.failure;
        continue;
      }
      doubted = null;
      if (!mayRead(token.roles)) {
        if (deps.signIn.believes(token)) throw notPermitted(token);
        doubted = token;
        continue;
      }
      const asked = await deps.budget.ask('list');
      if (asked.kind === 'wait') {
        // A millisecond more: a call is allowed when the deciding one has left the window, not when it is about to.
        await pause(asked.waitMs > 0 ? asked.waitMs + 1 : 0, asked.reason, asked.why);
        continue;
      }
      const answer = await call(query, token, asked.grant);
      if (answer.kind === 'listing') return answer.listing;
      if (answer.kind === 'fault') await retry(answer.detail);
      if (answer.kind === 'forbidden') {
        if (deps.signIn.believes(token)) throw notPermitted(token, answer.detail, deps.client.address);
        doubted = token;
      }
      if (answer.kind !== 'unauthorized') continue;
      deps.signIn.refuse(token);
      if (renewed) throw failed(answer.detail, 'also with a new token');
      renewed = true;
    }
  };
}

/** A token, a newer one than that whose permissions are in doubt; or what stands in the way for now. */
async function tokenOf({ signIn, clock }: ListerDeps, doubted: Token | null): Promise<Token | NoToken> {
  try {
    return await (doubted ? signIn.renewed(doubted) : signIn.token());
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    const detail = { errorCode: error.code, errorMessage: gistOf(error) };
    if (!LASTING.test(error.code)) {
      return { failure: error, detail, waitMs: Math.max(0, error.retryAt - clock.monotonic()) };
    }
    throw new StanddownError(
      'UPSTREAM_FAILED',
      `sign-in failed (${error.code}): ${gistOf(error).replace(/\.$/, '')}; run "standdown doctor" for advice`,
      { cause: error },
    );
  }
}

/** What an answer to the list means. `again`: it was refused for now, and the budget has taken note. */
function judge(
  answer: HttpAnswer | NoAnswer,
  nowWall: number,
): Answer | { kind: 'refused'; error: StanddownError } {
  const listing = answer.kind === 'answer' && answer.status === 200 ? readListing(answer) : null;
  if (listing) return { kind: 'listing', listing };
  const meaning = classify(answer, '', nowWall);
  if (answer.kind === 'lost' && answer.code === TOO_LARGE) {
    return { kind: 'refused', error: failed(meaning.detail, '') };
  }
  switch (meaning.kind) {
    case 'throttled':
      return { kind: 'again', waitMs: meaning.retryAfterMs };
    case 'unauthorized':
      return { kind: 'unauthorized', detail: meaning.detail };
    case 'action':
    case 'inconclusive':
      return { kind: 'fault', busyMs: 0, detail: meaning.detail };
    case 'fault':
      return { kind: 'fault', busyMs: meaning.retryAfterMs ?? 0, detail: meaning.detail };
    case 'forbidden':
      return { kind: 'forbidden', detail: meaning.detail };
    case 'not_found':
    case 'bad_request':
    case 'rejected':
      return { kind: 'refused', error: failed(meaning.detail, '') };
    default:
      return unreachable(meaning);
  }
}

function endOf(judged: ReturnType<typeof judge>): ListEnd {
  if (judged.kind === 'listing') return 'alive';
  return judged.kind === 'fault' && judged.busyMs > 0 ? { busyMs: judged.busyMs } : null;
}

/** @param detail of the answer; null: it was not asked. */
function notPermitted(token: Token, detail: Detail | null = null, address = ''): StanddownError {
  const hint = audienceHint(token.accessToken, address);
  const answered = detail && `; the API answered ${describe(detail)}${hint && `.${hint}`}`;
  const words = `${describeUnreadable(token)}${answered ?? ''}`;
  return new StanddownError('NOT_PERMITTED', words, { context: { roles: token.roles } });
}

function failed(detail: Detail, when: string): StanddownError {
  const words = `cannot list machine actions${when ? ` (${when})` : ''}: ${describe(detail)}`;
  return new StanddownError('UPSTREAM_FAILED', words, { context: { ...detail } });
}

function describe({ httpStatus, errorCode, errorMessage }: Detail): string {
  const words = withCode(errorCode, errorMessage);
  return httpStatus === undefined ? words : `${httpStatus}${words ? ` (${words})` : ''}`;
}
