import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { CancelResult } from '../../src/base/outcome.ts';
import { forgetCampaign } from '../../src/store/campaign/forget.ts';
import { directName, findCampaign } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { add, untilTold } from '../queue/inbox/support.ts';
import { TESTER } from '../support/actor.ts';
import { recount } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { skipGrace } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

let server: TestRedis;
before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('single cancels are called whatever became of the campaign that they were booked in, until somebody aborts it', async (t) => {
  const stack = await openStack(server);
  t.after(() => stack.close());
  const { redis, tenant } = stack;
  const { keys } = tenant;
  const name = directName(Date.now());
  await stack.startWorker();

  /** One in each lane. */
  async function askBoth(): Promise<void> {
    const [normal = '', urgent = ''] = stack.addActions(2);
    const jobs = [
      await stack.enqueue({ machineActionId: normal, comment: 'x' }),
      await stack.enqueue({ machineActionId: urgent, comment: 'x' }, 'cancel-urgent'),
    ];
    for (const { outcome, campaign } of await Promise.all(jobs.map((job) => stack.result(job))))
      assert.deepEqual([outcome, campaign], ['cancelled', name]);
  }

  /** One by each way, and one that cannot be read. */
  async function askAll(): Promise<void> {
    const [inbox = ''] = stack.addActions(1);
    await add(tenant, { machineActionId: inbox, comment: 'x' });
    await askBoth();
    const told = await untilTold(tenant, inbox);
    assert.deepEqual([told['outcome'], told['campaign']], ['cancelled', name]);
    const bad = await stack.result(await stack.enqueue({ comment: 'x' }));
    assert.deepEqual([bad.outcome, bad.campaign], ['invalid', name]);
    const { number } = await findCampaign(redis, keys, name);
    await recount(tenant, number);
  }

  await askAll();
  assert.equal((await findCampaign(redis, keys, name)).number, 1);

  // As FLUSHALL does, for this tenant; and its number is another one's by then.
  await redis.unlink(...(await redis.keys(`${keys.prefix}:*`)));
  await skipGrace(redis, keys);
  const [owned = '', held = ''] = stack.addActions(2);
  await stack.submit([owned, held], 'named');
  await steer(tenant, 'named', 'pause', TESTER);
  await askAll();
  const named = await findCampaign(redis, keys, 'named');
  assert.deepEqual([named.number, named.total, named.open], [1, 2, 2]);
  await steer(tenant, 'named', 'resume', TESTER);
  const result: CancelResult = await stack.result(
    await stack.enqueue({ machineActionId: owned, comment: 'x' }),
  );
  assert.deepEqual([result.outcome, result.campaign], ['cancelled', 'named']);

  // As `delete` does, while more of them come.
  await Promise.all([deleteIt(stack, name), askBoth(), askBoth(), askBoth()]);
  await askBoth();
  await deleteIt(stack, name);
  await askAll();

  await steer(tenant, name, 'abort', TESTER);
  const [refused = ''] = stack.addActions(1);
  const withdrawn = await stack.result(await stack.enqueue({ machineActionId: refused, comment: 'x' }));
  assert.deepEqual([withdrawn.outcome, withdrawn.campaign], ['withdrawn', name]);
  assert.equal(stack.simulator.callsFor(refused).length, 0);
});

/** Waits until nothing of it is open for that one moment that it takes. */
async function deleteIt({ redis, tenant }: Stack, name: string): Promise<void> {
  await eventually(async () => {
    const campaign = await findCampaign(redis, tenant.keys, name);
    assert.ok(await forgetCampaign(tenant, campaign, Number.MAX_SAFE_INTEGER));
  });
}
