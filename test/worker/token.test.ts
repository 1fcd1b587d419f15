import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { describeThen } from '../../src/files/report/attempt-words.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { readRequest } from '../../src/store/campaign/request.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack, type StackOptions } from '../support/stack.ts';
import { withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

describe('a token', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  async function withStack(options: StackOptions, run: (stack: Stack) => Promise<void>): Promise<void> {
    const stack = await openStack(server, options);
    try {
      await run(stack);
    } finally {
      await stack.close();
    }
  }

  it('that was revoked costs no more than the calls in flight, however long signing in fails', () =>
    withStack({ env: { CONCURRENCY: '5' } }, async (stack) => {
      await stack.startWorker();
      await stack.submit(stack.addActions(5), 'before');
      await stack.untilDone('before');
      stack.simulator.revokeTokens();
      stack.simulator.setFaults([
        { operation: 'token', times: 3, fault: { kind: 'status', status: 503 } },
        { operation: 'token', times: 1, fault: { kind: 'status', status: 429, retryAfter: 2 } },
      ]);
      await stack.submit(stack.addActions(60));
      await stack.untilDone();
      for (const { outcome, attempts } of (await stack.report()).values())
        assert.deepEqual([outcome, attempts], ['cancelled', 1]);
      const cancels = stack.simulator.calls().filter(({ operation }) => operation === 'cancel');
      const refused = cancels.filter(({ status }) => status === 401).length;
      assert.ok(refused >= 1 && refused <= 5, `${refused} calls with the revoked token`);
      assert.equal(cancels.length, 65 + refused);
    }));

  it('without a permission is replaced after a resume, and no worker is restarted', () =>
    withStack({ simulator: { roles: ['Machine.Read.All'] } }, async (stack) => {
      const { tenant, simulator } = stack;
      await stack.submit(stack.addActions(10), 'later');
      await steer(tenant, 'later', 'pause', TESTER);
      await stack.startWorker();
      await stack.submit(stack.addActions(3), 'first');
      assert.deepEqual((await stack.untilDone('first')).outcomes, { forbidden: 3 });
      simulator.setRoles(['Machine.Read.All', 'Machine.Scan']);
      const seen = simulator.calls().length;
      await steer(tenant, 'later', 'resume', TESTER);
      assert.deepEqual((await stack.untilDone('later')).outcomes, { cancelled: 10 });
      for (const { attempts } of (await stack.report('later')).values()) assert.equal(attempts, 1);
      const asked = simulator.calls().slice(seen);
      assert.equal(asked.filter(({ operation }) => operation === 'token').length, 1, 'one for all');
    }));

  it('that cannot be renewed after a 403 costs no more than the calls in flight, however long signing in fails', () =>
    withStack(
      {
        env: { CONCURRENCY: '5' },
        simulator: { roles: ['Machine.Read.All'] },
        timings: withTimings({ permissionsBelievedMs: 1 }),
      },
      async (stack) => {
        const { simulator } = stack;
        const asked = (operation: string) => simulator.calls().filter((call) => call.operation === operation);
        const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
        const readiness = async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).text();
        await eventually(async () => assert.match(await readiness(), /^{"ok":true/));
        simulator.setRoles(['Machine.Read.All', 'Machine.Scan']);
        simulator.setFaults([{ operation: 'token', fault: { kind: 'status', status: 503 } }]);
        await stack.submit(stack.addActions(60));
        // Each try is some time after the one before.
        await eventually(() => assert.ok(asked('token').length >= 5));
        const refused = asked('cancel').length;
        assert.ok(refused >= 1 && refused <= 5, `${refused} calls with a token that is in doubt`);
        await eventually(async () => {
          assert.equal((await stack.status()).hold?.reason, 'sign-in');
          assert.match(await readiness(), /"name":"sign-in","ok":false/);
        });
        simulator.setFaults([]);
        await stack.untilDone();
        await eventually(async () => assert.match(await readiness(), /^{"ok":true/));
        for (const { outcome, attempts } of (await stack.report()).values())
          assert.deepEqual([outcome, attempts], ['cancelled', 1]);
        assert.equal(asked('cancel').length, 60 + refused);
      },
    ));

  it('that cannot be renewed after a 403 is believed once a newer one has met it, too', () =>
    withStack(
      { simulator: { roles: ['Machine.Read.All'] }, timings: withTimings({ permissionsBelievedMs: 1 }) },
      async (stack) => {
        await stack.startWorker();
        await stack.submit(stack.addActions(1), 'before');
        await stack.untilDone('before');
        stack.simulator.setFaults([{ operation: 'token', times: 2, fault: { kind: 'status', status: 503 } }]);
        await stack.submit(stack.addActions(3));
        assert.deepEqual((await stack.untilDone()).outcomes, { forbidden: 3 });
        for (const { attempts } of (await stack.report()).values()) assert.equal(attempts, 1);
      },
    ));

  it('that cannot be renewed after a 403 holds its worker, and another one goes on', () =>
    withStack({ timings: withTimings({ permissionsBelievedMs: 1 }) }, async (stack) => {
      const [denied = '', ...rest] = stack.addActions(6);
      await stack.startWorker();
      await stack.startWorker();
      const tokens = () => stack.simulator.calls().filter(({ operation }) => operation === 'token').length;
      await eventually(() => assert.equal(tokens(), 2));
      stack.simulator.setFaults([
        { operation: 'cancel', ids: [denied], times: 1, fault: { kind: 'status', status: 403 } },
        { operation: 'token', fault: { kind: 'status', status: 503 } },
      ]);
      await stack.submit([denied, ...rest]);
      assert.deepEqual((await stack.untilDone()).outcomes, { cancelled: 6 });
    }));

  it('is replaced after a 403 without a reason, too, and not after a page that stands in the way', () =>
    withStack({ timings: withTimings({ permissionsBelievedMs: 1 }) }, async (stack) => {
      const { simulator } = stack;
      const tokens = () => simulator.calls().filter(({ operation }) => operation === 'token').length;
      const [bare = '', barred = ''] = stack.addActions(2);
      const refuse = (id: string, body: string) =>
        ({ operation: 'cancel', ids: [id], times: 1, fault: { kind: 'html', status: 403, body } }) as const;
      simulator.setFaults([refuse(bare, ''), refuse(barred, '<html>Blocked</html>')]);
      await stack.startWorker();
      await stack.submit([barred], 'barred');
      await stack.untilDone('barred');
      assert.equal(tokens(), 1);
      await stack.submit([bare], 'bare');
      await stack.untilDone('bare');
      assert.equal(tokens(), 2);
      const result = (await stack.report('bare')).get(bare);
      assert.deepEqual([result?.outcome, result?.attempts], ['cancelled', 1]);
      const find = (name: string) => findCampaign(stack.redis, stack.tenant.keys, name);
      const asked = await readRequest(stack.tenant, await find('bare'), bare);
      assert.deepEqual(asked.attempts.map(describeThen), ['retried with a new token']);
      const stood = await readRequest(stack.tenant, await find('barred'), barred);
      assert.deepEqual(stood.attempts.map(describeThen), ['retried']);
    }));
});
