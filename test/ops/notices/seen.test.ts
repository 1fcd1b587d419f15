import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { eventsOf } from '../../../src/ops/notices/notice.ts';
import { createOutbox } from '../../../src/ops/notices/outbox.ts';
import { createWatcher } from '../../../src/ops/notices/seen.ts';
import { forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { findCampaign, listCampaigns } from '../../../src/store/campaign/registry.ts';
import { campaignStatus } from '../../../src/store/campaign/status.ts';
import { retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';

let server: TestRedis;
before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

async function submit(tenant: TestTenant, name: string, ids: Buffer): Promise<void> {
  const parts = (async function* () {
    yield ids;
  })();
  await submitCampaign(tenant, { name, comment: 'test', now: Date.now() }, parts);
}

/** An owner of two ids, a campaign that follows both, and what notices see of that one. */
async function openScene() {
  const tenant = await newTenant(await server.connect());
  const { redis, keys } = tenant;
  const ids = newIds(2);
  await submit(tenant, 'owner', ids);
  await submit(tenant, 'follower', ids);
  const watch = createWatcher({ ...tenant, noteOver: createOutbox(tenant).noteOver });
  const hold = { reason: 'upstream', until: null, detail: '503' };
  const at = { tenant: tenant.label, askedSince: 0, holdMs: 0, quietMs: 0, held: { hold, since: 0 } };
  return {
    tenant,
    ids,
    decide: async (of: Buffer) => {
      for (let index = 0; index < of.length / 16; index++)
        await createProbe(tenant).decide(idAt(of, index), 1, 'cancelled');
    },
    /** Kinds of what there is to tell of it; its numbers are those of its status. */
    look: async () => {
      const seen = (await watch(await listCampaigns(redis, keys), Date.now())).find(
        ({ campaign }) => campaign.name === 'follower',
      );
      assert.ok(seen);
      const { state, total, open, unknown, outcomes, tracked } = await campaignStatus(tenant, 'follower');
      assert.deepEqual(seen.numbers, { state, total, open, unknown, outcomes, tracked });
      return eventsOf(seen, { ...at, now: Date.now() + 1 }).map(({ kind, marker }) => ({ kind, marker }));
    },
  };
}

it('a campaign that only follows has ended when what it follows has, once, and again after a retry there', async () => {
  const { tenant, ids, decide, look } = await openScene();
  assert.deepEqual(
    (await look()).map(({ kind }) => kind),
    ['held'],
  );
  await decide(ids.subarray(0, 16));
  assert.deepEqual(
    (await look()).map(({ kind }) => kind),
    ['held'],
  );
  await decide(ids.subarray(16));
  const [ended, ...more] = await look();
  assert.deepEqual([ended?.kind, more], ['ended', []]);
  const other = newIds(1);
  await submit(tenant, 'owner', other);
  assert.deepEqual(await look(), [ended], 'what else its owner does is nothing to it');
  await retryCampaign(tenant, 'owner', ['cancelled'], TESTER);
  assert.deepEqual(
    (await look()).map(({ kind }) => kind),
    ['held'],
  );
  await decide(ids);
  const [again] = await look();
  assert.equal(again?.kind, 'ended');
  assert.ok(again.marker > (ended?.marker ?? 0), 'it is another time');
  await decide(other);
  const isForgotten = await forgetCampaign(
    tenant,
    await findCampaign(tenant.redis, tenant.keys, 'owner'),
    Number.MAX_SAFE_INTEGER,
  );
  assert.equal(isForgotten, true);
  assert.deepEqual(await look(), [again], 'that its outcomes are unknown now is no other end');
});

it('a campaign that only follows what is paused waits for a person, not for what holds', async () => {
  const { tenant, look } = await openScene();
  await steer(tenant, 'owner', 'pause', TESTER);
  assert.deepEqual(await look(), []);
});

it('what had ended when it was submitted has ended then', async () => {
  const { tenant, ids, decide, look } = await openScene();
  await decide(ids);
  const { createdAt } = await findCampaign(tenant.redis, tenant.keys, 'follower');
  assert.deepEqual(await look(), [{ kind: 'ended', marker: createdAt }]);
});
