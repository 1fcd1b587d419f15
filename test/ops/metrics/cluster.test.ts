import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStanding } from '../../../src/ops/metrics/standing.ts';
import { createOutbox } from '../../../src/ops/notices/outbox.ts';
import { openCluster } from '../../gauntlet/place.ts';
import { atEnd } from '../../store/redis/support/machine.ts';
import { createProbe, newIds } from '../../support/ledger.ts';
import { newTenant } from '../../support/tenant.ts';

test('metrics and notices do in a cluster', async (t) => {
  const place = await openCluster();
  atEnd(t, () => place.close());
  const redis = await place.connect();
  for (let index = 0; index < 4; index++) {
    const tenant = await newTenant(redis, { RATE_LIMITS: '5/1m,20/1h', URGENT_RESERVE: 'none' });
    const campaign = await createProbe(tenant).campaign('campaign');
    await tenant.ledger.submit(campaign, newIds(10));
    await redis.zadd(tenant.keys.slots('cancel'), Date.now(), '1', Date.now() - 120_000, '2');
    const { glance, open, lanes } = await readStanding(redis, tenant.keys, tenant.limits);
    assert.equal(open.running, 10);
    assert.equal(lanes.length, 3);
    const used = glance.windows.filter(({ operation }) => operation === 'cancel').map((one) => one.used);
    assert.deepEqual(used, [1, 2]);

    const outbox = createOutbox(tenant);
    const { now } = await outbox.look(true);
    const notice = { v: 1, id: 'one', kind: 'ended' } as Parameters<typeof outbox.put>[0]['notice'];
    const event = { campaign, kind: 'ended', marker: now, notice } as const;
    assert.deepEqual([await outbox.put(event), await outbox.put(event)], [true, false]);
    const claimed = await outbox.claim();
    assert.deepEqual([claimed?.id, claimed?.tries, await outbox.claim()], ['one', 1, null]);
    assert.ok(claimed);
    await outbox.end(claimed, 0);
    const again = await outbox.claim();
    assert.equal(again?.tries, 2);
    // Whose claim has been taken over ends nothing.
    await outbox.end({ ...claimed, claimedUntil: '1' }, null);
    assert.equal(await redis.hlen(tenant.keys.outbox), 2);
    await outbox.end(again, null);
    assert.equal(await redis.exists(tenant.keys.outbox, tenant.keys.noticesDue), 0);
  }
});
