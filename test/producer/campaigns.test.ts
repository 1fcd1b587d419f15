import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guidToBytes } from '../../src/base/guid.ts';
import type { Followed, StanddownError } from '../../src/index.ts';
import { forgetCampaign } from '../../src/store/campaign/forget.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { retryCampaign, steer } from '../../src/store/campaign/steer.ts';
import { BATCH_IDS } from '../../src/store/ledger/batch.ts';
import { TESTER } from '../support/actor.ts';
import { eventually } from '../support/wait.ts';
import { all, openFor, openService } from './support/producers.ts';

const WISH = { campaign: 'undo', comment: 'Started by mistake' };

test('ids of any source become a campaign, whose outcomes are followed to its end', async (t) => {
  const { stack, producer } = await openService(t);
  const ids = stack.addActions(300);
  const source = async function* () {
    yield ids[0] ?? '';
    yield ids.slice(1, 200).map((id) => `{${id.toUpperCase()}}`);
    yield* ids.slice(200);
  };
  const summary = await producer.submit(source(), {
    ...WISH,
    priority: 2,
    requestedBy: 'soar',
    expected: 300,
  });
  const { accepted, already, created, priority } = summary;
  assert.deepEqual([accepted, already, created, priority], [300, 0, true, 2]);
  const outcomes = await all(producer.follow('undo'));
  assert.deepEqual(
    outcomes.map(({ position }) => position),
    ids.map((_, index) => index + 1),
  );
  assert.deepEqual(outcomes.map(({ result }) => result.machineActionId).sort(), [...ids].sort());
  assert.ok(outcomes.every(({ result }) => result.outcome === 'cancelled' && result.requestedBy === 'soar'));
  const status = await producer.status('undo');
  assert.deepEqual([status.state, status.total, status.outcomes], ['done', 300, { cancelled: 300 }]);

  const again = await producer.submit(ids, WISH);
  assert.deepEqual([again.accepted, again.already, again.created], [0, 300, false]);
});

test('following goes on from a position, and sees retried and verified results as such', async (t) => {
  const { stack, producer, place } = await openService(t);
  const missing = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
  await producer.submit(missing, WISH);
  const first = await all(producer.follow('undo'));
  assert.deepEqual(
    first.map(({ result, generation }) => [result.outcome, generation]),
    [
      ['not_found', 1],
      ['not_found', 1],
    ],
  );
  assert.deepEqual(await all(producer.follow('undo', { from: 2 })), [], 'nothing is open');
  assert.deepEqual(await all(producer.follow('undo', { from: 1 })), first.slice(1));

  const staying = producer.follow('undo', { from: 2, stay: true });
  const next = staying.next();
  stack.simulator.addActions(missing.map((id) => ({ id })));
  await retryCampaign(stack.tenant, 'undo', ['not_found'], TESTER);
  const retried = [(await next).value as Followed, (await staying.next()).value as Followed];
  assert.deepEqual(
    retried.map(({ position, generation, result }) => [position, generation, result.outcome]),
    [
      [3, 2, 'cancelled'],
      [4, 2, 'cancelled'],
    ],
  );
  const { ledger } = stack.tenant;
  const [missed = ''] = missing;
  const id = guidToBytes(missed);
  const [record] = await ledger.look(id);
  const decidedAt = Date.parse(retried[0]?.result.decidedAt ?? '');
  const verifying = staying.next();
  const input = { id, campaign: 1, position: record?.position ?? 0, decidedAt };
  await ledger.verify({ ...input, detail: { verifiedAt: Date.now() } });
  const { position, isVerification, result } = (await verifying).value as Followed;
  assert.deepEqual([position, isVerification, result.machineActionId], [5, true, missed]);
  await staying.return();
  const other = await openFor(t, place);
  assert.equal((await all(other.follow('undo', { from: 2 }))).length, 3);
});

test('following ends by signal, by closing and when there is no such campaign', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  await producer.submit(stack.addActions(1), WISH);
  const stop = new AbortController();
  const reason = new Error('enough');
  const stopped = assert.rejects(
    all(producer.follow('undo', { signal: stop.signal })),
    (error) => error === reason,
  );
  const closed = assert.rejects(all(producer.follow('undo')), { code: 'CLOSED' });
  const names = async () =>
    String(await stack.redis.client('LIST')).match(/name=standdown-producer-follow/g)?.length;
  await eventually(async () => assert.ok(((await names()) ?? 0) >= 2));
  stop.abort(reason);
  await stopped;
  await assert.rejects(all(producer.follow('undo', { signal: stop.signal })), (error) => error === reason);
  await assert.rejects(all(producer.follow('other')), { code: 'CAMPAIGN_UNKNOWN' });
  await assert.rejects(all(producer.follow('undo', { from: -1 })), { code: 'USAGE' });
  await assert.rejects(producer.status('other'), { code: 'CAMPAIGN_UNKNOWN' });
  await producer.close();
  await closed;
});

