import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { guidToBytes } from '../../../src/base/guid.ts';
import { forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { TESTER } from '../../support/actor.ts';
import type { TestRedis } from '../../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { add, ask, type Place, readStream, untilEmpty, untilTold } from './support.ts';

const DAY_S = 86_400;

let server: TestRedis;
let stack: Stack;
let place: Place;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());
beforeEach(async () => {
  // One call, which the first id of each test may use: what is open then stays open.
  stack = await openStack(server, { limits: '100/1s,1/1h' });
  place = { redis: stack.redis, keys: stack.tenant.keys };
});
afterEach(() => stack.close());

const ttl = (id: string) => stack.redis.ttl(place.keys.outcome(id));

/** An id that was asked for through the inbox and ended as withdrawn in `first`. */
async function withdrawn(): Promise<string> {
  const [id = ''] = stack.addActions(1);
  await stack.submit([], 'first');
  await steer(stack.tenant, 'first', 'pause', TESTER);
  await stack.startWorker();
  await add(place, { machineActionId: id, campaign: 'first' });
  await untilEmpty(place);
  await steer(stack.tenant, 'first', 'abort', TESTER);
  assert.equal((await untilTold(place, id))['outcome'], 'withdrawn');
  assert.ok((await ttl(id)) <= DAY_S);
  return id;
}

async function openPaused(name: string): Promise<void> {
  await stack.submit([], name);
  await steer(stack.tenant, name, 'pause', TESTER);
}

async function assertOpen(id: string): Promise<void> {
  assert.deepEqual(await ask(place, id), { outcome: null });
  assert.ok((await ttl(id)) > 29 * DAY_S, `${await ttl(id)}`);
}

/** The generation that is open now is told, also to those who ask by the key. */
async function assertNextTold(id: string, outcome: string): Promise<void> {
  const told = await untilTold(place, id);
  assert.deepEqual([told['outcome'], told['generation']], [outcome, 2]);
  const all = await readStream(place, place.keys.outcomes);
  assert.deepEqual(
    all.map(({ generation }) => generation),
    ['1', '2'],
    'each once',
  );
}

describe('an id that was told and is opened again', () => {
  it('by an entry for another campaign, has no outcome until it has the next', async () => {
    const id = await withdrawn();
    await openPaused('second');
    await add(place, { machineActionId: id, campaign: 'second' });
    await untilEmpty(place);
    await assertOpen(id);
    await steer(stack.tenant, 'second', 'resume', TESTER);
    await assertNextTold(id, 'cancelled');
    assert.ok((await ttl(id)) <= DAY_S);
  });

  it('by a submit, has none', async () => {
    const id = await withdrawn();
    await openPaused('second');
    const others = stack.addActions(2_000);
    await stack.submit([...others.slice(0, 1_500), id, ...others.slice(1_500), id], 'second');
    await assertOpen(id);
    assert.equal(await stack.redis.exists(others.map(place.keys.outcome)), 0, 'nobody asked for those');
    await steer(stack.tenant, 'second', 'abort', TESTER);
    const told = await untilTold(place, id);
    assert.deepEqual([told['outcome'], told['campaign'], told['generation']], ['withdrawn', 'second', 2]);
  });

  it('by a submit, stays as it is where its outcome lasts', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.startWorker();
    await add(place, { machineActionId: id, comment: 'x' });
    assert.equal((await untilTold(place, id))['outcome'], 'cancelled');
    await openPaused('second');
    await stack.submit([id], 'second');
    assert.equal((await ask(place, id))?.['outcome'], 'cancelled');
    assert.ok((await ttl(id)) <= DAY_S);
  });

  it('by a retry, has none', async () => {
    const [id = '', unasked = ''] = stack.addActions(2);
    await stack.submit([id, unasked], 'first', { expiresAt: Date.now() + 600_000 });
    await steer(stack.tenant, 'first', 'pause', TESTER);
    await stack.startWorker();
    await add(place, { machineActionId: id, campaign: 'first' });
    await untilEmpty(place);
    const { number } = await findCampaign(stack.redis, place.keys, 'first');
    const bytes = Buffer.concat(await stack.redis.lrangeBuffer(place.keys.ids(number), 0, -1));
    await stack.tenant.ledger.end(number, bytes, 'expired');
    assert.equal((await untilTold(place, id))['outcome'], 'expired');
    assert.equal(await retryCampaign(stack.tenant, 'first', ['expired'], TESTER), 2);
    await assertOpen(id);
    assert.equal(await ask(place, unasked), null, 'nobody asked for that one');
    await steer(stack.tenant, 'first', 'abort', TESTER);
    assert.deepEqual(
      [(await untilTold(place, id))['outcome'], (await untilTold(place, id))['generation']],
      ['withdrawn', 2],
    );
  });

  it('by a job that says again, has none', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.startWorker();
    await add(place, { machineActionId: id, comment: 'x' });
    assert.equal((await untilTold(place, id))['outcome'], 'cancelled');
    await stack.enqueue({ machineActionId: id, comment: 'x', again: true, expiresAt: Date.now() + 2_000 });
    await eventually(() => assertOpen(id));
    await eventually(() => assertNextTold(id, 'expired'));
  });

  it('after its campaign was deleted, has none of before', async () => {
    const id = await withdrawn();
    const campaign = await stack
      .untilDone('first')
      .then(() => findCampaign(stack.redis, place.keys, 'first'));
    assert.ok(await forgetCampaign(stack.tenant, campaign, Date.now() + 1_000));
    await openPaused('second');
    await stack.submit([id], 'second');
    assert.equal(await ask(place, id), null);
    await add(place, { machineActionId: id, campaign: 'second' });
    await untilEmpty(place);
    await assertOpen(id);
  });
});

