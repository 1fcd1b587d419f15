import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { readAudit } from '../../../src/store/campaign/audit.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { steer } from '../../../src/store/campaign/steer.ts';
import { TESTER } from '../../support/actor.ts';
import { recount } from '../../support/ledger.ts';
import type { TestRedis } from '../../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { add, ask, type Place, readStream, rejections, untilEmpty, untilTold } from './support.ts';

let server: TestRedis;
let stack: Stack;
let place: Place;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());
beforeEach(async () => {
  stack = await openStack(server, { env: { DEFAULT_COMMENT: undefined } });
  place = { redis: stack.redis, keys: stack.tenant.keys };
});
afterEach(() => stack.close());

function cancels(): string[] {
  return stack.simulator
    .calls()
    .filter((call) => call.operation === 'cancel')
    .map((call) => String(call.id));
}

const outcomes = () => readStream(place, place.keys.outcomes);

describe('single cancels', () => {
  it('are called, and told in the stream and by their key', async () => {
    const [id = ''] = stack.addActions(1);
    await add(place, {
      machineActionId: id.toUpperCase(),
      comment: 'x',
      requestedBy: 'portal',
      color: 'red',
    });
    await stack.startWorker();
    const told = await untilTold(place, id);
    const { decidedAt, requestedAt, campaign, ...rest } = told;
    assert.deepEqual(rest, {
      machineActionId: id,
      generation: 1,
      outcome: 'cancelled',
      attempts: 1,
      uncertain: false,
      httpStatus: 200,
      status: 'Cancelled',
      requestedBy: 'portal',
    });
    assert.match(String(campaign), /^direct-/);
    assert.ok(Number(decidedAt) >= Number(requestedAt));
    const [entry, ...others] = await outcomes();
    assert.deepEqual([entry?.['machineActionId'], entry?.['outcome'], others.length], [id, 'cancelled', 0]);
    await untilEmpty(place);
    const ttl = await stack.redis.ttl(place.keys.outcome(id));
    assert.ok(ttl > 86_000 && ttl <= 86_400, `${ttl}`);
    await eventually(async () => {
      assert.deepEqual(await stack.redis.keys(`${place.keys.prefix}:cancel:inbox-*`), []);
    });
  });

  it('that are urgent go the urgent way', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.startWorker();
    await add(place, { machineActionId: id, comment: 'x', priority: 'urgent' });
    await untilTold(place, id);
    assert.equal(await stack.redis.get(place.keys.lane('cancel-urgent', 'id')), '1');
    assert.equal(await stack.redis.get(place.keys.lane('cancel', 'id')), null);
  });

  it('for an id that has an outcome get that one, without a job', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.submit([id]);
    await stack.startWorker();
    await stack.untilDone();
    assert.equal(await ask(place, id), null, 'nobody asked for it by its key');
    await add(place, { machineActionId: id, comment: 'x' });
    assert.equal((await untilTold(place, id))['campaign'], 'campaign');
    await untilEmpty(place);
    assert.deepEqual(
      (await outcomes()).map(({ machineActionId, outcome }) => [machineActionId, outcome]),
      [
        [id, 'cancelled'],
        [id, 'cancelled'],
      ],
      'recorded, and answered',
    );
    assert.equal(await stack.redis.exists(place.keys.lane('cancel', 'id')), 0);
    assert.equal(cancels().length, 1);
  });

  it('that say again are called once more, once', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.startWorker();
    await add(place, { machineActionId: id, comment: 'x' });
    await untilTold(place, id);
    await add(place, { machineActionId: id, comment: 'x', again: 'true' });
    await eventually(async () => assert.equal((await untilTold(place, id))['generation'], 2));
    assert.equal((await ask(place, id))?.['outcome'], 'already_final');
    assert.equal(cancels().length, 2);
  });

  it('that expire before a paused campaign goes on are told so', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.submit([id]);
    await steer(stack.tenant, 'campaign', 'pause', TESTER);
    await stack.startWorker();
    await add(place, { machineActionId: id, comment: 'x', expiresAt: String(Date.now() - 1) });
    const told = await untilTold(place, id);
    assert.deepEqual(
      [told['outcome'], told['campaign'], told['generation']],
      ['expired', 'campaign', undefined],
    );
    await eventually(async () => assert.equal((await outcomes()).length, 1));
    assert.equal((await stack.status()).open, 1, 'the campaign goes on');
  });

  it('are known to be open until then', async () => {
    const [id = ''] = stack.addActions(1);
    await stack.submit([id]);
    await steer(stack.tenant, 'campaign', 'pause', TESTER);
    await stack.startWorker();
    await add(place, { machineActionId: id, comment: 'x' });
    await untilEmpty(place);
    assert.deepEqual(await ask(place, id), { outcome: null });
    await steer(stack.tenant, 'campaign', 'abort', TESTER);
    assert.equal((await untilTold(place, id))['outcome'], 'withdrawn');
    assert.equal((await outcomes()).length, 1);
  });
});

