import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { assertUnharmed, IDS, openShared, untilNoted } from './shared-quota-support.ts';

describe('a quota that is smaller than RATE_LIMITS says', () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('because others use it, too: fewer calls go out for a while, and it is said', async (t) => {
    const field = await openShared(server);
    const done = new AbortController();
    const others = (async () => {
      while (!done.signal.aborted) {
        await field.simulator.spend('cancel', 4);
        await systemClock.sleep(250, done.signal).catch(() => undefined);
      }
    })();
    try {
      for (let worker = 0; worker < 2; worker++) field.startWorker({ CONCURRENCY: '5' });
      await untilNoted(server, field);
      const refused = await assertUnharmed(field);
      t.diagnostic(`${refused} of ${IDS + refused} calls were refused`);
      assert.ok(refused < IDS / 5, `${refused} calls were refused`);
    } finally {
      done.abort();
      await others;
      await field.close();
    }
  });
});
