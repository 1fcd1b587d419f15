import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { FlowProducer, Worker } from 'bullmq';
import { guidToBytes } from '../../src/base/guid.ts';
import { openDirectCampaign } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import { createProbe, recount } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { CAMPAIGN, openStack, type Stack, type StackOptions } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const UNKNOWN = '00000000-0000-4000-8000-000000000001';

/** What other services put into the lanes, however well or badly. */
describe('jobs of other services', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  async function open(options: StackOptions = {}): Promise<Stack> {
    stack = await openStack(server, options);
    await stack.startWorker();
    return stack;
  }

  const cancels = () => stack.simulator.calls().filter(({ operation }) => operation === 'cancel').length;

  it('that are written badly end as invalid, say why, and make no call', async () => {
    await open();
    const bad: [unknown, RegExp, string?][] = [
      [{ machineActionId: 'no guid', comment: 'x' }, /machineActionId: not a GUID/],
      [{ comment: 'x' }, /machineActionId/],
      [{ machineActionId: `${UNKNOWN}/../../x`, comment: 'x' }, /machineActionId: not a GUID/],
      [{ machineActionId: UNKNOWN }, /comment: required, because DEFAULT_COMMENT is not set/],
      [{ machineActionId: UNKNOWN, comment: '  ' }, /comment: required/],
      [{ machineActionId: UNKNOWN, comment: 'x'.repeat(4_001) }, /comment/],
      [{ machineActionId: UNKNOWN, comment: 7 }, /comment/],
      [{ machineActionId: [UNKNOWN], comment: 'x' }, /machineActionId/],
      [{ v: 2, machineActionId: UNKNOWN, comment: 'x' }, /v: /],
      [{ machineActionId: UNKNOWN, comment: 'x', expiresAt: 'tomorrow' }, /expiresAt/],
      [{ machineActionId: UNKNOWN, comment: 'x', again: 'yes' }, /again/],
      [null, /data/],
      ['text', /data/],
      [[], /data/],
      [{ machineActionId: UNKNOWN, comment: 'x' }, /the job name is "other"/, 'other'],
    ];
    const jobs = await Promise.all(bad.map(([data, , name]) => stack.enqueue(data, 'cancel', name)));
    for (const [index, job] of jobs.entries()) {
      const result = await stack.result(job);
      assert.equal(result.outcome, 'invalid', JSON.stringify(bad[index]?.[0]));
      assert.match(result.errorMessage ?? '', bad[index]?.[1] ?? /$^/);
      assert.equal(result.attempts, 0);
      assert.equal(await job.getState(), 'completed');
    }
    assert.equal(cancels(), 0);
  });

  it('have a default comment where one is set', async () => {
    await open({ env: { DEFAULT_COMMENT: 'by the service' } });
    const [id = ''] = stack.addActions(1);
    const job = await stack.enqueue({ machineActionId: id });
    assert.equal((await stack.result(job)).outcome, 'cancelled');
    assert.equal(stack.simulator.callsFor(id)[0]?.comment, 'by the service');
  });

  it('may spell the id as they like, have any job id, and say who wants it', async () => {
    await open();
    const [id = ''] = stack.addActions(1);
    const data = { machineActionId: `{${id.toUpperCase()}}`, comment: 'x', requestedBy: 'soar', extra: 1 };
    const result = await stack.result(await stack.enqueue(data, 'cancel-urgent'));
    assert.deepEqual([result.machineActionId, result.outcome, result.requestedBy], [id, 'cancelled', 'soar']);
    assert.match(result.campaign, /^direct-\d{4}-\d\d-\d\d$/);
  });

  it('keep who wants it when they were begun the day before, and a campaign keeps its own', async () => {
    stack = await openStack(server);
    const { tenant, redis } = stack;
    const [late = '', submitted = ''] = stack.addActions(2);
    const at = Date.now() - 86_400_000;
    const yesterday = await openDirectCampaign(redis, tenant.keys, at);
    const probe = createProbe(tenant);
    const given = await probe.grant(guidToBytes(late), yesterday.number, { register: true });
    const verdict = { kind: 'wait', delayMs: 0, detail: {} } as const;
    await probe.finish(guidToBytes(late), yesterday.number, given, { slotFate: 'unsent', verdict });
    await stack.submit([submitted], CAMPAIGN, { requestedBy: 'alice' });
    await steer(tenant, CAMPAIGN, 'pause', TESTER);
    await stack.startWorker();
    const ask = (id: string) =>
      stack.enqueue({ machineActionId: id, comment: 'x', requestedBy: 'soar' }).then(stack.result);
    const result = await ask(late);
    assert.deepEqual(
      [result.campaign, result.requestedBy],
      [`direct-${new Date(at).toISOString().slice(0, 10)}`, 'soar'],
    );
    const owned = stack.enqueue({ machineActionId: submitted, comment: 'x', requestedBy: 'soar' });
    await steer(tenant, CAMPAIGN, 'resume', TESTER);
    assert.equal((await stack.result(await owned)).requestedBy, 'alice');
  });

  it('that ask for one action in two lanes, twice and in a campaign call it once and get the one outcome', async () => {
    await open({ simulator: { latencyMs: { min: 100, max: 100 } } });
    const [id = ''] = stack.addActions(1);
    const data = { machineActionId: id, comment: 'x' };
    await stack.submit([id]);
    const jobs = await Promise.all([
      stack.enqueue(data),
      stack.enqueue(data),
      stack.enqueue(data, 'cancel-urgent'),
    ]);
    const results = await Promise.all(jobs.map((job) => stack.result(job)));
    for (const result of results) assert.deepEqual(result, results[0]);
    assert.equal(results[0]?.outcome, 'cancelled');
    assert.equal(results[0]?.campaign, CAMPAIGN, 'the campaign owns it');
    await stack.untilDone();
    assert.equal(cancels(), 1);
    await recount(stack.tenant, 1);
  });

  it('that ask again get another call; that ask only once more get the outcome there is', async () => {
    await open();
    const data = { machineActionId: UNKNOWN, comment: 'x' };
    const first = await stack.result(await stack.enqueue(data));
    assert.equal(first.outcome, 'not_found');
    assert.deepEqual(await stack.result(await stack.enqueue(data)), first);
    assert.equal(cancels(), 1);
    stack.simulator.addActions([{ id: UNKNOWN }]);
    const again = await stack.result(await stack.enqueue({ ...data, again: true }));
    assert.equal(again.outcome, 'cancelled');
    assert.equal(cancels(), 2);
  });

  it('that ask again for a time end as expired when it is over, and nothing stays open', async () => {
    await open({ limits: '100/1s,1/1h' });
    const [id = ''] = stack.addActions(1);
    const data = { machineActionId: id, comment: 'x' };
    assert.equal((await stack.result(await stack.enqueue(data))).outcome, 'cancelled');
    const again = { ...data, again: true, expiresAt: Date.now() + 1_500, requestedBy: 'soar' };
    await stack.enqueue(again);
    const direct = `direct-${new Date().toISOString().slice(0, 10)}`;
    const line = await eventually(async () => {
      const found = (await stack.report(direct)).get(id);
      assert.equal(found?.outcome, 'expired');
      return found;
    });
    assert.equal(line.requestedBy, 'soar');
    assert.equal((await stack.status(direct)).open, 0);
    const { checking, expiries } = stack.tenant.keys;
    assert.deepEqual([await stack.redis.hlen(checking), await stack.redis.zcard(expiries)], [0, 0]);
    assert.equal(cancels(), 1);
  });

  for (const [way, opts, state] of [
    ['fails with failParentOnFailure', { failParentOnFailure: true }, 'failed'],
    ['fails with ignoreDependencyOnFailure', { ignoreDependencyOnFailure: true }, 'completed'],
    ['fails with removeDependencyOnFailure', { removeDependencyOnFailure: true }, 'completed'],
    ['fails with continueParentOnFailure', { continueParentOnFailure: true }, 'completed'],
    ['is removed', {}, 'completed'],
  ] as const) {
    it(`of which a child ${way} are ${state}, as BullMQ documents it`, async () => {
      const { tenant, redis } = await open();
      const [id = '', last = ''] = stack.addActions(2);
      const place = { connection: redis, prefix: tenant.keys.prefix };
      const flows = new FlowProducer(place);
      const { job, children } = await flows.add({
        name: 'cancel',
        queueName: 'cancel',
        data: { machineActionId: id, comment: 'x' },
        children: [{ name: 'before', queueName: 'service', data: {}, opts }],
      });
      const fail = () => Promise.reject(new Error('no'));
      const child =
        way === 'is removed'
          ? null
          : new Worker('service', fail, { ...place, connection: await server.connect('worker') });
      try {
        if (child === null) await children?.[0]?.job.remove();
        await eventually(async () => assert.equal(await job.getState(), state));
        assert.equal(cancels(), state === 'failed' ? 0 : 1);
        const { failedReason, returnvalue } = await redis.hgetall(tenant.keys.lane('cancel', job.id ?? ''));
        if (state === 'failed')
          assert.match(failedReason ?? '', /^child \{standdown:.*\}:service:\S+ failed$/);
        else assert.equal(JSON.parse(returnvalue ?? '{}').outcome, 'cancelled');
        // Nothing is kept from those behind it.
        const behind = await stack.enqueue({ machineActionId: last, comment: 'x' });
        assert.equal((await stack.result(behind)).outcome, 'cancelled');
      } finally {
        await child?.close();
        await flows.close();
      }
    });
  }

  it('that another worker found stalled too often are called all the same', async () => {
    await open();
    const [id = ''] = stack.addActions(1);
    const job = await stack.enqueue({ machineActionId: id, comment: 'x' }, 'cancel', 'cancel', {
      delay: 600_000,
    });
    const hash = stack.tenant.keys.lane('cancel', job.id ?? '');
    await stack.redis.hset(hash, 'defa', 'job stalled more than allowable limit');
    await job.promote();
    assert.equal((await stack.result(job)).outcome, 'cancelled');
  });

  it('that come too late end as expired, without a call', async () => {
    await open();
    const [id = ''] = stack.addActions(1);
    const data = { machineActionId: id, comment: 'x', expiresAt: new Date(Date.now() - 1_000).toISOString() };
    assert.equal((await stack.result(await stack.enqueue(data))).outcome, 'expired');
    assert.equal(cancels(), 0);
  });

  it('that once had a time and then none leave nothing of it behind', async () => {
    await open({ limits: '100/1s,1/1h', env: { URGENT_RESERVE: 'none' } });
    const [used = '', id = ''] = stack.addActions(2);
    await stack.result(await stack.enqueue({ machineActionId: used, comment: 'x' }));
    const { checking, expiries } = stack.tenant.keys;
    await stack.enqueue({ machineActionId: id, comment: 'x', expiresAt: Date.now() + 600_000 });
    await eventually(async () => assert.equal(await stack.redis.hlen(checking), 1));
    await stack.enqueue({ machineActionId: id, comment: 'x' }, 'cancel-urgent');
    await eventually(async () => assert.equal(await stack.redis.zcard(expiries), 0));
    assert.equal(await stack.redis.hlen(checking), 0);
  });

  it('end as expired on time while nothing may go out', async () => {
    await open({ limits: '100/1s,1/1h', env: { URGENT_RESERVE: 'none' } });
    const [used = '', late = ''] = stack.addActions(2);
    await stack.result(await stack.enqueue({ machineActionId: used, comment: 'x' }));
    const expiresAt = Date.now() + 1_500;
    const wish = { machineActionId: late, comment: 'x', expiresAt, requestedBy: 'soar' };
    const asked = await stack.enqueue(wish);
    const line = await eventually(async () => {
      const found = (await stack.report(`direct-${new Date().toISOString().slice(0, 10)}`)).get(late);
      assert.equal(found?.outcome, 'expired');
      return found;
    });
    assert.ok(Date.parse(line?.decidedAt ?? '') >= expiresAt, 'not a moment too soon');
    assert.deepEqual(
      [line?.requestedBy, Date.parse(line?.requestedAt ?? '')],
      ['soar', asked.timestamp],
      'whose it was and when it was asked for is not lost',
    );
    assert.equal(await stack.redis.hlen(stack.tenant.keys.checking), 0);
    assert.equal(cancels(), 1);
  });
});

