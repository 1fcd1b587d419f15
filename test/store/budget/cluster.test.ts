import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCluster } from '../../gauntlet/place.ts';
import { newWorker } from '../../support/epoch.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { newTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';
import { atEnd } from '../redis/support/machine.ts';

const GRACE_MS = 200;

test('a replica of a cluster takes over, and no connection breaks: a new epoch opens, with the slots it did not have', async (t) => {
  const place = await openCluster();
  atEnd(t, () => place.close());
  const redis = await place.connect();
  const tenant = await newTenant(redis, { RATE_LIMITS: '5/1m', URGENT_RESERVE: 'none' });
  await place.nodes?.watch(tenant.keys.state);
  const campaign = await createProbe(tenant).campaign('campaign');
  const ids = newIds(10);
  await tenant.ledger.submit(campaign, ids);
  const worker = newWorker(tenant, GRACE_MS);
  const before = await place.server();
  for (let index = 0; index < 5; index++) await worker.probe.decide(idAt(ids, index), campaign, 'cancelled');
  // Waits until the replica has everything, so that only the process tells it from the old master. WAIT waits for what
  // its own connection wrote, and so for all that was written before that.
  await before.admin.set(`${tenant.keys.prefix}:written`, '1');
  assert.equal(await before.admin.wait(1, 60_000), 1);
  await place.nodes?.takeOver();
  await eventually(async () => assert.notEqual((await place.server()).port, before.port));
  const { answer } = await eventually(() => worker.probe.begin(idAt(ids, 5), campaign));
  assert.ok(answer.kind === 'hold' && answer.reason === 'grace', JSON.stringify(answer));
  assert.equal(await redis.hget(tenant.keys.state, 'why'), 'restarted');
  assert.equal(await redis.zcard(tenant.keys.slots('cancel')), 5);
});
