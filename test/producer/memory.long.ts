import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { openFor } from './support/producers.ts';

const IDS = 1_000_000;
const MOST_BYTES = 15 * 2 ** 20;

/** What is in use, without what only waits to be collected. */
function used(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test('a million ids need no more memory than fifty thousand', async (t) => {
  const redis = await startRedis(t, { folder: testFolder(t) });
  const producer = await openFor(t, { redis: redis.url, tenant: 'million' });
  const seen: number[] = [];
  const source = function* () {
    for (let n = 0; n < IDS; n++) {
      if (n % 50_000 === 49_999) seen.push(used());
      yield `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
    }
  };
  const at = performance.now();
  const { accepted } = await producer.submit(source(), { campaign: 'million', comment: 'x' });
  assert.equal(accepted, IDS);
  const perSecond = Math.round(IDS / ((performance.now() - at) / 1_000));
  t.diagnostic(
    `${perSecond} ids/s; MB in use: ${seen.map((bytes) => Math.round(bytes / 2 ** 20)).join(' ')}`,
  );
  const grown = Math.max(...seen) - (seen[0] ?? 0);
  assert.ok(grown < MOST_BYTES, `${grown} bytes more`);
});
