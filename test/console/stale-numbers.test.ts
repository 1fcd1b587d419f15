import assert from 'node:assert/strict';
import { it } from 'node:test';
import { bytesToGuid } from '../../src/base/guid.ts';
import { createCampaignIndex } from '../../src/console/campaign-index.ts';
import { createTenantLook } from '../../src/console/tenant-look.ts';
import { reportCampaign } from '../../src/store/campaign/report.ts';
import { createProbe, newIds } from '../support/ledger.ts';
import { openTestRedis } from '../support/redis.ts';
import { newTenant, skipGrace } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

it('what is known of a campaign is not shown as another’s that has its number since Redis lost its data', async (t) => {
  const server = await openTestRedis();
  t.after(() => server.close());
  const tenant = await newTenant(await server.connect(), {
    RATE_LIMITS: '1000000/1s',
    URGENT_RESERVE: 'none',
  });
  const { redis, keys, ledger } = tenant;
  const probe = createProbe(tenant);

  /** The first campaign, with one id that is cancelled. */
  async function first(name: string): Promise<string> {
    const id = newIds(1);
    assert.equal(await probe.campaign(name), 1);
    await ledger.submit(1, id);
    await probe.decide(id, 1, 'cancelled');
    // As the feeder does with one that has nothing left.
    await redis.zrem(keys.running, 1);
    return bytesToGuid(id);
  }

  const index = createCampaignIndex(tenant, 1);
  const look = createTenantLook(tenant);
  // A look is shared for a second.
  const assertShown = (id: string, name: string) =>
    eventually(async () => {
      assert.deepEqual(
        (await index.read()).rows.map((row) => row.id),
        [id],
      );
      assert.deepEqual(
        (await look.look()).ended.map(({ campaign }) => campaign.name),
        [name],
      );
    }, 10_000);
  const before = await first('before');
  await assertShown(before, 'before');
  const report = reportCampaign(tenant, await probe.read(1));
  assert.equal((await report.next()).value?.machineActionId, before);

  await redis.unlink(...(await redis.keys(`${keys.prefix}:*`)));
  await skipGrace(redis, keys);
  const since = await first('since');
  await assertShown(since, 'since');
  await assert.rejects(report.next(), { code: 'CAMPAIGN_UNKNOWN' });
});
