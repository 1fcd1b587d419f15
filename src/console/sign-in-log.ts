import type { Logger } from '../base/log.ts';
import type { Role } from './session.ts';

/** Of one minute, so many refusals have a line each; the others are counted. */
const MOST_LINES = 20;
const MINUTE_MS = 60_000;

export type SignInLog = ReturnType<typeof createSignInLog>;

/** What the log says of who signs in. However many tokens are tried, it stays readable. */
export function createSignInLog(log: Logger) {
  let lines = 0;
  let others = 0;
  let minute: NodeJS.Timeout | null = null;

  function flush(): void {
    if (minute) clearTimeout(minute);
    minute = null;
    if (others > 0) log.warn({ refused: others }, 'console: more sign-ins refused in the last minute');
    lines = others = 0;
  }

  return {
    signedIn: (session: { name: string; role: Role; address: string }): void =>
      log.info(session, 'console: signed in'),
    signedOut: (session: { name: string; role: Role }): void => log.info(session, 'console: signed out'),
    /** @param why without anything that was sent: a token that is nearly right is worth as much. */
    refused: (address: string, why: 'wrong token' | 'too many wrong tokens' | 'too many sign-ins'): void => {
      minute ??= setTimeout(flush, MINUTE_MS).unref();
      if (++lines <= MOST_LINES) log.warn({ address, why }, 'console: sign-in refused');
      else others++;
    },
    /** Says what was only counted. */
    flush,
  };
}