it('an entry that says again is told as withdrawn when the day’s single cancels were aborted', async () => {
  const [id = ''] = stack.addActions(1);
  await stack.startWorker();
  await add(place, { machineActionId: id, comment: 'x' });
  const first = await untilTold(place, id);
  await steer(stack.tenant, String(first['campaign']), 'abort', TESTER);
  const entry = await add(place, { machineActionId: id, comment: 'x', again: 'true', requestedBy: 'soar' });
  await eventually(async () => assert.equal((await ask(place, id))?.['outcome'], 'withdrawn'));
  const told = await ask(place, id);
  assert.deepEqual([told?.['generation'], told?.['requestedBy'], told?.['attempts']], [undefined, 'soar', 0]);
  assert.equal(told?.['requestedAt'], Number(entry.split('-')[0]));
  const all = (await readStream(place, place.keys.outcomes)).map(({ outcome }) => outcome);
  assert.deepEqual(all, ['cancelled', 'withdrawn'], 'once');
  assert.equal((await stack.tenant.ledger.look(guidToBytes(id)))[0]?.generation, 1, 'nothing was opened');
  const calls = stack.simulator.calls().filter(({ operation }) => operation === 'cancel');
  assert.equal(calls.length, 1);
});

describe('an id that is open', () => {
  /** In a paused campaign, without the inbox. */
  async function openId(): Promise<string> {
    const [id = ''] = stack.addActions(1);
    await openPaused('first');
    await stack.submit([id], 'first');
    await stack.startWorker();
    return id;
  }

  for (const [what, more] of [
    ['single cancel', {}],
    ['entry for its campaign', { campaign: 'first' }],
  ] as const) {
    it(`is known for 30 days from the last ${what} on`, async () => {
      const id = await openId();
      await stack.redis.set(place.keys.outcome(id), '{"outcome":null}', 'EX', 60);
      await add(place, { machineActionId: id, comment: 'x', ...more });
      await untilEmpty(place);
      await assertOpen(id);
    });

    it(`shows no outcome that an earlier version left, after a ${what}`, async () => {
      const id = await openId();
      const left = '{"machineActionId":"","generation":1,"outcome":"expired"}';
      await stack.redis.set(place.keys.outcome(id), left, 'EX', 60);
      await add(place, { machineActionId: id, comment: 'x', ...more });
      await untilEmpty(place);
      await assertOpen(id);
      await steer(stack.tenant, 'first', 'abort', TESTER);
      assert.equal((await untilTold(place, id))['outcome'], 'withdrawn');
    });
  }

  it('is awaited for as long by others when one wish for it has ended', async () => {
    const id = await openId();
    await add(place, { machineActionId: id, comment: 'x' });
    await untilEmpty(place);
    await add(place, { machineActionId: id, comment: 'x', expiresAt: String(Date.now() - 1) });
    assert.equal((await untilTold(place, id))['outcome'], 'expired');
    assert.ok((await ttl(id)) > 29 * DAY_S, 'the outcome of the id itself is still to be told by that key');
  });
});
