import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import { lengthen } from '../../../src/config/limits.ts';
import { TIMINGS } from '../../../src/config/timings.ts';
import { redisTime } from '../../../src/store/redis/time.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { createProbe, idAt, newIds, newRequest, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';

const FREE = { RATE_LIMITS: '1000000/1s', URGENT_RESERVE: 'none' };
/** Claims that lapse soon. */
const BRIEF = { ...FREE, CALL_TIMEOUT: '100ms' };

describe('begin', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;
  let id: Buffer;

  async function use(env: Record<string, string>): Promise<void> {
    ({ tenant, probe, number, id } = await newRequest(redis, env));
  }

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(() => use(FREE));
  after(() => server.close());

  it('takes a slot and claims the id in one step', async () => {
    const grant = await probe.grant(id, number);
    assert.deepEqual(await probe.slots(), [grant.slot]);
    assert.equal((await probe.look(id))?.busy, true);
  });

  it('refuses a second claim, of the same worker or another, while the first is live', async () => {
    await probe.grant(id, number);
    const { answer } = await probe.begin(id, number);
    assert.equal(answer.kind, 'claimed');
    assert.equal((await probe.slots()).length, 1);
  });

  for (const outcome of OUTCOMES) {
    it(`answers with the outcome ${outcome}, and takes no slot`, async () => {
      await probe.decide(id, number, outcome);
      await redis.del(tenant.keys.slots('cancel'));
      const { answer } = await probe.begin(id, number);
      assert.deepEqual(answer, { kind: 'outcome', outcome, position: 1 });
      assert.deepEqual(await probe.slots(), []);
    });
  }

  it('says that the owner is paused', async () => {
    await redis.hset(tenant.keys.campaign(number), 'state', 'paused');
    assert.deepEqual((await probe.begin(id, number)).answer, { kind: 'owner', state: 'paused' });
    assert.deepEqual(await probe.slots(), []);
  });

  for (const [state, outcome] of [
    ['aborted', 'withdrawn'],
    ['deleted', 'withdrawn'],
    ['expired', 'expired'],
  ] as const) {
    it(`ends an id whose owner is ${state} as ${outcome}, without a call`, async () => {
      await redis.hset(tenant.keys.campaign(number), 'state', state);
      assert.equal((await probe.begin(id, number)).answer.kind, 'decided');
      assert.equal((await probe.look(id))?.state, outcome);
      assert.deepEqual(await probe.slots(), []);
      await recount(tenant, number);
    });
  }

  it('ends an id whose campaign has expired, whoever notices first', async () => {
    await redis.hset(tenant.keys.campaign(number), 'expiresAt', Date.now() - 1);
    assert.equal((await probe.begin(id, number)).answer.kind, 'decided');
    assert.equal((await probe.look(id))?.state, 'expired');
  });

  it('leaves a live claim of an aborted campaign alone, and counts its outcome', async () => {
    const grant = await probe.grant(id, number);
    await redis.hset(tenant.keys.campaign(number), 'state', 'aborted');
    assert.equal((await probe.begin(id, number)).answer.kind, 'claimed');
    await probe.finish(id, number, grant);
    assert.equal((await probe.look(id))?.state, 'cancelled');
  });

  it('finds the owner when told another campaign, and then asks by its rules', async () => {
    const other = await probe.campaign('other');
    const begun = await probe.begin(id, other);
    assert.equal(begun.answer.kind, 'granted');
    assert.equal(begun.campaign, number);
    assert.equal((await probe.read(other)).total, 0);
  });

  it('finds its bucket when buckets were split since', async () => {
    const fresh = await newTenant(redis, FREE);
    const freshProbe = createProbe(fresh);
    const campaign = await freshProbe.campaign('splitting');
    const ids = newIds(5_000);
    // This ledger knows of the splits; the one that asks does not.
    await fresh.ledger.submit(campaign, ids);
    const { createTenant } = await import('../../../src/app/tenant.ts');
    const outdated = createProbe({ ...fresh, ...createTenant(fresh.config, redis) });
    for (let index = 0; index < 50; index++) await outdated.grant(idAt(ids, 97 * index), campaign);
  });

  describe('of an id the ledger does not know', () => {
    it('drops it where the feeder put it', async () => {
      assert.deepEqual((await probe.begin(newIds(1), number)).answer, { kind: 'unknown' });
    });

    it('registers it where a service put it', async () => {
      const direct = await probe.campaign('direct-test', { direct: true });
      const unknown = newIds(1);
      assert.equal((await probe.begin(unknown, direct, { register: true })).answer.kind, 'granted');
      assert.equal((await probe.read(direct)).total, 1);
      assert.deepEqual(await probe.list(direct), [unknown.toString('hex')]);
      await recount(tenant, direct);
    });

    it('does not register it with a campaign that has ended', async () => {
      const direct = await probe.campaign('direct-ended', { direct: true });
      await redis.hset(tenant.keys.campaign(direct), 'state', 'aborted');
      const unknown = newIds(1);
      assert.deepEqual((await probe.begin(unknown, direct, { register: true })).answer, {
        kind: 'owner',
        state: 'aborted',
      });
      assert.equal(await probe.look(unknown), null);
    });
  });

  describe('with a claim that lapsed', () => {
    beforeEach(() => use(BRIEF));

    it('takes it over: the record is uncertain, and an attempt is counted', async () => {
      const first = await probe.grant(id, number);
      const second = await eventually(() => probe.grant(id, number));
      assert.notEqual(second.slot, first.slot);
      assert.equal(second.attempts, 1);
      const record = await probe.look(id);
      assert.equal(record?.uncertain, true);
      assert.equal((await probe.slots()).length, 2, 'the lost call still counts');
    });

    it('gives up when its attempts ran out by that', async () => {
      await use({ ...BRIEF, MAX_ATTEMPTS: '2' });
      await probe.grant(id, number);
      await eventually(() => probe.grant(id, number));
      const { answer } = await eventually(async () => {
        const begun = await probe.begin(id, number);
        assert.notEqual(begun.answer.kind, 'claimed');
        return begun;
      });
      assert.equal(answer.kind, 'decided');
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts, record?.uncertain], ['unresolved', 2, true]);
      await recount(tenant, number);
    });

    it('ends an aborted campaign’s as unresolved, for its answer was lost', async () => {
      await probe.grant(id, number);
      await redis.hset(tenant.keys.campaign(number), 'state', 'aborted');
      await eventually(async () => {
        await probe.begin(id, number);
        assert.equal((await probe.look(id))?.state, 'unresolved');
      });
    });
  });

  describe('in a full window', () => {
    it('says exactly how long', async () => {
      await use({ RATE_LIMITS: '2/1m,1000/1h', URGENT_RESERVE: 'none' });
      const ids = newIds(3);
      await tenant.ledger.submit(number, ids);
      for (const index of [0, 1]) await probe.decide(idAt(ids, index), number, 'cancelled');
      const slots = tenant.keys.slots('cancel');
      const [first = '', stamp] = await redis.zrange(slots, '0', '0', 'WITHSCORES');
      const endsAt = Number(stamp) + lengthen(60_000);
      const before = await redisTime(redis);
      const { answer } = await probe.begin(idAt(ids, 2), number);
      const after = await redisTime(redis);
      assert.ok(answer.kind === 'window', answer.kind);
      assert.ok(answer.ms <= endsAt - before + 1 && answer.ms >= endsAt - after - 1, JSON.stringify(answer));
      await redis.zadd(slots, Number(stamp) - answer.ms - 1, first);
      await probe.grant(idAt(ids, 2), number);
    });

    it('only says when to look again while the deciding call is in flight', async () => {
      await use({ RATE_LIMITS: '1/10s', URGENT_RESERVE: 'none' });
      const other = newIds(1);
      await tenant.ledger.submit(number, other);
      await probe.grant(id, number);
      assert.deepEqual((await probe.begin(other, number)).answer, { kind: 'window', ms: 1_000, look: true });
    });

    it('keeps the reserve from bulk and not from urgent requests', async () => {
      await use({ RATE_LIMITS: '3/1h', URGENT_RESERVE: '2/1h' });
      const ids = newIds(3);
      await tenant.ledger.submit(number, ids);
      await probe.decide(id, number, 'cancelled');
      assert.equal((await probe.begin(idAt(ids, 0), number)).answer.kind, 'window');
      await probe.grant(idAt(ids, 0), number, { slotClass: 'urgent' });
      await probe.grant(idAt(ids, 1), number, { slotClass: 'urgent' });
      assert.equal((await probe.begin(idAt(ids, 2), number, { slotClass: 'urgent' })).answer.kind, 'window');
    });

    it('says the longest of several waits', async () => {
      await use({ RATE_LIMITS: '1/1s,1/1h', URGENT_RESERVE: 'none' });
      await probe.decide(id, number, 'cancelled');
      const other = newIds(1);
      await tenant.ledger.submit(number, other);
      const { answer } = await probe.begin(other, number);
      assert.ok(answer.kind === 'window' && answer.ms > 3_590_000, JSON.stringify(answer));
    });
  });

  describe('with a wish that expires', () => {
    it('ends a single cancel as expired, without a call', async () => {
      const direct = await probe.campaign('direct-expiry', { direct: true });
      const single = newIds(1);
      const options = { register: true, expiresAt: Date.now() - 1 };
      assert.equal((await probe.begin(single, direct, options)).answer.kind, 'decided');
      assert.equal((await probe.look(single))?.state, 'expired');
      assert.deepEqual(await probe.slots(), []);
      await recount(tenant, direct);
    });

    it('does not end an action that a campaign wants cancelled', async () => {
      const direct = await probe.campaign('direct-guest', { direct: true });
      const { answer } = await probe.begin(id, direct, { register: true, expiresAt: Date.now() - 1 });
      assert.deepEqual(answer, { kind: 'lapsed' });
      assert.equal((await probe.look(id))?.state, 'open');
    });

    it('goes by the wish that lasts longest', async () => {
      const direct = await probe.campaign('direct-two', { direct: true });
      const single = newIds(1);
      const soon = Date.now() + 60_000;
      await redis.hset(tenant.keys.state, 'cancel:penalty', Date.now() + 30_000);
      await probe.begin(single, direct, { register: true, expiresAt: soon });
      assert.equal(await redis.zscore(tenant.keys.expiries, single), String(soon));
      await probe.begin(single, direct, { register: true, expiresAt: soon + 5_000 });
      assert.equal(await redis.zscore(tenant.keys.expiries, single), String(soon + 5_000));
      await probe.begin(single, direct, { register: true, expiresAt: soon });
      assert.equal(await redis.zscore(tenant.keys.expiries, single), String(soon + 5_000));
      await probe.begin(single, direct, { register: true });
      assert.equal(
        await redis.zscore(tenant.keys.expiries, single),
        null,
        'one without an end lasts longest',
      );
      await probe.begin(single, direct, { register: true, expiresAt: soon });
      assert.equal(await redis.zscore(tenant.keys.expiries, single), null);
    });
  });

  describe('for an urgent campaign that does not own the id', () => {
    let guest: number;
    let direct: number;
    let single: Buffer;
    const soon = Date.now() + 600_000;

    /** A single cancel that expires and waits. */
    beforeEach(async () => {
      direct = await probe.campaign('direct-host', { direct: true });
      guest = await probe.campaign('guest');
      single = newIds(1);
      await redis.hset(tenant.keys.state, 'cancel:penalty', Date.now() + 600_000);
      const wish = { register: true, expiresAt: soon, requestedBy: 'soar', requestedAt: 1_764_081_942_123 };
      await probe.begin(single, direct, wish);
      await redis.hdel(tenant.keys.state, 'cancel:penalty');
    });

    it('calls it, and leaves its time alone', async () => {
      await probe.grant(single, direct, { calledFor: guest });
      assert.equal(await redis.zscore(tenant.keys.expiries, single), String(soon));
    });

    it('ends it when its time is over, and says whose it was', async () => {
      await redis.zadd(tenant.keys.expiries, Date.now() - 1, single);
      assert.equal((await probe.begin(single, direct, { calledFor: guest })).answer.kind, 'decided');
      const [[, fields] = ['', []]] = await redis.xrange(tenant.keys.results(direct), '-', '+');
      const said = (name: string) => fields[fields.indexOf(name) + 1];
      assert.deepEqual(
        [said('outcome'), said('requestedBy'), said('requestedAt')],
        ['expired', 'soar', '1764081942123'],
      );
      await recount(tenant, direct);
    });

    for (const state of ['paused', 'aborted', 'expired', 'deleted']) {
      it(`takes no slot once that is ${state}`, async () => {
        await redis.hset(tenant.keys.campaign(guest), 'state', state);
        const { answer } = await probe.begin(single, direct, { calledFor: guest });
        assert.deepEqual(answer, { kind: 'owner', state });
        assert.equal((await probe.look(single))?.state, 'open');
        assert.deepEqual(await probe.slots(), []);
        await probe.grant(single, direct, { register: true, expiresAt: soon });
      });
    }

    it('takes no slot once its time is over, or nothing is left of it', async () => {
      await redis.hset(tenant.keys.campaign(guest), 'expiresAt', Date.now() - 1);
      const late = await probe.begin(single, direct, { calledFor: guest });
      assert.deepEqual(late.answer, { kind: 'owner', state: 'expired' });
      await redis.del(tenant.keys.campaign(guest));
      const gone = await probe.begin(single, direct, { calledFor: guest });
      assert.deepEqual(gone.answer, { kind: 'owner', state: 'deleted' });
      assert.deepEqual(await probe.slots(), []);
    });

    it('registers no id that nobody knows', async () => {
      const { answer } = await probe.begin(newIds(1), guest, { calledFor: guest });
      assert.deepEqual(answer, { kind: 'unknown' });
    });
  });

  it('gives the same claim when asked again after a lost reply', async () => {
    // What a worker sends again when the connection broke before the answer: the very same script call.
    const { begin } = await import('../../../src/store/ledger/begin.ts');
    const { expect } = tenant.memory;
    await probe.begin(newIds(1), number);
    const input = {
      id,
      operation: 'cancel' as const,
      campaign: number,
      register: false,
      nonce: 12_345,
      expiresAt: null,
      requestedBy: null,
      requestedAt: 0,
      buckets: 16,
      windows: [{ max: 10, lengthMs: 1_000 }],
      expectation: expect('cancel', performance.now()),
    };
    const settings = {
      callTimeoutMs: 30_000,
      maxAttempts: 8,
      graceMs: 6_000,
      longestMs: 1_000,
      timings: TIMINGS,
      recoveryMs: 10_000,
    };
    const bucket = tenant.keys.bucket((await import('../../../src/store/ledger/record.ts')).bucketOf(id, 16));
    const first = await begin(redis, tenant.keys, bucket, input, settings);
    const again = await begin(redis, tenant.keys, bucket, input, settings);
    assert.equal(first.permit.kind, 'granted');
    assert.equal(again.permit.kind, 'granted');
    assert.deepEqual(
      'slot' in again.permit && again.permit.slot,
      'slot' in first.permit && first.permit.slot,
    );
    assert.equal((await probe.slots()).length, 1);

    // So late that the claim has lapsed: nothing was called, and the slot is free.
    const slot = 'slot' in first.permit ? first.permit.slot : '';
    await redis.eval(LAPSE, 1, bucket, id);
    const late = await begin(redis, tenant.keys, bucket, input, settings);
    assert.equal(late.permit.kind, 'granted');
    const slots = await probe.slots();
    assert.deepEqual([slots.length, slots.includes(slot)], [1, false]);
    const record = await probe.look(id);
    assert.deepEqual([record?.attempts, record?.uncertain], [0, false]);
    assert.deepEqual(await redis.hget(tenant.keys.attempts(number), id), null);
  });
});

/** As if the time of a claim were over. */
const LAPSE = `
local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))
r[10] = 1
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(r))
return 1
`;
