import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { findCampaign } from '../../src/campaign/registry.ts';
import { isStopped } from '../../src/campaign/status.ts';
import type { FinishAsk } from '../../src/ledger/calls.ts';
import { DOWN_AFTER } from '../../src/ledger/finish.ts';
import type { Detail } from '../../src/outcome.ts';
import type { RedisClient } from '../../src/script.ts';
import { idAt, newIds, newRequest, recount } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';

const FREE = { RATE_LIMITS: '1000000/1m', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '3' };
const DETAIL = { httpStatus: 404, errorCode: 'NO_REASON', errorMessage: 'the API gave no reason' };

/** A 4xx without the API's error object. */
const bare = (lastly: 'not_found' | 'forbidden' | 'rejected' | 'check', uncertain = false) =>
  ({
    slotFate: 'answered',
    verdict: { kind: 'retry', delayMs: 0, uncertain, costsAttempt: true, lastly, detail: DETAIL },
    sign: 'none',
  }) as const satisfies Partial<FinishAsk>;

describe('a call that was refused without a reason', () => {
  let server: TestRedis;
  let redis: RedisClient;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  for (const lastly of ['not_found', 'forbidden', 'rejected'] as const) {
    it(`ends as ${lastly} at the last attempt, and says so`, async () => {
      const { tenant, probe, number, id } = await newRequest(redis, FREE);
      for (const [uncertain, kind] of [
        [true, 'open'],
        [false, 'open'],
        [false, 'decided'],
      ] as const) {
        const grant = await probe.grant(id, number);
        assert.equal((await probe.finish(id, number, grant, bare(lastly, uncertain))).kind, kind);
      }
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts, record?.uncertain], [lastly, 3, true]);
      const [[, fields] = ['', []]] = await redis.xrange(tenant.keys.results(number), '-', '+');
      assert.ok(fields.includes(DETAIL.errorMessage));
      await recount(tenant, number);
    });
  }

  it('of a 400 is left to Get after the last attempt, and never called again', async () => {
    const { tenant, probe, number, id } = await newRequest(redis, FREE);
    for (const kind of ['open', 'open', 'check'] as const) {
      const grant = await probe.grant(id, number);
      assert.equal((await probe.finish(id, number, grant, bare('check'))).kind, kind);
    }
    assert.deepEqual((await probe.look(id))?.state, 'checking');
    assert.equal((await probe.begin(id, number)).answer.kind, 'check');
    await recount(tenant, number);
  });

  it('is no sign of an upstream that is down, however many there are, nor of one that is not', async () => {
    const { tenant, probe, number } = await newRequest(redis, FREE);
    const ids = newIds(2 * DOWN_AFTER);
    await tenant.ledger.submit(number, ids);
    const streak = () => redis.hmget(tenant.keys.state, 'cancel:hold', 'cancel:streak');
    for (let index = 0; index < 2 * DOWN_AFTER; index++) {
      const id = idAt(ids, index);
      const fault = index === 0 ? ({ ...bare('not_found'), sign: 'fault' } as const) : bare('not_found');
      await probe.finish(id, number, await probe.grant(id, number), fault);
    }
    assert.deepEqual(await streak(), [null, '1']);
  });

  it('costs a probe nothing', async () => {
    const { tenant, probe, number, id } = await newRequest(redis, { ...FREE, MAX_ATTEMPTS: '1' });
    await redis.hset(tenant.keys.state, 'cancel:hold', 1, 'cancel:reason', 'upstream', 'cancel:step', 0);
    const grant = await probe.grant(id, number);
    assert.equal(grant.probe, true);
    const finished = await probe.finish(id, number, grant, { ...bare('not_found'), sign: 'alive' });
    assert.equal(finished.kind, 'open');
    assert.deepEqual(await redis.hmget(tenant.keys.state, 'cancel:hold'), [null], 'the hold has ended');
  });
});

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
