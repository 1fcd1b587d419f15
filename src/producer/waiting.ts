import { StanddownError } from '../base/errors.ts';

/** How long somebody waits for something. */
export interface WaitOptions {
  /** In ms. Default: as long as it takes. */
  timeoutMs?: number | undefined;
  /** Ends the waiting, with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Waits for something that goes on whether or not anybody waits.
 *
 * @param what what is waited for, for the error: "the outcome of …".
 * @throws StanddownError TIMEOUT; USAGE for a time or a signal that is none; the signal's reason.
 */
export async function waitFor<T>(
  work: Promise<T>,
  options: WaitOptions,
  what: string,
  context: Record<string, unknown>,
): Promise<T> {
  // Whoever gives up first must not leave a rejection that nobody hears.
  work.catch(() => undefined);
  checkWait(options);
  const { timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const given = Promise.withResolvers<never>();
  const onAbort = () => given.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const late = () =>
    given.reject(new StanddownError('TIMEOUT', `no ${what} within ${timeoutMs} ms`, { context }));
  const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
  try {
    return await Promise.race([work, given.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** What a timer can be set to. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** @throws StanddownError USAGE */
export function checkWait({ timeoutMs, signal }: WaitOptions): void {
  checkTimeout(timeoutMs);
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new StanddownError('USAGE', 'signal must be an AbortSignal');
}

/** @throws StanddownError USAGE */
export function checkTimeout(timeoutMs: number | undefined, name = 'timeoutMs'): void {
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= LONGEST_TIMEOUT_MS) return;
  throw new StanddownError('USAGE', `${name} must be between 0 and ${LONGEST_TIMEOUT_MS}`);
}
