import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Detail } from '../../../src/base/outcome.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { isStopped } from '../../../src/store/campaign/status.ts';
import type { FinishAsk } from '../../../src/store/ledger/calls.ts';
import { DOWN_AFTER, FREE_UNEXPLAINED } from '../../../src/store/ledger/finish.ts';
import { bucketOf, FIRST_BUCKETS } from '../../../src/store/ledger/record.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { idAt, newIds, newRequest, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import type { TestTenant } from '../../support/tenant.ts';
import { withTimings } from '../../support/timings.ts';

const FREE = { RATE_LIMITS: '1000000/1m', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '3' };
const DETAIL = { httpStatus: 404, errorCode: 'NO_REASON', errorMessage: 'the API gave no reason' };

/** A 4xx without the API's error object. */
const bare = (lastly: 'not_found' | 'forbidden' | 'rejected' | 'check', uncertain = false) =>
  ({
    slotFate: 'answered',
    verdict: { kind: 'retry', delayMs: 0, uncertain, costsAttempt: true, lastly, detail: DETAIL },
    sign: 'fault',
  }) as const satisfies Partial<FinishAsk>;

describe('a call that was refused without a reason', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;
  let id: Buffer;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(async () => {
    ({ tenant, probe, number, id } = await newRequest(redis, FREE));
  });
  after(() => server.close());

  async function submitted(): Promise<Buffer> {
    const one = newIds(1);
    await tenant.ledger.submit(number, one);
    return one;
  }

  const refuse = async (which: Buffer, answer: Partial<FinishAsk>) =>
    probe.finish(which, number, await probe.grant(which, number), answer);

  /** Another action is cancelled: only then is it known whose trouble the last answer was. */
  const succeed = async () => probe.decide(await submitted(), number, 'cancelled');

  /** Nobody waits for the time of a hold, nor of an id. */
  async function passBy(which: Buffer): Promise<void> {
    if (await redis.hexists(tenant.keys.state, 'cancel:hold'))
      await redis.hset(tenant.keys.state, 'cancel:hold', 1);
    await redis.eval(PASS, 1, tenant.keys.bucket(bucketOf(which, FIRST_BUCKETS)), which);
  }

  const look = async (which: Buffer) => {
    const record = await probe.look(which);
    return [record?.state, record?.attempts];
  };

  for (const lastly of ['not_found', 'forbidden', 'rejected'] as const) {
    it(`ends as ${lastly} at the last attempt, when others succeed, and says so`, async () => {
      for (const uncertain of [true, false, false]) {
        assert.equal((await refuse(id, bare(lastly, uncertain))).kind, 'open');
        await succeed();
      }
      assert.equal((await probe.begin(id, number)).answer.kind, 'decided');
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts, record?.uncertain], [lastly, 3, true]);
      const [entry] = await redis.xrevrange(tenant.keys.results(number), '+', '-', 'COUNT', 1);
      assert.ok(entry?.[1].includes(DETAIL.errorMessage));
      await recount(tenant, number);
    });
  }

  it('of a 400 is left to Get after the last attempt, and never called again', async () => {
    for (let attempt = 1; attempt <= 3; attempt++) {
      await refuse(id, bare('check'));
      await succeed();
    }
    assert.equal((await probe.begin(id, number)).answer.kind, 'check');
    assert.deepEqual(await look(id), ['checking', 3]);
    const grant = await probe.grant(id, number, { operation: 'get' });
    assert.deepEqual(grant.check.slice(0, 2), ['404', 'NO_REASON']);
    await recount(tenant, number);
  });

  it('costs no attempt while nothing succeeds, and comes to a hold', async () => {
    const ids = newIds(DOWN_AFTER + 1);
    await tenant.ledger.submit(number, ids);
    for (let index = 0; index < DOWN_AFTER; index++) await refuse(idAt(ids, index), bare('not_found'));
    const { answer } = await probe.begin(idAt(ids, DOWN_AFTER), number);
    assert.ok(answer.kind === 'hold' && answer.reason === 'upstream', JSON.stringify(answer));
    await passBy(idAt(ids, 0));
    await succeed();
    await probe.grant(idAt(ids, 0), number);
    assert.deepEqual(await look(idAt(ids, 0)), ['open', 0], 'an outage is nobody’s own trouble');
  });

  it('to a probe keeps the hold, and leaves the next probe to another', async () => {
    const timings = withTimings({ firstProbeMs: 20_000, lastProbeMs: 60_000 });
    ({ tenant, probe, number, id } = await newRequest(redis, FREE, timings));
    const other = await submitted();
    await redis.hset(tenant.keys.state, { 'cancel:hold': 1, 'cancel:reason': 'upstream', 'cancel:step': 0 });
    const grant = await probe.grant(id, number);
    assert.equal(grant.probe, true);
    await probe.finish(id, number, grant, bare('not_found'));
    const { answer } = await probe.begin(other, number);
    assert.ok(answer.kind === 'hold' && answer.ms > 30_000, `the intervals grow: ${JSON.stringify(answer)}`);
    await redis.hset(tenant.keys.state, 'cancel:hold', 1);
    assert.equal((await probe.begin(id, number)).answer.kind, 'later');
    assert.equal((await probe.grant(other, number)).probe, true);
  });

  it('after an outage is free ten times in a row, too', async () => {
    const { lastly: _, ...verdict } = bare('check').verdict;
    const fault = { ...bare('check'), verdict };
    for (let call = 0; call < 2 * FREE_UNEXPLAINED; call++) {
      await refuse(id, fault);
      await passBy(id);
    }
    for (let call = 0; call < FREE_UNEXPLAINED; call++) {
      await refuse(id, bare('not_found'));
      await passBy(id);
    }
    assert.deepEqual(await look(id), ['open', 0]);
    await refuse(id, bare('not_found'));
    assert.deepEqual(await look(id), ['open', 1]);
  });

  for (const [lastly, kind, state] of [
    ['not_found', 'decided', 'not_found'],
    ['check', 'check', 'checking'],
  ] as const) {
    it(`of a request that is alone is charged in the end (${lastly})`, async () => {
      for (let call = 1; call < FREE_UNEXPLAINED + 3; call++) {
        assert.equal((await refuse(id, bare(lastly))).kind, 'open', `call ${call}`);
        await passBy(id);
      }
      assert.equal((await refuse(id, bare(lastly))).kind, kind);
      assert.deepEqual(await look(id), [state, 3]);
    });
  }
});

