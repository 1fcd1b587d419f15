import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Operation } from '../../src/store/keys.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

/** Requests under an outage, with a single attempt each. */
describe('an outage', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server, { limits: '100000/1m', env: { MAX_ATTEMPTS: '1' } });
    await stack.startWorker();
  });
  afterEach(() => stack.simulator.setFaults([]));
  after(async () => {
    await stack.close();
    await server.close();
  });

  /** When calls for an id were made, on the simulator's clock. */
  const timesOf = (id: string, operation: Operation) =>
    stack.simulator
      .callsFor(id)
      .filter((call) => call.operation === operation)
      .map(({ arrivedAtMs }) => arrivedAtMs);

  async function assertEnded(campaign: string, outcome: string, ids: readonly string[]): Promise<void> {
    await stack.untilDone(campaign);
    const lines = [...(await stack.report(campaign)).values()];
    assert.equal(lines.length, ids.length);
    for (const line of lines) assert.deepEqual([line.outcome, line.attempts], [outcome, 1]);
  }

  for (const count of [1, 2, 9, 50]) {
    it(`503 with Retry-After: ${count} wait as long as told, use no attempt, and are cancelled`, async () => {
      const ids = stack.addActions(count);
      const fault = { kind: 'status', status: 503, retryAfter: '0.4' } as const;
      stack.simulator.setFaults([{ operation: 'cancel', fault }]);
      await stack.submit(ids, `busy-${count}`);
      const first = await eventually(() => {
        const called = ids.filter((id) => timesOf(id, 'cancel').length > 0);
        assert.ok(called.length >= Math.min(count, 10));
        return called;
      });
      stack.simulator.setFaults([]);
      await assertEnded(`busy-${count}`, 'cancelled', ids);
      for (const id of first) {
        const [one = 0, two = 0] = timesOf(id, 'cancel');
        assert.ok(two === 0 || two - one >= 1_000, `${two - one} ms`);
      }
    });
  }

  it('resets: probed until it is over, without using an attempt', async () => {
    const ids = stack.addActions(2);
    stack.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'reset', when: 'before' } }]);
    await stack.submit(ids, 'resets');
    await eventually(async () => assert.equal((await stack.status('resets')).hold?.reason, 'upstream'));
    stack.simulator.setFaults([]);
    await assertEnded('resets', 'cancelled', ids);
    assert.equal((await stack.status('resets')).hold, null);
  });

  it('of Get: a 400 is looked into when it is over', async () => {
    const ids = stack.addActions(2, { status: 'Succeeded' });
    const fault = { kind: 'status', status: 503, retryAfter: 1 } as const;
    stack.simulator.setFaults([{ operation: 'get', fault }]);
    await stack.submit(ids, 'get');
    await eventually(() => {
      for (const id of ids) assert.equal(timesOf(id, 'get').length, 1);
    });
    stack.simulator.setFaults([]);
    await assertEnded('get', 'already_final', ids);
    for (const id of ids) {
      const [one = 0, two = 0] = timesOf(id, 'get');
      assert.ok(two - one >= 1_000, `${two - one} ms`);
    }
  });
});
