import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Config, Environment, SignInConfig } from '../config/config.ts';
import { proxyMistake } from '../config/proxy.ts';
import { TIMINGS, type Timings } from '../config/timings.ts';
import { createClient, createDispatcher } from '../defender/client.ts';
import { createSignIn } from '../defender/sign-in.ts';
import { examineApi } from '../ops/doctor/api.ts';
import { examineCredential, examineEnvFile } from '../ops/doctor/credential.ts';
import type { Finding } from '../ops/doctor/finding.ts';
import { judgeAudience, judgeRoles } from '../ops/doctor/permissions.ts';
import { examineInbox, examineQueues, examineRedis, judgeUnusable } from '../ops/doctor/redis.ts';
import { examineSettings, judgeLimits } from '../ops/doctor/settings.ts';
import { examineSignIn } from '../ops/doctor/sign-in.ts';
import { createOperationBudget } from '../store/budget/operation.ts';
import { keysFor } from '../store/keys.ts';
import { closeRedis } from '../store/redis/connect.ts';
import { describeRedis } from '../store/redis/target.ts';
import type { RedisClient } from '../store/script.ts';
import { type AppDeps, connect, createTenant, locateRedis, type RedisPlace } from './tenant.ts';

/* The doctor's part of the composition root: builds what a worker would, looks at it, and takes it down again. */

export interface DoctorDeps {
  env: Environment;
  /** From which some of it was read. */
  envFile: string | null;
  /** Ends waits and calls. */
  signal: AbortSignal;
  /** Default: those of production. */
  timings?: Timings | undefined;
}

/** Whoever asks is waiting: no call takes longer than this, in ms. */
const PATIENCE_MS = 10_000;

/** Looks at everything that a campaign needs, one thing after the other. Nothing is cancelled. */
export async function* examine({
  env,
  envFile,
  signal,
  timings = TIMINGS,
}: DoctorDeps): AsyncGenerator<Finding, void, void> {
  const { config, findings } = await examineSettings(env);
  yield* findings;
  if (config === null) return;
  yield* await examineEnvFile(envFile);
  yield* await examineCredential(config);
  yield judgeLimits(config.limits);
  const opened = await openRedis({ config, log: silentLog, path: env['PATH'] ?? '' });
  if ('finding' in opened) {
    yield opened;
    yield* examineDefender(config, null, timings, signal);
    return;
  }
  const { client, place } = opened;
  try {
    const seen = await examineRedis(client, describeRedis(place.target));
    yield* seen;
    const isUsable = seen.every(({ level }) => level !== 'problem');
    if (isUsable && config.tenant !== null) {
      const keys = keysFor(config.tenant);
      yield* await examineQueues(client, keys);
      yield* await examineInbox(client, keys);
    }
    yield* examineDefender(config, isUsable ? client : null, timings, signal);
  } finally {
    await closeRedis(client);
  }
}

async function openRedis(deps: AppDeps): Promise<{ client: RedisClient; place: RedisPlace } | Finding> {
  try {
    const place = await locateRedis(deps);
    return { client: await connect(place, 'command', 'doctor', deps.log), place };
  } catch (error) {
    if (error instanceof StanddownError && error.code !== 'INTERNAL') return judgeUnusable(error);
    throw error;
  }
}

async function* examineDefender(
  config: Config,
  redis: RedisClient | null,
  timings: Timings,
  signal: AbortSignal,
): AsyncGenerator<Finding, void, void> {
  // It has been said, and nothing gets out.
  if (proxyMistake(config.httpsProxy) !== null) return;
  const { apiUrl, callTimeoutMs, limits } = config;
  const timeoutMs = Math.min(callTimeoutMs, PATIENCE_MS);
  const clock = systemClock;
  const dispatcher = createDispatcher({ connections: 1, ...config });
  try {
    const { token, findings } = await signInAs(config.signIn, {
      dispatcher,
      clock,
      timeoutMs,
      timings,
    });
    yield* findings;
    if (config.signIn && token) yield* judgeRoles(token.roles, config.signIn.credential.kind);
    if (token) yield* judgeAudience(token.accessToken, apiUrl);
    const { epoch } = redis && config.tenant !== null ? createTenant(config, redis, { timings }) : NO_TENANT;
    const budget = epoch && createOperationBudget({ ...epoch, windows: limits.windows, callTimeoutMs });
    const client = createClient({ apiUrl, dispatcher });
    yield await examineApi({ apiUrl, client, dispatcher, budget, token, clock, timeoutMs, signal });
  } finally {
    await dispatcher.destroy();
  }
}

async function signInAs(
  config: SignInConfig | null,
  deps: Omit<Parameters<typeof createSignIn>[0], 'config'>,
): ReturnType<typeof examineSignIn> {
  if (config === null) return { token: null, findings: [] };
  return examineSignIn(createSignIn({ ...deps, config }), config.credential.kind, deps.clock.wall);
}

const NO_TENANT = { epoch: null };
