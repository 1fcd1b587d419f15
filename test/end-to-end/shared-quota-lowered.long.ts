import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { assertUnharmed, IDS, openShared, untilNoted } from './shared-quota-support.ts';

describe('a quota that is smaller than RATE_LIMITS says', () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('because the tenant lowers it in mid-run', async (t) => {
    const field = await openShared(server);
    try {
      for (let worker = 0; worker < 2; worker++) field.startWorker({ CONCURRENCY: '5' });
      await eventually(async () => assert.ok((await field.campaign()).open < IDS - 20));
      await field.simulator.setLimits({ cancel: quotas('20/1s,400/10s') });
      await untilNoted(server, field);
      const refused = await assertUnharmed(field);
      t.diagnostic(`${refused} of ${IDS + refused} calls were refused`);
      assert.ok(refused < IDS / 5, `${refused} calls were refused`);
    } finally {
      await field.close();
    }
  });
});
