import { hostname, userInfo } from 'node:os';
import { excerpt, shellWord } from '../base/foreign.ts';
import type { Actor } from '../store/campaign/audit.ts';

/** The user of this machine, or null where it does not say. */
export function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

/** Who runs this command, for the audit. `args` as given, without the program. */
export function actorOf(args: readonly string[]): Actor {
  // Cleaned before it is quoted: of a secret that was quoted twice nothing would be known.
  const quoted = args.map((given) => excerpt(given, 1_000)).map(shellWord);
  return {
    by: excerpt(`${userName() ?? 'unknown'}@${hostname()}`, 200),
    command: excerpt(`standdown ${quoted.join(' ')}`, 1_000),
  };
}
