import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { LASTING_OUTCOMES, OUTCOMES, type Outcome } from '../../../src/base/outcome.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { createProbe, idAt, newIds, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';

/** Outcomes after which another campaign may try again. */
const REOPENING = OUTCOMES.filter((outcome) => !LASTING_OUTCOMES.includes(outcome));
const FREE = { RATE_LIMITS: '1000000/1s', URGENT_RESERVE: 'none' };

describe('submit', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
    tenant = await newTenant(redis, FREE);
    probe = createProbe(tenant);
  });
  after(() => server.close());

  it('opens an unknown id under its campaign', async () => {
    const number = await probe.campaign('unknown');
    const id = newIds(1);
    assert.deepEqual(await tenant.ledger.submit(number, id), {
      accepted: 1,
      already: 0,
      tracked: [],
      takenOver: [],
    });
    const record = await probe.look(id);
    assert.deepEqual(record, {
      state: 'open',
      campaign: number,
      generation: 1,
      position: 0,
      busy: false,
      attempts: 0,
      uncertain: false,
      stopped: false,
    });
    await recount(tenant, number);
  });

  for (const outcome of ['open', ...OUTCOMES] as const) {
    it(`leaves its own id as it is that is ${outcome}`, async () => {
      const number = await probe.campaign(`own-${outcome}`);
      const id = newIds(1);
      await tenant.ledger.submit(number, id);
      if (outcome !== 'open') await probe.decide(id, number, outcome);
      const before = await probe.look(id);
      assert.deepEqual(await tenant.ledger.submit(number, id), {
        accepted: 0,
        already: 1,
        tracked: [],
        takenOver: [],
      });
      assert.deepEqual(await probe.look(id), before);
      await recount(tenant, number);
    });
  }

  for (const outcome of ['open', ...LASTING_OUTCOMES] as const) {
    it(`tracks an id that another campaign owns and that is ${outcome}`, async () => {
      const owner = await probe.campaign(`owner-${outcome}`);
      const other = await probe.campaign(`other-${outcome}`);
      const id = newIds(1);
      await tenant.ledger.submit(owner, id);
      if (outcome !== 'open') await probe.decide(id, owner, outcome);
      const before = await probe.look(id);
      const expected = {
        accepted: 0,
        already: 0,
        tracked: [{ campaign: owner, state: outcome, count: 1 }],
        takenOver: [],
      };
      assert.deepEqual(await tenant.ledger.submit(other, id), expected);
      assert.deepEqual(await tenant.ledger.submit(other, id), expected, 'repeating changes nothing');
      assert.deepEqual(await probe.look(id), before);
      assert.deepEqual(await probe.list(other), [id.toString('hex')], 'it is listed once, for the report');
      await recount(tenant, owner);
      await recount(tenant, other);
    });
  }

  for (const outcome of REOPENING) {
    it(`takes over an id that ended in another campaign as ${outcome}`, async () => {
      const owner = await probe.campaign(`left-${outcome}`);
      const other = await probe.campaign(`took-${outcome}`);
      const id = newIds(1);
      await tenant.ledger.submit(owner, id);
      await probe.decide(id, owner, outcome);
      assert.deepEqual(await tenant.ledger.submit(other, id), {
        accepted: 1,
        already: 0,
        tracked: [],
        takenOver: [{ campaign: owner, state: outcome, count: 1 }],
      });
      const record = await probe.look(id);
      assert.equal(record?.state, 'open');
      assert.equal(record?.campaign, other);
      assert.equal(record?.generation, 2);
      assert.deepEqual(await probe.tracked(owner), [], 'its former owner does not follow it');
      const [seen] = await tenant.ledger.look(id, owner);
      assert.deepEqual(
        [seen?.state, seen?.campaign, seen?.generation],
        [outcome, owner, 1],
        'but keeps its end',
      );
      assert.equal((await probe.read(owner)).outcomes[outcome], 1);
      await recount(tenant, owner);
      await recount(tenant, other);
    });
  }

  it('lets an id wander between campaigns without listing it twice', async () => {
    const first = await probe.campaign('wander-1');
    const second = await probe.campaign('wander-2');
    const id = newIds(1);
    for (let generation = 1; generation <= 4; generation++) {
      const here = generation % 2 === 1 ? first : second;
      const count = await tenant.ledger.submit(here, id);
      assert.equal(count.accepted, 1, `generation ${generation}`);
      assert.equal((await probe.look(id))?.generation, generation);
      await probe.decide(id, here, 'unresolved');
      await recount(tenant, first);
      await recount(tenant, second);
    }
  });

  it('feeds a list again from the beginning when an id comes back to it', async () => {
    const first = await probe.campaign('back-1');
    const second = await probe.campaign('back-2');
    const id = newIds(1);
    await tenant.ledger.submit(first, id);
    await probe.decide(id, first, 'forbidden');
    await tenant.ledger.submit(second, id);
    await probe.decide(id, second, 'forbidden');
    await redis.hset(tenant.keys.campaign(first), 'cursor', 1, 'low', 1);
    await tenant.ledger.submit(first, id);
    assert.deepEqual(await redis.hmget(tenant.keys.campaign(first), 'cursor', 'low'), ['0', '0']);
  });

  it('follows what it kept when that is open or has ended well in another campaign', async () => {
    const [first, second] = [await probe.campaign('kept-1'), await probe.campaign('kept-2')];
    const id = newIds(1);
    await tenant.ledger.submit(first, id);
    await probe.decide(id, first, 'forbidden');
    await tenant.ledger.submit(second, id);
    assert.deepEqual([await probe.kept(first), await probe.tracked(first)], [[id.toString('hex')], []]);
    const { accepted, tracked } = await tenant.ledger.submit(first, id);
    assert.deepEqual([accepted, tracked], [0, [{ campaign: second, state: 'open', count: 1 }]]);
    assert.deepEqual([await probe.kept(first), await probe.tracked(first)], [[], [id.toString('hex')]]);
    assert.equal((await probe.read(first)).total, 0);
    for (const number of [first, second]) await recount(tenant, number);
  });

  it('lists an id once that comes back after the campaign that took it over was forgotten', async () => {
    const direct = await probe.campaign('kept-direct', { direct: true });
    const other = await probe.campaign('kept-other');
    const id = newIds(1);
    const options = { register: true };
    await probe.finish(id, direct, await probe.grant(id, direct, options), {
      verdict: { kind: 'decided', outcome: 'forbidden', detail: {} },
    });
    await tenant.ledger.submit(other, id);
    await probe.decide(id, other, 'cancelled');
    await redis.hset(tenant.keys.campaign(other), 'state', 'deleted');
    await tenant.ledger.forget(other, id);
    await probe.grant(id, direct, options);
    assert.deepEqual(await probe.list(direct), [id.toString('hex')]);
    await recount(tenant, direct);
  });

  it('plans by the same script, and writes nothing', async () => {
    const [first, second] = [await probe.campaign('dry-1'), await probe.campaign('dry-2')];
    const ids = newIds(4);
    await tenant.ledger.submit(first, ids.subarray(0, 48));
    await probe.decide(idAt(ids, 0), first, 'rejected');
    await probe.decide(idAt(ids, 1), first, 'cancelled');
    const planned = await tenant.ledger.plan(second, ids);
    assert.deepEqual(await probe.list(second), []);
    assert.equal((await probe.look(idAt(ids, 0)))?.campaign, first);
    assert.equal(await probe.look(idAt(ids, 3)), null);
    assert.deepEqual(await tenant.ledger.plan(null, ids), planned, 'a campaign that is not there yet');
    assert.deepEqual(await tenant.ledger.submit(second, ids), planned);
    await redis.hset(tenant.keys.campaign(second), 'state', 'aborted');
    await assert.rejects(tenant.ledger.plan(second, ids), { code: 'CAMPAIGN_CLOSED' });
  });

  it('remembers that an answer was lost', async () => {
    const owner = await probe.campaign('lost-1');
    const other = await probe.campaign('lost-2');
    const id = newIds(1);
    await tenant.ledger.submit(owner, id);
    const grant = await probe.grant(id, owner);
    const verdict = { kind: 'retry', delayMs: 0, uncertain: true, costsAttempt: true, detail: {} } as const;
    await probe.finish(id, owner, grant, { slotFate: 'lost', verdict });
    await probe.decide(id, owner, 'unresolved');
    await tenant.ledger.submit(other, id);
    assert.equal((await probe.look(id))?.uncertain, true);
  });

  it('counts an id once that is named twice, in one batch or in two', async () => {
    const number = await probe.campaign('twice');
    const ids = newIds(1_500);
    const doubled = Buffer.concat([ids, ids.subarray(0, 16), ids]);
    const count = await tenant.ledger.submit(number, doubled);
    assert.deepEqual(count, { accepted: 1_500, already: 1_501, tracked: [], takenOver: [] });
    await recount(tenant, number);
  });

  it('completes when it is run again after half of it', async () => {
    const number = await probe.campaign('half');
    const ids = newIds(3_000);
    await tenant.ledger.submit(number, ids.subarray(0, 16 * 1_234));
    const count = await tenant.ledger.submit(number, ids);
    assert.deepEqual(count, { accepted: 3_000 - 1_234, already: 1_234, tracked: [], takenOver: [] });
    const hex = Array.from({ length: 3_000 }, (_, index) => idAt(ids, index).toString('hex'));
    assert.deepEqual(await probe.list(number), hex, 'in the order of the file');
    await recount(tenant, number);
  });

  it('counts per campaign and outcome what it tracks', async () => {
    const a = await probe.campaign('many-a');
    const b = await probe.campaign('many-b');
    const c = await probe.campaign('many-c');
    const ids = newIds(6);
    await tenant.ledger.submit(a, ids.subarray(0, 48));
    await tenant.ledger.submit(b, ids.subarray(48, 80));
    await probe.decide(idAt(ids, 0), a, 'cancelled');
    const { accepted, tracked } = await tenant.ledger.submit(c, ids);
    assert.equal(accepted, 1);
    assert.deepEqual(
      tracked.sort((x, y) => x.campaign - y.campaign || x.count - y.count),
      [
        { campaign: a, state: 'cancelled', count: 1 },
        { campaign: a, state: 'open', count: 2 },
        { campaign: b, state: 'open', count: 2 },
      ],
    );
  });

  for (const state of ['aborted', 'expired', 'deleted'] as const) {
    it(`adds nothing to a campaign that is ${state}`, async () => {
      const number = await probe.campaign(`closed-${state}`);
      const id = newIds(1);
      await redis.hset(tenant.keys.campaign(number), 'state', state);
      await assert.rejects(tenant.ledger.submit(number, id), { code: 'CAMPAIGN_CLOSED' });
      assert.equal(await probe.look(id), null);
    });
  }

  it('adds to a paused campaign without letting it run', async () => {
    const number = await probe.campaign('paused');
    await redis.hset(tenant.keys.campaign(number), 'state', 'paused');
    assert.equal((await tenant.ledger.submit(number, newIds(1))).accepted, 1);
    assert.equal(await redis.zscore(tenant.keys.running, String(number)), null);
  });

  it('writes nothing at all before every owner is declared', async () => {
    // Two owners at once: the script has to be asked again for each before it may write.
    const owners = await Promise.all(['decl-1', 'decl-2'].map((name) => probe.campaign(name)));
    const target = await probe.campaign('decl-3');
    const ids = newIds(4);
    for (const [index, owner] of owners.entries()) {
      await tenant.ledger.submit(owner, idAt(ids, index));
      await probe.decide(idAt(ids, index), owner, 'rejected' satisfies Outcome);
    }
    assert.equal((await tenant.ledger.submit(target, ids)).accepted, 4);
    for (const number of [...owners, target]) await recount(tenant, number);
  });
});
