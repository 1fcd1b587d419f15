import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { Secret } from '../../../src/base/secret.ts';
import { TIMINGS } from '../../../src/config/timings.ts';
import { STALE_MS } from '../../../src/ops/notices/notice.ts';
import { createNotifier } from '../../../src/ops/notices/notifier.ts';
import { createOutbox } from '../../../src/ops/notices/outbox.ts';
import { createProbe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { keepingLog } from '../../support/stack.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';
import { startReceiver } from './receiver.ts';
import { LIMITS, SECRET } from './scene.ts';

describe('notices that are to be sent', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  /** A tenant with a notice of that age. */
  async function openOutbox(ageMs = 0) {
    const tenant = await newTenant(await server.connect(), { RATE_LIMITS: LIMITS });
    const outbox = createOutbox(tenant);
    const campaign = await createProbe(tenant).campaign('undo');
    const at = Date.now() - ageMs;
    const notice = {
      v: 1,
      id: `${tenant.label}.${campaign}.ended.${at}`,
      kind: 'ended',
      at: new Date(at).toISOString(),
      tenant: tenant.label,
      campaign: 'undo',
      text: `Campaign "undo" in tenant ${tenant.label} finished: 1 of 1 action cancelled.`,
      state: 'done',
      total: 1,
      open: 0,
      unknown: 0,
      outcomes: { cancelled: 1 },
      hold: null,
    } as const;
    const put = () => outbox.put({ campaign, kind: 'ended', marker: at, notice });
    assert.equal(await put(), true);
    assert.equal(await put(), false, 'it is told once');
    return { tenant, outbox, notice };
  }

  /** As though so much time had passed, as far as the outbox can tell. */
  async function pass({ redis, keys }: TestTenant, id: string, ms: number): Promise<void> {
    await redis.zincrby(keys.noticesDue, -ms, id);
  }

  const left = ({ redis, keys }: TestTenant) => redis.exists(keys.noticesDue, keys.outbox);

  it('are one worker’s at a time, and another’s when its claim has lapsed', async () => {
    const { tenant, outbox, notice } = await openOutbox();
    const first = await outbox.claim();
    assert.ok(first);
    assert.deepEqual([first.id, first.tries, JSON.parse(first.body)], [notice.id, 1, notice]);
    assert.equal(await outbox.claim(), null);
    await pass(tenant, notice.id, 15_000);
    assert.equal(await outbox.claim(), null, 'the claim lasts 30 s');
    await pass(tenant, notice.id, 15_001);
    const second = await outbox.claim();
    assert.equal(second?.tries, 2);
    await outbox.end(first, null);
    assert.equal(await left(tenant), 2, 'whoever was too late ends nothing');
    await outbox.end(first, 0);
    assert.equal(await outbox.claim(), null, 'nor makes it due');
    await outbox.end(second, null);
    assert.equal(await left(tenant), 0);
  });

  it('are due again after the pause', async () => {
    const { tenant, outbox, notice } = await openOutbox();
    const claimed = await outbox.claim();
    assert.ok(claimed);
    await outbox.end(claimed, 15_000);
    assert.equal(await outbox.claim(), null);
    await pass(tenant, notice.id, 15_001);
    assert.equal((await outbox.claim())?.tries, 2);
  });

  it('are of one hold where it comes back within 30 s', async () => {
    const tenant = await newTenant(await server.connect());
    const { redis, keys } = tenant;
    const outbox = createOutbox(tenant);
    const { askedSince, heldSince } = await outbox.look(true);
    assert.ok(heldSince !== null);
    const seen = (ms: number) => redis.hset(keys.notices, 'heldSeen', Date.now() - ms);
    assert.equal((await outbox.look(false)).heldSince, null);
    await seen(10_000);
    assert.equal((await outbox.look(true)).heldSince, heldSince);
    await redis.hset(keys.notices, 'heldSince', heldSince - 60_000);
    await seen(10_000);
    assert.equal((await outbox.look(true)).heldSince, heldSince - 60_000);
    await seen(30_001);
    const again = await outbox.look(true);
    assert.ok(again.heldSince !== null && again.heldSince >= heldSince, 'it is another one');
    assert.equal(again.askedSince, askedSince);
  });

  /** A notifier at work, whose receiver refuses everything. */
  async function refuse(t: TestContext, ageMs: number) {
    const { tenant, notice } = await openOutbox(ageMs);
    const receiver = await startReceiver(0, 503);
    const { log, lines } = await keepingLog();
    const notifier = createNotifier({
      ...tenant,
      tenant: tenant.label,
      config: {
        url: new Secret(receiver.url),
        secret: new Secret(SECRET),
        holdMs: 1_000,
        allowPrivate: true,
      },
      clock: systemClock,
      timings: { ...TIMINGS, noticeAgainMs: [600_000], noticeClaimMs: 3_600_000 },
      log,
    });
    notifier.start();
    t.after(async () => {
      await notifier.stop();
      await receiver.close();
    });
    const said = (msg: string) =>
      eventually(() => {
        const line = lines.find((known) => known.includes(msg));
        assert.ok(line, lines.join());
        return JSON.parse(line) as Record<string, unknown>;
      });
    return { tenant, notice, receiver, said };
  }

  it('are given up when they are no news any more, and the log says so', async (t) => {
    const { tenant, receiver, said } = await refuse(t, STALE_MS + 1_001);
    const line = await said('notice not delivered; giving up');
    assert.deepEqual(
      [line['level'], line['notice'], line['campaign'], line['tries'], line['why']],
      ['error', 'ended', 'undo', 1, 'the receiver answered 503'],
    );
    await eventually(async () => assert.equal(await left(tenant), 0));
    assert.equal(receiver.received.length, 1);
  });

  it('are kept for another try as long as they are news', async (t) => {
    const { tenant, notice, said } = await refuse(t, STALE_MS - 60_000);
    const line = await said('notice not delivered; retrying');
    assert.deepEqual([line['tries'], line['againInMs']], [1, 600_000]);
    const due = await eventually(async () => {
      const score = Number(await tenant.redis.zscore(tenant.keys.noticesDue, notice.id));
      assert.ok(score - Date.now() <= 600_000, 'its claim has ended');
      return score;
    });
    assert.ok(due > Date.now());
  });
});