describe('steering', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  it('a paused campaign makes no call, holds up no other, and goes on where it was', async () => {
    stack = await openStack(server);
    const paused = stack.addActions(20);
    await stack.submit(paused, 'paused');
    await steer(stack.tenant, 'paused', 'pause', TESTER);
    await stack.startWorker();
    await stack.submit(stack.addActions(20), 'other');
    await stack.untilDone('other');
    assert.equal((await stack.status('paused')).open, 20);
    assert.ok(paused.every((id) => stack.simulator.callsFor(id).length === 0));
    await steer(stack.tenant, 'paused', 'resume', TESTER);
    await eventually(async () => assert.ok((await stack.status('paused')).open < 20));
    assert.deepEqual((await stack.untilDone('paused')).outcomes, { cancelled: 20 });
    await recount(stack.tenant, 1);
  });

  it('an aborted campaign ends at once, also while nothing may go out; calls in flight count', async () => {
    stack = await openStack(server, { limits: '2/1h', env: { URGENT_RESERVE: 'none' } });
    await stack.startWorker();
    await stack.submit(stack.addActions(1_500));
    await eventually(async () => assert.equal((await stack.status()).outcomes.cancelled, 2));
    await steer(stack.tenant, CAMPAIGN, 'abort', TESTER);
    const { outcomes, state } = await stack.untilDone();
    assert.deepEqual([outcomes, state], [{ cancelled: 2, withdrawn: 1_498 }, 'aborted']);
    await recount(stack.tenant, 1);
    assert.equal(stack.simulator.calls().filter(({ operation }) => operation === 'cancel').length, 2);
  });

  it('a campaign whose time passes while nothing may go out ends as expired on time', async () => {
    stack = await openStack(server, { limits: '2/1h', env: { URGENT_RESERVE: 'none' } });
    await stack.startWorker();
    const expiresAt = Date.now() + 6_000;
    await stack.submit(stack.addActions(300), CAMPAIGN, { expiresAt });
    await eventually(async () => assert.equal((await stack.status()).outcomes.cancelled, 2));
    const { outcomes, state } = await stack.untilDone();
    assert.deepEqual([outcomes, state], [{ cancelled: 2, expired: 298 }, 'expired']);
    for (const line of (await stack.report()).values()) {
      if (line.outcome !== 'expired') continue;
      assert.ok(Date.parse(line.decidedAt) >= expiresAt, 'not a moment too soon');
    }
    await recount(stack.tenant, 1);
  });

  it('a service’s job for a paused campaign goes on at once when it is resumed; what its producer delayed does not', async () => {
    stack = await openStack(server);
    const [id = '', later = ''] = stack.addActions(2);
    await stack.submit([id], 'paused');
    await steer(stack.tenant, 'paused', 'pause', TESTER);
    await stack.startWorker();
    const job = await stack.enqueue({ machineActionId: id, comment: 'x' });
    await eventually(async () => assert.equal(await job.getState(), 'delayed'));
    const delayed = await stack.enqueue({ machineActionId: later, comment: 'x' }, 'cancel', 'cancel', {
      delay: 600_000,
    });
    await steer(stack.tenant, 'paused', 'resume', TESTER);
    assert.equal((await stack.result(job)).outcome, 'cancelled');
    assert.equal(await delayed.getState(), 'delayed');
  });

  it('jobs that need no call do not wear out BullMQ’s limiter', async () => {
    stack = await openStack(server, { limits: '20/1h', env: { URGENT_RESERVE: 'none' } });
    await stack.startWorker();
    const jobs = await Promise.all(
      Array.from({ length: 100 }, () => stack.enqueue({ machineActionId: 'bad', comment: 'x' })),
    );
    for (const job of jobs) assert.equal((await stack.result(job)).outcome, 'invalid');
    const [id = ''] = stack.addActions(1);
    const good = await stack.enqueue({ machineActionId: id, comment: 'x' });
    assert.equal((await stack.result(good)).outcome, 'cancelled');
  });
});
