import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { retryCampaign, steer } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { CAMPAIGN, openStack, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

/** The brake, through the whole stack. */
describe('a campaign whose cancels are refused', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  const calls = (operation: string) =>
    stack.simulator.calls().filter((call) => call.operation === operation).length;

  /**
   * Waits until it is paused and no call is in flight any more.
   *
   * @param doubted how many 403s may not have been believed before there was another token.
   */
  async function paused(words: RegExp, doubted = 0) {
    return eventually(async () => {
      const status = await stack.status();
      assert.equal(status.state, 'paused');
      assert.match(status.hold?.detail ?? '', words);
      const more = calls('cancel') - (status.outcomes.forbidden ?? 0);
      assert.ok(more >= 0 && more <= doubted, `${more} more calls`);
      return status;
    });
  }

  it('is paused among any number of ended actions, goes on with one, and with all once that is cancelled', async () => {
    stack = await openStack(server, {
      // One at a time: what is in flight when it is paused comes to an end as well.
      env: { PRECHECK: 'auto', CONCURRENCY: '1' },
      simulator: { roles: ['Machine.Read.All'] },
    });
    const ended = stack.addActions(800, { status: 'Succeeded' });
    const pending = stack.addActions(80);
    await stack.submit(pending.flatMap((id, n) => [id, ...ended.slice(10 * n, 10 * n + 10)]));
    await stack.startWorker();
    const first = await paused(/^Paused after 20 refusals in a row \(403 Forbidden: "/);
    const made = calls('cancel');
    assert.equal(made, 20);
    const detail = first.hold?.detail ?? '';
    assert.ok(detail.includes(`from ${stack.simulator.apiUrl}/api/machineactions).`), detail);
    assert.match(
      detail,
      /The token has Machine\.Read\.All only: no permission to cancel; grant one of Machine/,
    );
    assert.match(
      detail,
      /"standdown resume campaign --tenant .*"standdown retry campaign --outcome forbidden --tenant /,
    );

    await steer(stack.tenant, CAMPAIGN, 'resume', TESTER);
    await paused(/^Paused again: /, 1);
    assert.ok(calls('cancel') <= made + 2, 'one action, perhaps with another token, too');

    assert.equal(await retryCampaign(stack.tenant, CAMPAIGN, ['forbidden'], TESTER), made + 1);
    stack.simulator.setRoles(['Machine.Isolate', 'Machine.Read.All']);
    stack.simulator.revokeTokens();
    await steer(stack.tenant, CAMPAIGN, 'resume', TESTER);
    const { outcomes } = await stack.untilDone();
    assert.deepEqual(outcomes, { cancelled: 80, already_final: 800 });
  });

  it('shows why it was paused also when nothing of it is left', async () => {
    stack = await openStack(server, { simulator: { roles: [] } });
    await stack.submit(stack.addActions(20));
    await stack.startWorker();
    const status = await paused(/The token has no permissions: it cannot cancel/);
    assert.equal(status.open, 0);
  });

  it('is not asked about with Get, once a few Gets were refused, too', async () => {
    stack = await openStack(server, { env: { CONCURRENCY: '1' } });
    stack.simulator.setFaults([
      { operation: 'cancel', fault: { kind: 'status', status: 400, code: 'BadRequest' } },
      { operation: 'get', fault: { kind: 'status', status: 403, code: 'Forbidden' } },
    ]);
    await stack.submit(stack.addActions(15));
    await stack.startWorker();
    const { outcomes } = await stack.untilDone();
    assert.deepEqual([outcomes, calls('get')], [{ rejected: 15 }, 3]);
  });
});
