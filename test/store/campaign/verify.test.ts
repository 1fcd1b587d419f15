import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { openReader } from '../../../src/app/reader.ts';
import { readConfig } from '../../../src/config/config.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { isStopped } from '../../../src/store/campaign/status.ts';
import { retryCampaign } from '../../../src/store/campaign/steer.ts';
import { verifyCampaign } from '../../../src/worker/verify.ts';
import { TESTER } from '../../support/actor.ts';
import { recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { CAMPAIGN, openStack, type Stack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';

describe('verify', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  const campaign = () => findCampaign(stack.redis, stack.tenant.keys, CAMPAIGN);
  const lists = () => stack.simulator.calls().filter(({ operation }) => operation === 'list').length;

  async function verify() {
    const hooks = { signal: new AbortController().signal, onWait: () => undefined };
    const { reader, close } = openReader(readConfig(stack.env), stack.tenant, hooks);
    try {
      return await verifyCampaign({ ...stack.tenant, reader, wall: Date.now }, await campaign());
    } finally {
      await close();
    }
  }

  it('tells what was accepted and cancelled later from what was not, about 100 ids a call', async () => {
    stack = await openStack(server, { simulator: { behaviour: { cancelled: 'later', laterMs: 500 } } });
    const ids = stack.addActions(150);
    await stack.startWorker();
    await stack.submit(ids);
    assert.deepEqual((await stack.untilDone()).outcomes, { accepted: 150 });
    assert.equal(await isStopped(stack.tenant, await campaign()), false);
    await eventually(() => {
      for (const id of ids) assert.equal(stack.simulator.action(id)?.status, 'Cancelled');
    });
    const before = await stack.report();
    const { asked, noted, absent, states } = await verify();
    assert.deepEqual([asked, noted, absent, [...states]], [150, 150, 0, [['Cancelled', 150]]]);
    assert.equal(lists(), 2);
    for (const [id, line] of await stack.report()) {
      assert.deepEqual([line.outcome, line.action?.status], ['accepted', 'Cancelled']);
      assert.ok(line.verifiedAt);
      const { verifiedAt: _, action: _now, ...rest } = line;
      const { action: _then, ...was } = before.get(id) ?? line;
      assert.deepEqual(rest, was, 'nothing else of it changed');
    }
    assert.equal(await isStopped(stack.tenant, await campaign()), true);
    await recount(stack.tenant, 1);
  });

  it('leaves alone what no call was made for, and does not ask again for what is final', async () => {
    stack = await openStack(server);
    await stack.startWorker();
    const unknown = '00000000-0000-4000-8000-000000000003';
    await stack.submit([...stack.addActions(3), unknown]);
    await stack.untilDone();
    const first = await verify();
    assert.deepEqual([first.asked, first.noted, first.absent], [4, 3, 1]);
    const second = await verify();
    assert.deepEqual([second.asked, second.noted, second.absent], [1, 0, 1], 'only what was not listed');
    const line = (await stack.report()).get(unknown);
    assert.deepEqual([line?.outcome, line?.verifiedAt], ['not_found', undefined]);
    await recount(stack.tenant, 1);
  });

  it('of a retried id shows the newest outcome, and counts exactly', async () => {
    stack = await openStack(server);
    await stack.startWorker();
    const [id = ''] = stack.addActions(1);
    await stack.submit([id]);
    await stack.untilDone();
    await verify();
    await retryCampaign(stack.tenant, CAMPAIGN, ['cancelled'], TESTER);
    assert.equal((await campaign()).stopped, 0);
    assert.deepEqual((await stack.untilDone()).outcomes, { already_final: 1 });
    const line = (await stack.report()).get(id);
    assert.deepEqual([line?.outcome, line?.verifiedAt], ['already_final', undefined]);
    assert.equal((await campaign()).stopped, 1, 'it is cancelled all the same');
    await recount(stack.tenant, 1);
  });

  it('is done by a worker once a campaign is drained', async () => {
    stack = await openStack(server, { simulator: { behaviour: { cancelled: 'later', laterMs: 300 } } });
    await stack.startWorker({}, { verify: true });
    await stack.submit(stack.addActions(5));
    await stack.untilDone();
    await eventually(async () => assert.ok((await campaign()).verification));
    const found = await campaign();
    assert.deepEqual([found.stopped, found.verification?.unsettled], [5, 0]);
    const read = lists();
    assert.equal(found.verification?.results, found.results);
    await recount(stack.tenant, 1);
    assert.equal(read, 1, 'and not again');
  });

  it('says which permission is missing', async () => {
    stack = await openStack(server, { simulator: { roles: ['Machine.Isolate'] } });
    await stack.startWorker();
    await stack.submit(stack.addActions(1));
    await stack.untilDone();
    await assert.rejects(verify(), { code: 'NOT_PERMITTED', message: /Machine\.Read\.All/ });
  });
});