/** Lets the time come that an id waits for. */
const PASS = `
local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))
if r[8] and r[8] > 0 then r[8] = 1 end
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(r))
return 1
`;

describe('an action that says Cancelled', () => {
  let server: TestRedis;
  let redis: RedisClient;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  const late: Detail = {
    errorCode: 'COMMAND_COMPLETED',
    errorMessage: 'cancelled too late',
    action: {
      status: 'Cancelled',
      type: 'LiveResponse',
      machineId: null,
      computerDnsName: null,
      createdAt: null,
      updatedAt: null,
    },
  };

  it('although a command of it completed is not counted as one that does not take place', async () => {
    const { tenant, probe, number, id } = await newRequest(redis, FREE);
    const allStopped = async () => isStopped(tenant, await findCampaign(redis, tenant.keys, 'campaign'));
    const grant = await probe.grant(id, number);
    const { action } = late as Required<Detail>;
    await probe.finish(id, number, grant, {
      verdict: { kind: 'decided', outcome: 'cancelled', detail: { action } },
    });
    assert.equal(await allStopped(), true);
    const verify = { id, campaign: number, position: 1, decidedAt: 1, detail: { ...late, verifiedAt: 2 } };
    assert.equal((await tenant.ledger.verify(verify)).kind, 'noted');
    assert.equal(await allStopped(), false, 'a later look at its commands says otherwise');
    await recount(tenant, number);
    const other = newIds(1);
    await tenant.ledger.submit(number, other);
    assert.equal((await tenant.ledger.settle(number, other, late)).kind, 'settled');
    const { stopped, outcomes } = await probe.read(number);
    assert.deepEqual([stopped, outcomes], [0, { cancelled: 1, already_final: 1 }]);
    await recount(tenant, number);
  });
});
