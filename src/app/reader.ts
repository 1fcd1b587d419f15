import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { createClient, createDispatcher } from '../defender/client.ts';
import { createReader, type Reader, type ReadWait } from '../defender/reader.ts';
import { createSignIn } from '../defender/sign-in.ts';
import { createOperationBudget } from '../store/budget/operation.ts';
import { type AppDeps, type Tenant, withTenant } from './tenant.ts';

/* The reading commands' half of the composition root, apart so that the others do not load what only calling needs. */

export interface ReadingHooks {
  /** Ends waits and calls. */
  signal: AbortSignal;
  /** Told before each longer wait. May throw, to give up instead. */
  onWait(wait: ReadWait): void;
}

export interface OpenReader {
  reader: Reader;
  close(): Promise<void>;
}

/**
 * Builds what reads a tenant's machine actions, over the tenant's connection. Nothing is asked for yet.
 *
 * @throws StanddownError CONFIG_INVALID when settings to sign in are missing.
 */
export function openReader(config: Config, tenant: Tenant, { signal, onWait }: ReadingHooks): OpenReader {
  const { signIn, apiUrl, callTimeoutMs } = config;
  const { timings } = tenant;
  if (!signIn) {
    const missing = config.signInMissing.join(', ');
    throw new StanddownError('CONFIG_INVALID', `cannot sign in to read machine actions; missing: ${missing}`);
  }
  const dispatcher = createDispatcher({ connections: 1, ...config });
  const clock = systemClock;
  const reader = createReader({
    signIn: createSignIn({ config: signIn, dispatcher, clock, timeoutMs: callTimeoutMs, timings }),
    client: createClient({ apiUrl, dispatcher }),
    budget: createOperationBudget({ ...tenant.epoch, windows: tenant.limits.windows, callTimeoutMs }),
    clock,
    random: Math.random,
    callTimeoutMs,
    timings,
    signal,
    onWait,
  });
  return { reader, close: () => dispatcher.destroy() };
}

/**
 * Runs something that reads a tenant's machine actions, over a connection of its own, which is closed afterwards.
 *
 * @throws StanddownError CONFIG_INVALID, and all that `withTenant` and reading throw.
 */
export function withReader<T>(
  deps: AppDeps,
  hooks: ReadingHooks,
  run: (reader: Reader, tenant: Tenant) => Promise<T>,
): Promise<T> {
  return withTenant(deps, async (tenant) => {
    const { reader, close } = openReader(deps.config, tenant, hooks);
    try {
      return await run(reader, tenant);
    } finally {
      await close();
    }
  });
}
