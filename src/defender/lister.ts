import type { OperationBudget, SlotGrant, SlotWait } from '../budget/operation.ts';
import type { Clock } from '../clock.ts';
import { StanddownError, unreachable } from '../errors.ts';
import type { Detail } from '../outcome.ts';
import type { Timings } from '../timings.ts';
import { backoff, classify } from './classify.ts';
import { type DefenderClient, type Listing, readListing } from './client.ts';
import { type HttpAnswer, type NoAnswer, TOO_LARGE } from './exchange.ts';
import { describeUnreadable, mayRead } from './roles.ts';
import { gistOf, type SignIn, SignInError, type Token } from './sign-in.ts';

/** Why reading waits, and until when. */
export interface ReadWait {
  /** `fault`: the API or its sign-in failed and is tried again. */
  reason: SlotWait['reason'] | 'fault';
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

/** A slot is for a call that is sent at once, in ms. As with cancels. */
const MAY_SEND_MS = 2_000;

/** Sign-in troubles of which a second try would say the same: a wrong secret, an unknown application. */
const LASTING = /^(invalid|unauthorized|credential|access_denied)/;

type Answer =
  | { kind: 'listing'; listing: Listing }
  | { kind: 'again'; waitMs: number }
  | { kind: 'fault'; detail: Detail }
  | { kind: 'unauthorized'; detail: Detail };

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
    const elapsed = () => clock.monotonic() - grant.askedAt;
    const answer = await deps.client.page(query, {
      accessToken: token.accessToken,
      timeoutMs: Math.max(1, deps.callTimeoutMs - elapsed()),
      signal,
      maySend: () => elapsed() < MAY_SEND_MS,
    });
    const judged = judge(answer, token, clock.wall());
    const fate = answer.kind === 'answer' ? 'answered' : answer.kind;
    await deps.budget.settle('list', grant, fate, judged.kind === 'again' ? judged.waitMs : 0);
    signal.throwIfAborted();
    if (judged.kind === 'refused') throw judged.error;
    return judged;
  }

  return async (query) => {
    let faults = 0;
    let refused: Token | null = null;
    let renewed = false;
    const retry = async (detail: Detail) => {
      if (++faults >= MOST_TRIES) throw failed(detail, `${faults} times in a row`);
      await pause(backoff(faults, deps.random(), deps.timings), 'fault', describe(detail));
    };
    for (;;) {
      signal.throwIfAborted();
      const token: Token | Detail = await tokenOf(deps.signIn, refused);
      if (!('accessToken' in token)) {
        await retry(token);
        continue;
      }
      refused = null;
      if (!mayRead(token.roles)) throw notPermitted(token, {});
      const asked = await deps.budget.ask('list');
      if (asked.kind === 'wait') {
        // A millisecond more: a call is allowed when the deciding one has left the window, not when it is about to.
        await pause(asked.waitMs > 0 ? asked.waitMs + 1 : 0, asked.reason);
        continue;
      }
      const answer = await call(query, token, asked.grant);
      if (answer.kind === 'listing') return answer.listing;
      if (answer.kind === 'fault') await retry(answer.detail);
      if (answer.kind !== 'unauthorized') continue;
      if (renewed) throw failed(answer.detail, 'also with a fresh token');
      refused = token;
      renewed = true;
    }
  };
}

/** A token, another one than that which was refused; or what stands in the way for now. */
async function tokenOf(signIn: SignIn, refused: Token | null): Promise<Token | Detail> {
  try {
    return await (refused ? signIn.renewed(refused) : signIn.token());
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    const detail = { errorCode: error.code, errorMessage: error.message };
    if (!LASTING.test(error.code)) return detail;
    throw new StanddownError(
      'UPSTREAM_FAILED',
      `cannot sign in (${error.code}): ${gistOf(error)}; "standdown doctor" says what to do`,
      { cause: error },
    );
  }
}

/** What an answer to the list means. `again`: it was refused for now, and the budget has taken note. */
function judge(
  answer: HttpAnswer | NoAnswer,
  token: Token,
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
    case 'fault':
      return { kind: 'fault', detail: meaning.detail };
    case 'forbidden':
      return { kind: 'refused', error: notPermitted(token, meaning.detail) };
    case 'not_found':
    case 'bad_request':
    case 'rejected':
      return { kind: 'refused', error: failed(meaning.detail, '') };
    default:
      return unreachable(meaning);
  }
}

function notPermitted(token: Token, detail: Detail): StanddownError {
  const answered = describe(detail);
  const words = `${describeUnreadable(token)}${answered ? `; the API answered ${answered}` : ''}`;
  return new StanddownError('NOT_PERMITTED', words, { context: { roles: token.roles } });
}

function failed(detail: Detail, when: string): StanddownError {
  const words = `the list of machine actions cannot be read: ${describe(detail)}${when ? `, ${when}` : ''}`;
  return new StanddownError('UPSTREAM_FAILED', words, { context: { ...detail } });
}

function describe({ httpStatus, errorCode, errorMessage }: Detail): string {
  const words = [errorCode, errorMessage].filter(Boolean).join(': ');
  return httpStatus === undefined ? words : `${httpStatus}${words ? ` (${words})` : ''}`;
}
