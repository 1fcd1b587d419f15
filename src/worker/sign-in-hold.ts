import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { withoutSecrets } from '../base/secret.ts';
import { gistOf, type SignIn, SignInError } from '../defender/sign-in.ts';
import { SIGNING_IN } from '../store/budget/roster.ts';
import type { Notices } from './notices.ts';

export interface SignInHoldDeps {
  signIn: SignIn;
  notices: Notices;
  clock: Clock;
  /** Runs a sign-in that no request waits for, when it is its turn among those of other tenants. */
  inTurn<T>(run: () => Promise<T>): Promise<T>;
  pauseLanes(): Promise<unknown>;
  resumeLanes(): void;
  log: Logger;
  stopping: AbortSignal;
}

/** A hold is noted again this often, in ms: an older note counts as that of a dead worker. */
const NOTE_AGAIN_MS = 30_000;

/** Also where tokens that have ended already are given out, in ms. */
const LEAST_REST_MS = 5_000;

/**
 * Keeps a worker signed in, from its start on: what is wrong shows before a token is needed. While none is to be had this worker takes
 * no jobs, and tries again when the sign-in service may be asked. Other workers, whose sign-in may be in order, go on.
 */
export function createSignInHold(deps: SignInHoldDeps) {
  const { signIn, clock, log, notices, stopping } = deps;
  let holding: Promise<void> | null = null;
  let trouble = SIGNING_IN;

  async function hold(first: SignInError): Promise<void> {
    await deps.pauseLanes();
    let error: SignInError | null = first;
    while (error && !stopping.aborted) {
      trouble = describe(error);
      await untilRetry(error);
      error = await tryAgain();
    }
    if (error) return;
    trouble = '';
    log.info('sign-in is working again');
    notices.clear('sign-in');
    deps.resumeLanes();
  }

  async function untilRetry(error: SignInError): Promise<void> {
    const waitMs = () => error.retryAt - clock.monotonic();
    const until = clock.wall() + Math.max(0, waitMs());
    log.warn(
      { code: error.code, err: error, retryInMs: Math.round(waitMs()) },
      'sign-in is failing; no calls until it succeeds',
    );
    do {
      notices.note('sign-in', { code: error.code, message: describe(error), until });
      await rest(Math.min(waitMs(), NOTE_AGAIN_MS));
    } while (waitMs() > 0 && !stopping.aborted);
  }

  async function tryAgain(): Promise<SignInError | null> {
    try {
      await signIn.token();
      return null;
    } catch (error) {
      return toSignInError(error);
    }
  }

  /** Ends early when the worker stops. */
  function rest(ms: number): Promise<void> {
    return clock.sleep(ms, stopping).catch(() => undefined);
  }

  /** Begins to hold, or joins the hold that stands. Resolves at once; no more jobs are taken soon after. */
  async function enter(error: SignInError): Promise<void> {
    if (holding || stopping.aborted) return;
    holding = hold(error)
      .catch((err) => log.error({ err }, 'sign-in loop failed'))
      .finally(() => {
        holding = null;
      });
  }

  async function keep(): Promise<void> {
    while (!stopping.aborted) {
      const error = await deps.inTurn(async () => (stopping.aborted ? null : tryAgain()));
      if (error) {
        await enter(error);
        await holding;
      } else {
        if (!holding) trouble = '';
        await rest(Math.max(signIn.dueMs(), LEAST_REST_MS));
      }
    }
  }

  return {
    /** Signs in, and stays signed in until the worker stops. */
    start: (): void => {
      keep().catch((err) => log.error({ err }, 'sign-in loop failed'));
    },
    /** Why no token is to be had, its code first; empty: nothing is the matter. */
    trouble: () => trouble,
    enter,
  };
}

function describe(error: SignInError): string {
  return withoutSecrets(`${error.code}: ${gistOf(error)}`);
}

function toSignInError(error: unknown): SignInError {
  if (error instanceof SignInError) return error;
  throw error;
}
