import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { describeAbsence, describeWorker } from '../../src/files/words/blocked.ts';
import { readRoster, type SeenWorker } from '../../src/store/budget/roster.ts';
import { viewBudget } from '../../src/store/budget/view.ts';
import { forgetGone } from '../../src/worker/self.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

describe('workers in Redis', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  const viewOf = ({ redis, tenant }: Stack) => viewBudget(redis, tenant.keys, tenant.limits);

  it('say who they are, as whom they call and until when; one that stops is gone at once', async () => {
    const stack = await openStack(server);
    try {
      assert.match(describeAbsence(await viewOf(stack), 'a') ?? '', /^No worker is running for tenant a\. /);
      const worker = await stack.startWorker();
      const one = await eventually(async () => {
        const [seen] = (await viewOf(stack)).workers;
        assert.equal(seen?.trouble, '');
        return seen as SeenWorker;
      });
      const { clientId } = stack.simulator;
      assert.deepEqual([one.host, one.pid, one.ended], [hostname(), process.pid, false]);
      assert.equal(one.identity, `application ${clientId}`);
      assert.ok(one.roles?.includes('Machine.Scan'));
      assert.ok(Date.parse(one.tokenEndsAt ?? '') > Date.now());
      assert.match(
        describeWorker(one),
        new RegExp(`signed in as application ${clientId} with .*Machine\\.Scan`),
      );
      assert.equal(describeAbsence(await viewOf(stack), 'a'), null);
      await worker.stop();
      assert.match(
        describeAbsence(await viewOf(stack), 'a') ?? '',
        /^No worker is running for tenant a \(last seen /,
      );
    } finally {
      await stack.close();
    }
  });

  it('that cannot sign in say why; they hold nothing up beside one that can', async () => {
    const stack = await openStack(server);
    try {
      const wrong = await stack.startWorker({ AZURE_CLIENT_SECRET: 'wrong' });
      await stack.submit(stack.addActions(1));
      await eventually(async () => assert.equal((await stack.status()).hold?.reason, 'sign-in'));
      assert.equal((await stack.status()).etaAt, null);
      await eventually(async () => {
        const [seen] = (await viewOf(stack)).workers;
        assert.match(seen ? describeWorker(seen) : '', /: not signed in \(invalid_client AADSTS7000215: /);
      });
      await stack.startWorker();
      await stack.untilDone();
      await eventually(async () => {
        const { holds, workers } = await viewOf(stack);
        assert.deepEqual([holds, workers.length], [[], 2]);
      });
      await wrong.stop();
    } finally {
      await stack.close();
    }
  });

  it('are forgotten when they have been gone for long, but for the last one; what nobody can read, too', async () => {
    const { redis, keys } = await newTenant(await server.connect());
    const ago = (hours: number) => `${Date.now() - hours * 3_600_000} {"trouble":""}`;
    const all = { old: ago(3), last: ago(2), broken: 'x', unread: '1 {' };
    await redis.hset(keys.workers, all);
    assert.equal(readRoster(all).length, 2);
    await forgetGone(redis, keys);
    assert.deepEqual(await redis.hkeys(keys.workers), ['last']);
    await redis.hset(keys.workers, 'lately', ago(0.5));
    await forgetGone(redis, keys);
    assert.deepEqual(await redis.hkeys(keys.workers), ['lately']);
  });
});
