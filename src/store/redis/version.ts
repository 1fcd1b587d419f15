/** Below this BullMQ warns, and `CLIENT PAUSE … WRITE`, which the keeper needs, does not exist. */
export const OLDEST_REDIS = '6.2';

/** For errors: there is no server to start. */
export const NO_SERVER = `no redis-server or valkey-server (${OLDEST_REDIS} or later) found`;

/** Compares dotted version numbers; missing parts count as 0. */
export function isAtLeast(version: string, oldest: string): boolean {
  const [have, need] = [parts(version), parts(oldest)];
  for (const [index, wanted] of need.entries()) {
    const part = have[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

function parts(version: string): number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10) || 0);
}
