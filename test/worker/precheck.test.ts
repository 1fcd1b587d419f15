import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { readRoster } from '../../src/store/budget/roster.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { URGENT } from '../../src/store/ledger/place.ts';
import { TESTER } from '../support/actor.ts';
import { recount } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

describe('precheck', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  const calls = (of: string) => stack.simulator.calls().filter(({ operation }) => operation === of).length;

  async function drain(pending: string[], ended: string[]) {
    await stack.startWorker({ PRECHECK: 'auto' });
    await stack.submit([...pending, ...ended]);
    const status = await stack.untilDone();
    await recount(stack.tenant, 1);
    return status.outcomes;
  }

  it('settles what has ended already, without a cancel, about 100 ids a call', async () => {
    stack = await openStack(server);
    const pending = stack.addActions(130);
    const ended = stack.addActions(70, { status: 'Succeeded' });
    assert.deepEqual(await drain(pending, ended), { cancelled: 130, already_final: 70 });
    assert.equal(calls('cancel'), 130);
    assert.ok(calls('list') <= 4, `${calls('list')} lists`);
    const line = (await stack.report()).get(ended[0] ?? '');
    assert.deepEqual([line?.action?.status, line?.attempts], ['Succeeded', 0]);
  });

  it('that hangs holds up neither what is urgent nor what a worker does regularly', async () => {
    const patient = { precheckPatienceMs: 60_000, feedLeaseMs: 60_000 };
    stack = await openStack(server, { timings: withTimings(patient), env: { CALL_TIMEOUT: '1m' } });
    const { redis, tenant, simulator } = stack;
    simulator.setFaults([{ operation: 'list', fault: { kind: 'hang' } }]);
    await stack.startWorker({ PRECHECK: 'auto' });
    await stack.submit(stack.addActions(3), 'listed');
    await eventually(() => assert.equal(calls('list'), 1));
    await stack.submit(stack.addActions(3), 'now', { priority: URGENT });
    await stack.untilDone('now');
    const seen = async () => readRoster(await redis.hgetall(tenant.keys.workers))[0]?.seenAt ?? 0;
    const before = await seen();
    await eventually(async () => assert.ok((await seen()) > before + 1_000));
    await stack.submit(stack.addActions(3), 'aborted');
    await steer(tenant, 'aborted', 'abort', TESTER);
    await stack.untilDone('aborted');
    assert.equal(simulator.calls().find(({ operation }) => operation === 'list')?.answeredAtMs, null);
    assert.equal((await stack.status('listed')).open, 3);
    // A worker that stops waits for what it has asked.
    await simulator.stop();
  });

  it('calls what the list does not show', async () => {
    stack = await openStack(server);
    const unknown = '00000000-0000-4000-8000-000000000002';
    const outcomes = await drain([unknown, ...stack.addActions(2)], []);
    assert.deepEqual(outcomes, { cancelled: 2, not_found: 1 });
    assert.equal(calls('cancel'), 3);
  });

  it('is absent without the permission to read', async () => {
    stack = await openStack(server, { simulator: { roles: ['Machine.Isolate'] } });
    const outcomes = await drain(stack.addActions(3), stack.addActions(2, { status: 'Failed' }));
    assert.deepEqual(outcomes, { cancelled: 3, rejected: 2 }, 'where nothing can be read, the 400 stands');
    assert.equal(calls('list'), 0);
  });

  it('does not hide that signing in fails: the reason is shown, and jobs are fed when it works', async () => {
    stack = await openStack(server);
    const fault = { kind: 'status', status: 401, code: 'invalid_client' } as const;
    stack.simulator.setFaults([{ operation: 'token', fault }]);
    await stack.startWorker({ PRECHECK: 'auto' });
    await stack.submit(stack.addActions(3));
    await eventually(async () => assert.equal((await stack.status()).hold?.reason, 'sign-in'));
    stack.simulator.setFaults([]);
    assert.deepEqual((await stack.untilDone()).outcomes, { cancelled: 3 });
  });

  for (const fault of [
    { kind: 'status', status: 500, code: 'InternalServerError' },
    { kind: 'status', status: 429, code: 'TooManyRequests' },
    { kind: 'html', status: 502 },
    { kind: 'reset', when: 'before' },
  ] as const) {
    it(`does no harm when the list fails: ${JSON.stringify(fault)}`, async () => {
      stack = await openStack(server);
      stack.simulator.setFaults([{ operation: 'list', fault }]);
      const outcomes = await drain(stack.addActions(5), stack.addActions(5, { status: 'Succeeded' }));
      assert.deepEqual(outcomes, { cancelled: 5, already_final: 5 });
      assert.equal(calls('cancel'), 10);
      assert.ok(calls('list') <= 2, 'it is left alone for a while');
    });
  }
});
