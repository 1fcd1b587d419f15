import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openDirectCampaign } from '../../src/store/campaign/registry.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { redisTime } from '../../src/store/redis/time.ts';
import { TESTER } from '../support/actor.ts';
import { newIds } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant, seeWorker, type TestTenant } from '../support/tenant.ts';

/** As RATE_LIMITS says it below. */
const WINDOWS = [
  { max: 20, lengthMs: 60_000 },
  { max: 60, lengthMs: 3_600_000 },
];

/** Call by call, when the last of them is answered; its answer is what counts against the limits. */
function lastAnswerAt(
  stamps: readonly number[],
  calls: number,
  { notBefore = 0, latencyMs = 0 } = {},
): number {
  const times = [...stamps];
  for (let call = 0; call < calls; call++) {
    const free = WINDOWS.map(({ max, lengthMs }) => (times.at(-max) ?? 0) + lengthMs);
    times.push(Math.max(notBefore, ...free) + latencyMs);
  }
  return times.at(-1) ?? 0;
}

describe('the time of completion', () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  /** A tenant whose hour is full, so that no estimate depends on when it is asked for. */
  async function openFull(): Promise<{ tenant: TestTenant; stamps: number[] }> {
    const redis = await server.connect();
    const tenant = await newTenant(redis, { RATE_LIMITS: '20/1m,60/1h', URGENT_RESERVE: 'none' });
    await seeWorker(tenant);
    const first = Math.floor(await redisTime(redis)) - 1_800_000;
    const stamps = Array.from({ length: 60 }, (_, index) => first + index * 20_000);
    await redis.zadd(tenant.keys.slots('cancel'), ...stamps.flatMap((stamp, index) => [stamp, `${index}`]));
    return { tenant, stamps };
  }

  async function submit(
    tenant: TestTenant,
    name: string,
    count: number,
    priority = 5,
    expiresAt: number | null = null,
    ids = newIds(count),
  ): Promise<void> {
    const parts = (async function* () {
      yield ids;
    })();
    await submitCampaign(tenant, { name, comment: 'test', now: Date.now(), priority, expiresAt }, parts);
  }

  const etaOf = async (tenant: TestTenant, name: string) =>
    Date.parse((await campaignStatus(tenant, name)).etaAt ?? '');

  it('is when the last call is answered, by the calls that went out before', async () => {
    const { tenant, stamps } = await openFull();
    await submit(tenant, 'first', 150);
    assert.equal(await etaOf(tenant, 'first'), lastAnswerAt(stamps, 150));
    await tenant.redis.hset(tenant.keys.state, 'cancel:latency', 250);
    assert.equal(await etaOf(tenant, 'first'), lastAnswerAt(stamps, 150, { latencyMs: 250 }));
  });

  it('counts a penalty from when it stands, and the campaigns that come first', async () => {
    const { tenant, stamps } = await openFull();
    await submit(tenant, 'first', 45);
    await submit(tenant, 'second', 50, 9);
    assert.equal(await etaOf(tenant, 'first'), lastAnswerAt(stamps, 45));
    assert.equal(await etaOf(tenant, 'second'), lastAnswerAt(stamps, 95));
    const until = (stamps[0] ?? 0) + 2 * 3_600_000;
    await tenant.redis.hset(tenant.keys.state, 'cancel:penalty', until);
    assert.equal(await etaOf(tenant, 'first'), lastAnswerAt(stamps, 45, { notBefore: until }));
    assert.equal(await etaOf(tenant, 'second'), lastAnswerAt(stamps, 95, { notBefore: until }));
  });

  /** As the feeder does: what it adds last is called last. */
  async function handOut(tenant: TestTenant, number: number, count: number): Promise<void> {
    const jobs = Array.from({ length: count }, (_, index) => `${number}-0123abcd-${index}`);
    await tenant.redis.lpush(tenant.keys.lane('cancel-campaign', 'wait'), ...jobs);
  }

  it('counts what was handed out of campaigns that come later, before a better one was there', async () => {
    const { tenant, stamps } = await openFull();
    await submit(tenant, 'first', 100);
    await handOut(tenant, 1, 30);
    await submit(tenant, 'better', 10, 1);
    assert.equal(await etaOf(tenant, 'better'), lastAnswerAt(stamps, 40));
    assert.equal(
      await etaOf(tenant, 'first'),
      lastAnswerAt(stamps, 110),
      'its own are among its pending ones',
    );
    await handOut(tenant, 2, 10);
    await handOut(tenant, 1, 7);
    assert.equal(await etaOf(tenant, 'better'), lastAnswerAt(stamps, 40), 'not what comes after its last');
    await tenant.redis.zrem(tenant.keys.running, 1);
    assert.equal(await etaOf(tenant, 'better'), lastAnswerAt(stamps, 10), 'a paused one is not called');
  });

  it('counts what an urgent campaign follows as calls of its own, and once', async () => {
    const { tenant, stamps } = await openFull();
    const ids = newIds(30);
    await submit(tenant, 'owner', 30, 9, null, ids);
    await submit(tenant, 'between', 20);
    assert.equal(await etaOf(tenant, 'between'), lastAnswerAt(stamps, 20));
    await submit(tenant, 'urgent', 30, 0, null, ids);
    assert.equal(await etaOf(tenant, 'between'), lastAnswerAt(stamps, 50));
    assert.equal(await etaOf(tenant, 'owner'), lastAnswerAt(stamps, 50), 'they are its own');
    await submit(tenant, 'brief', 30, 0, Date.now() + 1_000, ids);
    assert.equal((await campaignStatus(tenant, 'brief')).expiring, 0, 'none of them is its own');
  });

  it('counts single cancels once, also after their campaign was paused and resumed', async () => {
    const { tenant, stamps } = await openFull();
    const { redis, keys } = tenant;
    const { number } = await openDirectCampaign(redis, keys, Date.now(), 'direct-x');
    await redis.hset(keys.campaign(number), { total: 25, open: 25 });
    await redis.lpush(
      keys.lane('cancel', 'wait'),
      ...Array.from({ length: 25 }, (_, index) => `job-${index}`),
    );
    for (const steering of ['pause', 'resume'] as const) await steer(tenant, 'direct-x', steering, TESTER);
    assert.deepEqual(await redis.zrange(keys.running, '0', '-1'), [], 'it is not fed');
    await submit(tenant, 'named', 10);
    assert.equal(await etaOf(tenant, 'direct-x'), lastAnswerAt(stamps, 25));
    assert.equal(await etaOf(tenant, 'named'), lastAnswerAt(stamps, 35));
  });

  it('goes no further than the expiry of the campaign, and counts only what is called by then of others', async () => {
    const { tenant, stamps } = await openFull();
    const now = Date.now();
    // The hour's oldest calls leave it half an hour from now, one every 20 s.
    const soon = now + 40 * 60_000;
    await submit(tenant, 'first', 150, 5, soon);
    const first = await campaignStatus(tenant, 'first');
    assert.equal(first.expiresAt, new Date(soon).toISOString());
    assert.equal(Date.parse(first.etaAt ?? ''), soon);
    const called = 150 - (first.expiring ?? 0);
    assert.ok(called >= 29 && called <= 31, `${called}`);
    await submit(tenant, 'second', 10);
    assert.equal(await etaOf(tenant, 'second'), lastAnswerAt(stamps, called + 10));
    await submit(tenant, 'in time', 1, 1, now + 10 * 3_600_000);
    const { expiring, etaAt } = await campaignStatus(tenant, 'in time');
    assert.deepEqual([expiring, Date.parse(etaAt ?? '')], [0, lastAnswerAt(stamps, 1)]);
  });
});
