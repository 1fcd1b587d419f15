import { hostname, userInfo } from 'node:os';
import type { Actor } from '../campaign/audit.ts';
import { withoutSecrets } from '../secret.ts';

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
  const quoted = args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : JSON.stringify(arg)));
  return {
    by: `${userName() ?? 'unknown'}@${hostname()}`,
    command: withoutSecrets(`standdown ${quoted.join(' ')}`).slice(0, 1_000),
  };
}
