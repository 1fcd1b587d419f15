import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { silentLog } from '../../../src/base/log.ts';
import { readAudit } from '../../../src/store/campaign/audit.ts';
import { forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../../../src/store/campaign/report.ts';
import { retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { createSweep } from '../../../src/store/campaign/sweep.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';

describe('what ends under somebody else’s hands', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  async function tenantWith(names: Readonly<Record<string, Buffer>>, more = {}): Promise<TestTenant> {
    const tenant = await newTenant(await server.connect(), {
      RATE_LIMITS: '100000/1s',
      URGENT_RESERVE: 'none',
    });
    for (const [name, ids] of Object.entries(names)) await submit(tenant, name, ids, more);
    return tenant;
  }

  async function submit(tenant: TestTenant, name: string, ids: Buffer, more = {}): Promise<void> {
    const parts = (async function* () {
      yield ids;
    })();
    await submitCampaign(tenant, { name, comment: 'test', now: Date.now(), ...more }, parts);
  }

  async function decideAll(tenant: TestTenant, name: string, ids: Buffer): Promise<void> {
    const { number } = await findCampaign(tenant.redis, tenant.keys, name);
    for (let at = 0; at < ids.length / 16; at++) {
      await createProbe(tenant).decide(idAt(ids, at), number, 'cancelled');
    }
  }

  const find = ({ redis, keys }: TestTenant, name: string) => findCampaign(redis, keys, name);

  async function all(lines: AsyncIterable<ReportLine>): Promise<ReportLine[]> {
    const taken: ReportLine[] = [];
    for await (const line of lines) taken.push(line);
    return taken;
  }

  for (const again of ['open', 'decided'] as const) {
    for (const which of ['given already', 'still to come'] as const) {
      it(`an id that is retried during a report has one line: ${which}, ${again} again`, async () => {
        const [ids, open] = [newIds(1_000), newIds(20)];
        const tenant = await tenantWith({ retried: Buffer.concat([ids, open]) });
        await decideAll(tenant, 'retried', ids);
        const campaign = await find(tenant, 'retried');
        const lines = reportCampaign(tenant, campaign);
        const first = await lines.next();
        assert.ok(!first.done);
        const from = which === 'given already' ? 0 : 900;
        const retried = ids.subarray(16 * from, 16 * (from + 50));
        await tenant.ledger.retry(campaign.number, retried, ['cancelled']);
        if (again === 'decided') await decideAll(tenant, 'retried', retried);
        const seen = [first.value, ...(await all(lines))].map(({ machineActionId }) => machineActionId);
        assert.deepEqual([seen.length, new Set(seen).size], [1_020, 1_020]);
      });
    }
  }

  it('ids of a campaign whose owner was deleted still have a line', async () => {
    const ids = newIds(5);
    const tenant = await tenantWith({ owner: ids });
    await decideAll(tenant, 'owner', ids);
    await submit(tenant, 'other', ids);
    await forgetCampaign(tenant, await find(tenant, 'owner'), Number.MAX_SAFE_INTEGER);
    const lines = await all(reportCampaign(tenant, await find(tenant, 'other')));
    assert.deepEqual(
      lines.map(({ outcome, campaign }) => [outcome, campaign]),
      Array.from({ length: 5 }, () => ['unknown', '']),
    );
  });

  it('a report of a campaign that is deleted meanwhile fails instead of ending early', async () => {
    const ids = newIds(600);
    const tenant = await tenantWith({ gone: ids });
    await decideAll(tenant, 'gone', ids);
    const campaign = await find(tenant, 'gone');
    const lines = reportCampaign(tenant, campaign);
    await lines.next();
    await forgetCampaign(tenant, campaign, Number.MAX_SAFE_INTEGER);
    await assert.rejects(
      all(lines),
      /campaign "gone" was deleted while its report was read; the report is incomplete/,
    );
  });

  it('a name that was given anew is not taken away by who still deletes the old one', async () => {
    const ids = newIds(3);
    const tenant = await tenantWith({ name: ids });
    await decideAll(tenant, 'name', ids);
    const old = await find(tenant, 'name');
    await forgetCampaign(tenant, old, Number.MAX_SAFE_INTEGER);
    await submit(tenant, 'name', newIds(2));
    // The slower of two that delete it: it had found the campaign closed before the first one removed it.
    await tenant.redis.hset(tenant.keys.campaign(old.number), { state: 'deleted' });
    await forgetCampaign(tenant, old, Number.MAX_SAFE_INTEGER);
    assert.equal((await find(tenant, 'name')).open, 2);
    assert.equal(await tenant.redis.exists(tenant.keys.campaign(old.number)), 0);
  });

  it('a retry that is refused is not in the history', async () => {
    const ids = newIds(2);
    const tenant = await tenantWith({ closed: ids });
    await decideAll(tenant, 'closed', ids.subarray(0, 16));
    await steer(tenant, 'closed', 'abort', TESTER);
    await assert.rejects(retryCampaign(tenant, 'closed', ['cancelled'], TESTER), { code: 'CAMPAIGN_CLOSED' });
    const { number } = await find(tenant, 'closed');
    assert.deepEqual(
      (await readAudit(tenant, number)).map(({ action }) => action),
      ['abort'],
    );
  });

  it('a campaign expires by Redis’ clock, whatever the clock of the one that ends it', async () => {
    const ids = newIds(4);
    const expiresAt = Date.now() + 1_800_000;
    const tenant = await tenantWith({ lasting: ids }, { expiresAt });
    const hourAhead = () => Date.now() + 3_600_000;
    const sweep = createSweep({ ...tenant, log: silentLog, wall: hourAhead });
    await sweep.endDue();
    await sweep.endCampaigns();
    const { state, open } = await find(tenant, 'lasting');
    assert.deepEqual([state, open], ['running', 4]);
  });
});