test('what is urgent waits for no look of a worker, and overtakes what waits in another campaign', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  const { redis, tenant } = stack;
  const { keys } = tenant;
  const said = { 'opts.maxLenEvents': '1000' };
  await redis.hset(keys.lane('cancel-urgent', 'meta'), said);
  const ids = stack.addActions(60);
  await producer.submit(ids, { ...WISH, campaign: 'bulk' });
  const wish = { ...WISH, priority: 'urgent' } as const;
  const more = stack.addActions(120);
  const summary = await producer.submit([...ids.slice(50), ...more], wish);
  assert.deepEqual([summary.priority, summary.accepted], [0, more.length]);
  assert.deepEqual(summary.tracked, [{ campaign: 'bulk', outcome: null, state: 'running', count: 10 }]);
  const wait = keys.lane('cancel-urgent', 'wait');
  assert.equal(await redis.llen(wait), 100, 'the first are in the lane before it resolves');
  assert.deepEqual(await redis.hgetall(keys.lane('cancel-urgent', 'meta')), said, 'as the workers said');

  // One that exists keeps its priority.
  const kept = await producer.submit(ids, { ...wish, campaign: 'bulk' });
  assert.deepEqual([kept.created, kept.priority], [false, 5]);
  assert.equal(await redis.llen(wait), 100);

  await stack.startWorker();
  assert.equal((await all(producer.follow('undo'))).length, more.length);
  await stack.untilDone('bulk');
  for (const id of [...ids, ...more])
    assert.equal(stack.simulator.callsFor(id).length, 1, 'each is called once');
});

test('following never goes over to another campaign that has the name by now', async (t) => {
  const { stack, producer } = await openService(t);
  const { redis, tenant } = stack;
  await producer.submit(stack.addActions(2), WISH);
  await stack.untilDone('undo');
  const following = producer.follow('undo', { stay: true });
  await following.next();
  await following.next();
  const before = await findCampaign(redis, tenant.keys, 'undo');
  assert.ok(await forgetCampaign(tenant, before, Date.now() + 60_000));
  await producer.submit(stack.addActions(3), WISH);
  await stack.untilDone('undo');
  await assert.rejects(following.next(), { code: 'CAMPAIGN_UNKNOWN', message: /deleted/ });
  assert.equal((await all(producer.follow('undo'))).length, 3);
});

test('following ends although somebody has taken results away, and stays when told to', async (t) => {
  const { stack, producer } = await openService(t);
  const { redis, tenant } = stack;
  await producer.submit(stack.addActions(3), WISH);
  await stack.untilDone('undo');
  await redis.xdel(tenant.keys.results(1), '3-0');
  const signal = AbortSignal.timeout(60_000);
  const positions = async (from: number) =>
    (await all(producer.follow('undo', { from, signal }))).map(({ position }) => position);
  assert.deepEqual(await positions(0), [1, 2]);
  assert.deepEqual(await positions(2), []);
  const staying = producer.follow('undo', { from: 2, stay: true, signal });
  const next = staying.next();
  await producer.submit(stack.addActions(1), WISH);
  assert.equal((await next).value?.position, 4);
  await staying.return();
});

test('what is wrong with a campaign is said with a code, and what its source throws is its own', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  const ids = stack.addActions(3);
  const wrong: [more: object, code: string, says: RegExp][] = [
    [{ comment: ' ' }, 'USAGE', /comment/],
    [{ comment: 'x'.repeat(4_001) }, 'INPUT_INVALID', /comment/],
    [{ campaign: 'direct-x' }, 'USAGE', /direct-/],
    [{ campaign: 7 }, 'INPUT_INVALID', /campaign/],
    [{ priority: 10 }, 'INPUT_INVALID', /priority: must be "urgent" or a whole number from 1 to 9/],
    [{ priority: 0 }, 'INPUT_INVALID', /priority/],
    [{ priority: 'high' }, 'INPUT_INVALID', /priority/],
    [{ expiresAt: new Date('never') }, 'INPUT_INVALID', /expiresAt/],
    [{ requestedBy: '' }, 'INPUT_INVALID', /requestedBy/],
  ];
  for (const [more, code, says] of wrong) {
    await assert.rejects(producer.submit(ids, { ...WISH, ...more }), (error: StanddownError) => {
      assert.deepEqual([error.name, error.code], ['StanddownError', code]);
      assert.match(error.message, says);
      return true;
    });
  }
  assert.equal(await stack.redis.exists(stack.tenant.keys.campaigns), 0, 'no campaign was opened');

  await assert.rejects(producer.submit([...ids, 'no guid'], WISH), (error: StanddownError) => {
    assert.deepEqual([error.code, error.context], ['INPUT_INVALID', { place: 4 }]);
    return true;
  });
  const broken = new Error('the file is gone');
  const failing = async function* () {
    yield ids;
    throw broken;
  };
  await assert.rejects(producer.submit(failing(), WISH), (error) => error === broken);
  const stop = new AbortController();
  stop.abort(broken);
  await assert.rejects(producer.submit(ids, { ...WISH, signal: stop.signal }), (error) => error === broken);
  await producer.submit(ids, WISH);
  await steer(stack.tenant, 'undo', 'abort', TESTER);
  await assert.rejects(producer.submit(ids, WISH), { code: 'CAMPAIGN_CLOSED' });
});

test('ids are taken no faster than Redis takes them', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  const { keys } = stack.tenant;
  const all_ = 10 * BATCH_IDS;
  let farthest = 0;
  const source = async function* () {
    for (let taken = 0; taken < all_; taken++) {
      // Right before a thousand is full the ones before it must have arrived.
      if (taken % BATCH_IDS === BATCH_IDS - 1) {
        farthest = Math.max(farthest, taken - (await stack.redis.llen(keys.ids(1))));
      }
      yield `00000000-0000-4000-8000-${taken.toString(16).padStart(12, '0')}`;
    }
  };
  assert.equal((await producer.submit(source(), WISH)).accepted, all_);
  assert.ok(farthest > 0 && farthest <= BATCH_IDS, `${farthest} ids ahead of Redis`);
});
