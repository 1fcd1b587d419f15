import type { Clock } from '../clock.ts';
import { backoff } from '../defender/classify.ts';
import type { SignIn, SignInError } from '../defender/sign-in.ts';
import type { Logger } from '../log.ts';
import type { Timings } from '../timings.ts';
import type { Notices } from './notices.ts';

export interface SignInHoldDeps {
  signIn: SignIn;
  notices: Notices;
  clock: Clock;
  timings: Timings;
  random(): number;
  pauseLanes(): Promise<unknown>;
  resumeLanes(): void;
  log: Logger;
  stopping: AbortSignal;
}

/**
 * While no token is to be had, this worker takes no jobs and tries again, later and later. Other workers,
 * whose sign-in may be in order, go on.
 */
export function createSignInHold(deps: SignInHoldDeps) {
  const { clock, log, notices, stopping } = deps;
  let holding: Promise<void> | null = null;
  let trouble = '';

  async function hold(first: SignInError): Promise<void> {
    await deps.pauseLanes();
    let error: SignInError | null = first;
    for (let failures = 1; error && !stopping.aborted; failures++) {
      trouble = error.code;
      const waitMs = backoff(failures, deps.random(), deps.timings);
      const until = clock.wall() + waitMs;
      log.warn({ code: error.code, err: error, retryInMs: Math.round(waitMs) }, 'sign-in failed: holding');
      notices.note('sign-in', { code: error.code, message: error.message, until });
      await clock.sleep(waitMs, stopping).catch(() => undefined);
      error = await tryAgain();
    }
    if (error) return;
    trouble = '';
    log.info('sign-in works again');
    notices.clear('sign-in');
    deps.resumeLanes();
  }

  async function tryAgain(): Promise<SignInError | null> {
    try {
      await deps.signIn.token();
      return null;
    } catch (error) {
      return error as SignInError;
    }
  }

  return {
    /** Why no token is to be had, as a code; empty: nothing is the matter. */
    trouble: () => trouble,
    /** Begins to hold, or joins the hold that stands. Resolves once no more jobs are taken. */
    enter: async (error: SignInError): Promise<void> => {
      if (holding) return;
      holding = hold(error)
        .catch((err) => log.error({ err }, 'sign-in hold'))
        .finally(() => {
          holding = null;
        });
    },
  };
}