describe('with a campaign', () => {
  it('ids come into it in order, and it is opened with what the first one says', async () => {
    const ids = stack.addActions(30);
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    for (const machineActionId of ids) {
      await add(place, {
        machineActionId,
        campaign: 'wave',
        comment: 'first',
        requestedBy: 'soar',
        expiresAt,
      });
    }
    await stack.startWorker();
    await untilEmpty(place);
    await stack.untilDone('wave');
    const { number, comment, requestedBy, ...campaign } = await findCampaign(stack.redis, place.keys, 'wave');
    assert.deepEqual([comment, requestedBy, campaign.expiresAt], ['first', 'soar', Date.parse(expiresAt)]);
    const listed = await stack.redis.lrangeBuffer(place.keys.ids(number), 0, -1);
    assert.deepEqual(
      listed.map((id) => id.toString('hex')),
      ids.map((id) => id.replaceAll('-', '')),
    );
    for (const id of ids) assert.equal((await untilTold(place, id))['outcome'], 'cancelled');
    assert.equal((await outcomes()).length, 30);
    await recount(stack.tenant, number);
    assert.equal(await stack.redis.exists(place.keys.lane('cancel', 'id')), 0, 'no job in the public lane');
  });

  it('an entry that asks for what a campaign cannot do is rejected', async () => {
    const ids = stack.addActions(2);
    await stack.submit(ids, 'known');
    await stack.submit([], 'closed');
    await steer(stack.tenant, 'closed', 'abort', TESTER);
    await stack.startWorker();
    const expected: [Record<string, string>, RegExp][] = [
      [{ campaign: 'a', comment: 'x', again: 'true' }, /^again: not allowed with a campaign/],
      [
        { campaign: 'a', comment: 'x', priority: 'urgent' },
        /^priority: "urgent" is not allowed with a campaign/,
      ],
      [{ campaign: 'direct-a', comment: 'x' }, /^campaign: the name must not begin with "direct-"/],
      [{ campaign: 'a' }, /^comment: required for a new campaign, because DEFAULT_COMMENT is not set$/],
      [{ campaign: 'closed', comment: 'x' }, /^campaign: "closed" is aborted and accepts no more actions/],
      [
        { campaign: 'known', expiresAt: '2030-01-01T00:00:00Z' },
        /^expiresAt: campaign "known" never expires;/,
      ],
    ];
    for (const [fields, reason] of expected) {
      const machineActionId = randomUUID();
      await add(place, { machineActionId, ...fields });
      await untilEmpty(place);
      const [said = '', ...more] = await rejections(place, machineActionId);
      assert.match(said, reason);
      assert.equal(more.length, 0);
      assert.equal(await ask(place, machineActionId), null);
    }
  });
});

it('a time that has passed is no reason to use up a campaign’s name', async () => {
  const [bad = '', good = ''] = stack.addActions(2);
  const expiresAt = String(Math.floor(Date.now() / 1_000) + 3_600);
  const wave = { comment: 'x', campaign: 'wave' };
  await add(place, { machineActionId: bad, ...wave, expiresAt });
  await add(place, { machineActionId: good, ...wave });
  const alone = { comment: 'x', campaign: 'alone', expiresAt: '2020-01-01T00:00:00Z' };
  await add(place, { machineActionId: bad, ...alone });
  await stack.startWorker();
  assert.equal((await untilTold(place, good))['outcome'], 'cancelled');
  await untilEmpty(place);
  const reasons = await rejections(place, bad);
  assert.equal(reasons.length, 2);
  for (const reason of reasons)
    assert.match(reason, /^expiresAt: in the past; a number must be in milliseconds since 1970$/);
  assert.equal(await ask(place, bad), null);
  const { state, expiresAt: ends } = await findCampaign(stack.redis, place.keys, 'wave');
  assert.deepEqual([state, ends], ['running', null]);
  assert.equal(await stack.redis.hexists(place.keys.campaigns, 'alone'), 0);
});

