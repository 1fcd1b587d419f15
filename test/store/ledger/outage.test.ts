import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { TIMINGS } from '../../../src/config/timings.ts';
import type { FinishAsk, Grant } from '../../../src/store/ledger/calls.ts';
import { DOWN_AFTER, FREE_PROBES } from '../../../src/store/ledger/finish.ts';
import { bucketOf, FIRST_BUCKETS } from '../../../src/store/ledger/record.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { idAt, newIds, newRequest, type Probe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import type { TestTenant } from '../../support/tenant.ts';

const ONE = { RATE_LIMITS: '1000000/1h', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '1' };

const FAULT = {
  slotFate: 'lost',
  verdict: {
    kind: 'retry',
    delayMs: 0,
    uncertain: false,
    costsAttempt: true,
    detail: { httpStatus: 503, errorMessage: 'busy' },
  },
  sign: 'fault',
} as const satisfies Partial<FinishAsk>;
const asGet = { operation: 'get' } as const;

describe('an outage', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;
  let id: Buffer;
  let other: Buffer;

  const state = (...fields: string[]) =>
    redis.hmget(tenant.keys.state, ...fields.map((field) => `cancel:${field}`));
  const look = async (which: Buffer) => {
    const record = await probe.look(which);
    return [record?.state, record?.attempts];
  };
  const fail = async (which: Buffer, more: Partial<FinishAsk> = {}) =>
    probe.finish(which, number, await probe.grant(which, number), { ...FAULT, ...more });
  /** Nobody waits for the time of a hold, nor of an id. */
  const passBy = async (...ids: Buffer[]) => {
    if ((await state('hold'))[0]) await redis.hset(tenant.keys.state, 'cancel:hold', 1);
    for (const one of ids) await redis.eval(PASS, 1, tenant.keys.bucket(bucketOf(one, FIRST_BUCKETS)), one);
  };

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(async () => {
    ({ tenant, probe, number, id } = await newRequest(redis, ONE, TIMINGS));
    other = newIds(1);
    await tenant.ledger.submit(number, other);
  });
  after(() => server.close());

  it('costs a request nothing that is alone, however long it lasts', async () => {
    for (let call = 1; call <= 2 * DOWN_AFTER; call++) {
      await fail(id);
      await passBy(id);
    }
    assert.deepEqual(await look(id), ['open', 0]);
    await probe.decide(id, number, 'cancelled');
    assert.deepEqual(await look(id), ['cancelled', 1]);
  });

  it('is known by its time, too', async () => {
    await fail(id);
    assert.equal((await probe.begin(other, number)).answer.kind, 'granted', 'not after one failure');
    await redis.hincrby(tenant.keys.state, 'cancel:failing', -TIMINGS.downMs);
    await fail(id);
    assert.deepEqual(await state('reason', 'step'), ['upstream', '0']);
  });

  it('costs neither of two a thing when one of them meets its end', async () => {
    await fail(id);
    await fail(other);
    await redis.hincrby(tenant.keys.state, 'cancel:failing', -TIMINGS.downMs);
    await probe.decide(id, number, 'cancelled');
    await probe.decide(other, number, 'cancelled');
    assert.deepEqual(await look(other), ['cancelled', 1]);
  });

  it('does not either when it was short, and the server had named its end', async () => {
    await fail(id, { busyMs: 2_000 });
    await fail(other, { busyMs: 2_000 });
    await passBy(id, other);
    await probe.decide(id, number, 'cancelled');
    assert.equal((await probe.begin(other, number)).answer.kind, 'granted');
  });

  it('is none when others succeed: that was an attempt, and its last words are the outcome’s', async () => {
    await fail(id);
    await probe.decide(other, number, 'cancelled');
    assert.equal((await probe.begin(id, number)).answer.kind, 'decided');
    assert.deepEqual(await look(id), ['unresolved', 1]);
    const [entry] = await redis.xrevrange(tenant.keys.results(number), '+', '-', 'COUNT', 1);
    assert.ok(entry?.[1].includes('503') && entry[1].includes('busy'), String(entry));
  });

  it('does not let an earlier call charge a later one', async () => {
    const slow = await probe.grant(other, number);
    await fail(id);
    await probe.finish(other, number, slow);
    assert.equal((await probe.begin(id, number)).answer.kind, 'granted');
    assert.deepEqual(await look(id), ['open', 0]);
  });

  for (const wait of [180_000, 3_600_000]) {
    it(`puts off an id for the ${wait / 1_000} s that the server named, and no other`, async () => {
      await fail(id, { busyMs: wait });
      const { answer } = await probe.begin(id, number);
      assert.ok(
        answer.kind === 'later' && answer.ms > wait - 5_000 && answer.ms <= wait + 1,
        JSON.stringify(answer),
      );
      assert.equal((await probe.look(id))?.busy, true, 'the feeder leaves it alone');
      await probe.decide(other, number, 'cancelled');
      assert.equal((await probe.begin(id, number)).answer.kind, 'later', 'that is for the id');
    });
  }

  it('holds everybody until then when nothing succeeds, capped at the longest window', async () => {
    const ids = newIds(DOWN_AFTER + 1);
    await tenant.ledger.submit(number, ids);
    for (let index = 0; index < DOWN_AFTER; index++)
      await fail(idAt(ids, index), { busyMs: index === 3 ? 86_400_000 : 0 });
    const { answer } = await probe.begin(idAt(ids, DOWN_AFTER), number);
    assert.ok(answer.kind === 'hold' && answer.reason === 'upstream', JSON.stringify(answer));
    assert.ok(answer.ms > 3_590_000 && answer.ms <= 3_600_001, `${answer.ms}`);
  });

  /** A hold, with its first probe on the way. */
  async function probing(): Promise<{ ids: Buffer; first: Grant }> {
    const ids = newIds(DOWN_AFTER + 2);
    await tenant.ledger.submit(number, ids);
    for (let index = 0; index < DOWN_AFTER; index++) await fail(idAt(ids, index));
    await passBy();
    const first = await probe.grant(idAt(ids, DOWN_AFTER), number);
    assert.equal(first.probe, true);
    return { ids, first };
  }

  it('that has ended is not brought back by a probe that fails late', async () => {
    const { ids, first } = await probing();
    await passBy();
    await probe.decide(idAt(ids, DOWN_AFTER + 1), number, 'cancelled');
    for (const sign of ['fault', 'unauthorized'] as const)
      await probe.finish(idAt(ids, DOWN_AFTER), number, first, { ...FAULT, sign });
    assert.deepEqual(await state('hold', 'streak', 'reason'), [null, null, null]);
    await passBy(idAt(ids, DOWN_AFTER));
    assert.equal((await probe.begin(idAt(ids, DOWN_AFTER), number)).answer.kind, 'granted');
  });

  it('whose probe is late does not let a third one out beside the second', async () => {
    const { ids, first } = await probing();
    await passBy();
    await probe.grant(idAt(ids, DOWN_AFTER + 1), number);
    const before = await state('hold', 'step');
    await probe.finish(idAt(ids, DOWN_AFTER), number, first, { ...FAULT, sign: 'none' });
    assert.deepEqual(await state('hold', 'step'), before);
  });

  it('is not ended by a call from before it that was slow', async () => {
    const slow = await probe.grant(other, number);
    const { ids } = await probing();
    await probe.finish(other, number, slow);
    const { answer } = await probe.begin(idAt(ids, DOWN_AFTER + 1), number);
    assert.equal(answer.kind, 'hold');
  });

  it('is not noticed by failures of calls from before the last success', async () => {
    const ids = newIds(DOWN_AFTER);
    await tenant.ledger.submit(number, ids);
    const grants: Grant[] = [];
    for (let index = 0; index < DOWN_AFTER; index++) grants.push(await probe.grant(idAt(ids, index), number));
    await probe.decide(other, number, 'cancelled');
    for (const [index, grant] of grants.entries()) await probe.finish(idAt(ids, index), number, grant, FAULT);
    assert.deepEqual(await state('hold', 'streak'), [null, null]);
  });

  it('that is never over is charged in the end, and still waits as long as the server says', async () => {
    ({ tenant, probe, number, id } = await newRequest(redis, { ...ONE, MAX_ATTEMPTS: '2' }, TIMINGS));
    for (let call = 1; call <= FREE_PROBES; call++) {
      await fail(id);
      await passBy(id);
    }
    assert.deepEqual(await look(id), ['open', 0]);
    await fail(id, { busyMs: 180_000 });
    assert.deepEqual(await look(id), ['open', 1]);
    const { answer } = await probe.begin(id, number);
    assert.ok(answer.kind === 'later' && answer.ms > 170_000, JSON.stringify(answer));
    await passBy(id);
    await fail(id);
    assert.deepEqual(await look(id), ['unresolved', 2]);
  });

  describe('of Get, while a 400 is looked into', () => {
    const trouble = {
      ...asGet,
      slotFate: 'answered',
      verdict: { kind: 'wait', delayMs: 0, detail: { httpStatus: 503 } },
      sign: 'fault',
    } as const;

    async function check(which: Buffer): Promise<void> {
      const verdict = { kind: 'check', detail: { httpStatus: 400 } } as const;
      await probe.finish(which, number, await probe.grant(which, number), { verdict });
    }

    /** As if the 400 had come so long ago. */
    async function since(which: Buffer, ms: number): Promise<void> {
      const stored = JSON.parse((await redis.hget(tenant.keys.checking, which)) ?? '{}');
      await redis.hset(tenant.keys.checking, which, JSON.stringify({ ...stored, since: stored.since - ms }));
    }

    it('waits as long as the server names, and rejects nothing', async () => {
      await check(id);
      await probe.finish(id, number, await probe.grant(id, number, asGet), { ...trouble, busyMs: 180_000 });
      await since(id, TIMINGS.checkMs + 1);
      const { answer } = await probe.begin(id, number, asGet);
      assert.ok(answer.kind === 'later' && answer.ms > 170_000, JSON.stringify(answer));
    });

    it('leaves each its look when it is over', async () => {
      for (const which of [id, other]) await check(which);
      for (let calls = 0; calls < DOWN_AFTER; calls++) {
        const which = calls % 2 === 0 ? id : other;
        await probe.finish(which, number, await probe.grant(which, number, asGet), trouble);
      }
      for (const which of [id, other]) await since(which, TIMINGS.checkMs + 1);
      const held = await probe.begin(id, number, asGet);
      assert.equal(held.answer.kind, 'hold');
      await redis.hset(tenant.keys.state, 'get:hold', 1);
      const verdict = { kind: 'decided', outcome: 'already_final', detail: {} } as const;
      for (const which of [id, other])
        await probe.finish(which, number, await probe.grant(which, number, asGet), { ...asGet, verdict });
      assert.deepEqual(
        [await look(id), await look(other)],
        [
          ['already_final', 1],
          ['already_final', 1],
        ],
      );
    });

    for (const [what, status, sign] of [
      ['a bare 404', 404, 'fault'],
      ['a conflict', 409, 'alive'],
    ] as const) {
      it(`is no matter of ${what}: that explains nothing, and the 400 stands when its time is over`, async () => {
        await check(id);
        const verdict = {
          kind: 'wait',
          delayMs: 0,
          lastly: 'rejected',
          detail: { httpStatus: status },
        } as const;
        const answered = { ...asGet, slotFate: 'answered', verdict, sign } as const;
        await probe.finish(id, number, await probe.grant(id, number, asGet), answered);
        // An outage afterwards changes nothing.
        await probe.finish(id, number, await probe.grant(id, number, asGet), { ...trouble, busyMs: 180_000 });
        assert.equal((await probe.begin(id, number, asGet)).answer.kind, 'later');
        await since(id, TIMINGS.checkMs + 1);
        assert.equal((await probe.begin(id, number, asGet)).answer.kind, 'decided');
        assert.deepEqual(await look(id), ['rejected', 1]);
        const [entry] = await redis.xrevrange(tenant.keys.results(number), '+', '-', 'COUNT', 1);
        assert.ok(entry?.[1].includes('400'), String(entry));
      });
    }

    it('is given up in the end', async () => {
      await check(id);
      await since(id, TIMINGS.checkMs + 3_600_001);
      assert.equal((await probe.begin(id, number)).answer.kind, 'decided');
      assert.deepEqual(await look(id), ['rejected', 1]);
    });
  });

  it('in which nothing leaves costs no attempt, however long it lasts', async () => {
    for (let failures = 0; failures < FREE_PROBES + 10; failures++) {
      await fail(id, { slotFate: 'unsent' });
      await passBy(id);
    }
    assert.deepEqual(await look(id), ['open', 0]);
  });
});

/** Lets the time come that an id waits for. */
const PASS = `
local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))
if r[8] and r[8] > 0 then r[8] = 1 end
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(r))
return 1
`;
