import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { RegisteredSignIn } from '../config/sign-in.ts';
import { TIMINGS, type Timings } from '../config/timings.ts';
import { createDispatcher } from '../defender/client.ts';
import { type LoginPrompt, logIn } from '../defender/device-code.ts';
import { aloneWithLogin, removeLogin } from '../defender/login-file.ts';
import { permissionsOf } from '../defender/roles.ts';
import { SignInError } from '../defender/sign-in-error.ts';
import { createSignInWay } from '../defender/sign-in-way.ts';
import type { Finding } from '../ops/doctor/finding.ts';
import { judgeRoles } from '../ops/doctor/permissions.ts';
import { judgeFailure } from '../ops/doctor/sign-in.ts';
import { tenantOf } from './tenant.ts';

/* Login and logout's part of the composition root. Neither looks at Redis. */

export interface LoggedIn {
  user: string;
  path: string;
  /** What its token permits, and what it lacks. */
  permissions: Finding[];
}

/**
 * Logs a user in by a device code; workers of this data folder sign in with that from then on.
 *
 * @throws StanddownError CONFIG_INVALID, UPSTREAM_FAILED, INPUT_INVALID, TIMEOUT; the signal's reason.
 */
export async function login(
  config: Config,
  {
    onPrompt,
    signal,
    timings = TIMINGS,
  }: { onPrompt(prompt: LoginPrompt): void; signal: AbortSignal; timings?: Timings | undefined },
): Promise<LoggedIn> {
  const { signIn, path } = loginOf(config);
  const dispatcher = createDispatcher({ connections: 1, ...config });
  const timeoutMs = config.callTimeoutMs;
  const deps = { dispatcher, clock: systemClock, timings, timeoutMs };
  try {
    const way = createSignInWay(deps);
    const { user, accessToken } = await logIn({ ...deps, config: signIn, path, way, signal, onPrompt });
    return { user, path, permissions: judgeRoles(permissionsOf(accessToken).roles, 'login') };
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    const { finding, meaning, advice } = judgeFailure(error, 'login');
    throw new StanddownError('UPSTREAM_FAILED', `${finding}\n${meaning}\n${advice}`, { cause: error });
  } finally {
    await dispatcher.destroy();
  }
}

/**
 * Forgets the login. What a worker was given before is good until it ends, an hour at most.
 *
 * @returns where it was; null: there was none.
 * @throws StanddownError CONFIG_INVALID, INPUT_INVALID, TIMEOUT
 */
export async function logout(config: Config): Promise<string | null> {
  const { path } = loginOf(config);
  const wasThere = await aloneWithLogin(path, config.callTimeoutMs, () => removeLogin(path));
  return wasThere ? path : null;
}

function loginOf(config: Config): { signIn: RegisteredSignIn; path: string } {
  const { signIn, signInMissing, tenantsFile } = config;
  // Of many tenants one has to be named.
  if (tenantsFile !== null) tenantOf(config);
  if (signIn !== null && signIn.tenantId !== null && signIn.credential.kind === 'login')
    return { signIn, path: signIn.credential.path };
  const missing = (signIn === null ? signInMissing : [])
    .map((name) => (name.startsWith('AZURE_CLIENT_SECRET') ? 'AZURE_LOGIN=device-code' : name))
    .join(', ');
  throw new StanddownError(
    'CONFIG_INVALID',
    missing.includes('AZURE_TENANT_ID') || missing.includes('AZURE_CLIENT_ID')
      ? `cannot log in; missing: ${missing}`
      : 'login and logout require AZURE_LOGIN=device-code and no other way to sign in',
  );
}