describe('a trickle of entries', () => {
  const TEN_MINUTES = 600_000;
  const window = () => Math.floor(Date.now() / TEN_MINUTES);

  async function send(campaign: string, ids: readonly string[], requestedBy: string): Promise<void> {
    for (const machineActionId of ids) {
      await add(place, { machineActionId, comment: 'x', campaign, requestedBy });
      await untilEmpty(place);
    }
  }

  async function history(campaign: string): Promise<string[][]> {
    const { number } = await findCampaign(stack.redis, place.keys, campaign);
    const entries = await readAudit(stack.tenant, number);
    return entries.map(({ action, by, command, detail }) => [action, by, command, detail]);
  }

  async function trickle(campaign: string): Promise<string[][]> {
    const ids = stack.addActions(7);
    await send(campaign, ids.slice(0, 3), 'soar');
    await send(campaign, ids.slice(3, 4), 'portal');
    await send(campaign, ids.slice(0, 5), 'soar');
    await steer(stack.tenant, campaign, 'pause', TESTER);
    await send(campaign, ids.slice(0, 7), 'soar');
    return history(campaign);
  }

  it('does not push out of a campaign’s history who steered it', async () => {
    await stack.startWorker();
    const began = window();
    const noted = await trickle('wave');
    // Where ten minutes end in between there are more.
    const seen = window() === began ? noted : await trickle('wave-2');
    assert.deepEqual(seen, [
      ['submit', 'portal', 'inbox', '1 action'],
      ['submit', 'soar', 'inbox', '4 actions'],
      ['pause', TESTER.by, TESTER.command, ''],
      ['submit', 'soar', 'inbox', '2 actions'],
    ]);
  });
});

it('more single cancels than the lane should hold wait in the inbox, and what is urgent passes them', async () => {
  await stack.close();
  stack = await openStack(server, { limits: '20/1m' });
  place = { redis: stack.redis, keys: stack.tenant.keys };
  const [urgent = '', forCampaign = ''] = stack.addActions(2);
  const pipeline = stack.redis.pipeline();
  for (let i = 0; i < 4_000; i++) {
    pipeline.call('XADD', place.keys.inbox, '*', 'machineActionId', randomUUID(), 'comment', 'x');
  }
  await pipeline.exec();
  await stack.startWorker({ URGENT_RESERVE: '5/1m' });
  const waiting = () => stack.redis.llen(place.keys.lane('cancel', 'wait'));
  await eventually(async () => assert.ok((await waiting()) > 1_000));
  await add(place, { machineActionId: urgent, comment: 'x', priority: 'urgent' });
  await add(place, { machineActionId: forCampaign, comment: 'x', campaign: 'wave' });
  await untilTold(place, urgent);
  await eventually(async () => assert.equal((await stack.status('wave')).total, 1));
  assert.ok((await waiting()) < 1_600, 'the lane stays short');
  assert.ok((await stack.redis.xlen(place.keys.inbox)) > 2_000);
});

it('a worker that stops leaves what it has not taken in to the next one', async () => {
  const ids = stack.addActions(1_500);
  const pipeline = stack.redis.pipeline();
  for (const id of ids) {
    pipeline.call('XADD', place.keys.inbox, '*', 'machineActionId', id, 'comment', 'x', 'campaign', 'wave');
  }
  await pipeline.exec();
  const first = await stack.startWorker();
  await eventually(async () => assert.ok((await stack.redis.xlen(place.keys.inbox)) < 1_500));
  await first.stop();
  await stack.startWorker();
  await untilEmpty(place);
  await stack.untilDone('wave');
  assert.equal((await stack.status('wave')).total, 1_500);
  assert.equal(new Set(cancels()).size, 1_500);
  assert.equal(cancels().length, 1_500);
  assert.equal((await outcomes()).length, 1_500);
});
