import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { guidToBytes } from '../../../src/base/guid.ts';
import type { CancelResult } from '../../../src/base/outcome.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { reportCampaign } from '../../../src/store/campaign/report.ts';
import { makeFinished } from '../../support/finished.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';

const CAMPAIGN = 'undo';
const FINISHED = 1_500;
const OPEN = 20;

describe('a report of a campaign that changes meanwhile', () => {
  let server: TestRedis;
  let tenant: TestTenant;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  async function fill(): Promise<Buffer> {
    tenant = await newTenant(await server.connect());
    const startedAt = Date.now() - 3_600_000;
    await makeFinished(tenant, { campaign: CAMPAIGN, count: FINISHED, startedAt, stepMs: 1 });
    const open = newIds(OPEN);
    await tenant.ledger.submit(1, open);
    return open;
  }

  /** The ids of the lines in order; `change` runs once the first one is there. */
  async function idsWhile(change: () => Promise<void>): Promise<string[]> {
    const ids: string[] = [];
    const campaign = await findCampaign(tenant.redis, tenant.keys, CAMPAIGN);
    for await (const { machineActionId } of reportCampaign(tenant, campaign)) {
      if (ids.push(machineActionId) === 1) await change();
    }
    return ids;
  }

  async function results(): Promise<CancelResult[]> {
    const campaign = await findCampaign(tenant.redis, tenant.keys, CAMPAIGN);
    const lines: CancelResult[] = [];
    for await (const line of reportCampaign(tenant, campaign)) if (line.decidedAt !== null) lines.push(line);
    return lines;
  }

  function assertEachOnce(ids: readonly string[]): void {
    assert.equal(ids.length, FINISHED + OPEN);
    assert.equal(new Set(ids).size, ids.length, 'an id has two lines');
  }

  it('has each id once while all of them are verified', async () => {
    await fill();
    const decided = await results();
    const verifyAll = async () => {
      for (const [index, { machineActionId, decidedAt }] of decided.entries()) {
        await tenant.ledger.verify({
          id: guidToBytes(machineActionId),
          campaign: 1,
          position: index + 1,
          decidedAt: Date.parse(decidedAt),
          detail: { verifiedAt: Date.now() },
        });
      }
    };
    assertEachOnce(await idsWhile(verifyAll));
    const after = await results();
    assert.ok(after.every(({ verifiedAt }) => verifiedAt !== undefined));
    assert.equal(after.length, FINISHED);
  });

  it('has each id once while what is open is decided, and what is decided opens again', async () => {
    const open = await fill();
    const probe = createProbe(tenant);
    const change = async () => {
      for (let index = 0; index < OPEN / 2; index++) await probe.decide(idAt(open, index), 1, 'cancelled');
      const ids = await tenant.redis.lrangeBuffer(tenant.keys.ids(1), -OPEN - 100, -OPEN - 1);
      await tenant.ledger.retry(1, Buffer.concat(ids), ['cancelled', 'accepted', 'already_final']);
    };
    assertEachOnce(await idsWhile(change));
  });

  it('of one that is complete reads no list', async () => {
    tenant = await newTenant(await server.connect());
    await makeFinished(tenant, { campaign: CAMPAIGN, count: 600, startedAt: Date.now(), stepMs: 1 });
    await tenant.redis.del(tenant.keys.ids(1));
    assert.equal((await results()).length, 600);
  });
});
