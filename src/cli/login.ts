import { type LoggedIn, login, logout } from '../app/login.ts';
import { describeDuration } from '../base/duration.ts';
import type { LoginPrompt } from '../defender/device-code.ts';
import { type CommandContext, EXIT, writeJson, writeText } from './context.ts';

/** Logs a user in, who enters a code on any device. What is printed while it waits is not for a log. */
export async function runLogin(
  { config, out, stop, timings }: CommandContext,
  { json }: { json: boolean },
): Promise<number> {
  const onPrompt = (prompt: LoginPrompt) =>
    void (json ? writeJson(out, { event: 'code', ...prompt }) : writeText(out, describePrompt(prompt)));
  const loggedIn = await login(config, { onPrompt, signal: stop, timings });
  if (json) await writeJson(out, { event: 'logged-in', ...loggedIn });
  else await writeText(out, describeLogin(loggedIn));
  return EXIT.done;
}

/** Forgets who is logged in. */
export async function runLogout(
  { config, out }: CommandContext,
  { json }: { json: boolean },
): Promise<number> {
  const path = await logout(config);
  if (json) await writeJson(out, { wasLoggedIn: path !== null });
  else await writeText(out, path === null ? 'No user was logged in.' : `Logged out: deleted ${path}.`);
  return EXIT.done;
}

function describePrompt({ verificationUri, userCode, lifetimeMs }: LoginPrompt): string {
  return (
    `Open ${verificationUri} on any device and enter the code ${userCode}\n` +
    `The code expires in ${describeDuration(lifetimeMs)}. Waiting (Ctrl-C to cancel) …\n`
  );
}

function describeLogin({ user, permissions }: LoggedIn): string {
  const lacking = permissions.filter(({ level }) => level !== 'ok');
  const lines = [`Logged in as ${user}. Workers sign in as this user from now on.`].concat(
    lacking.map(({ level, finding, advice }) => `${level}: ${finding}. ${advice}`),
  );
  return `${lines.join('\n')}\n`;
}
