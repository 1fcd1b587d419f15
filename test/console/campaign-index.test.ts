import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { bytesToGuid } from '../../src/base/guid.ts';
import { type CampaignIndex, createCampaignIndex } from '../../src/console/campaign-index.ts';
import { createFinder, readWanted } from '../../src/console/requests.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { reportCampaign } from '../../src/store/campaign/report.ts';
import { retryCampaign } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import { makeFinished } from '../support/finished.ts';
import { createProbe, idAt, newIds } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';

describe('what the console knows of a campaign', () => {
  let server: TestRedis;
  let tenant: TestTenant;

  before(async () => {
    server = await openTestRedis();
    tenant = await newTenant(await server.connect());
  });
  after(() => server.close());

  /** By id, as a report of that moment has it. */
  async function reported(name: string): Promise<Map<string, string>> {
    const lines = new Map<string, string>();
    const campaign = await findCampaign(tenant.redis, tenant.keys, name);
    for await (const line of reportCampaign(tenant, campaign)) {
      lines.set(
        line.machineActionId,
        [line.outcome ?? 'open', line.campaign, line.httpStatus ?? 0, line.decidedAt ?? ''].join(),
      );
    }
    return lines;
  }

  async function assertSame(index: CampaignIndex, name: string): Promise<void> {
    const { rows } = await index.read();
    const known = rows.map((row) => {
      const own = row.elsewhere === '';
      const at = row.decidedAt > 0 ? new Date(row.decidedAt).toISOString() : '';
      const words = [row.outcome, own ? name : row.elsewhere, row.httpStatus, at];
      return [row.id, words.join()] as const;
    });
    const expected = await reported(name);
    assert.equal(known.length, expected.size);
    for (const [id, words] of known) assert.equal(expected.get(id), words, id);
  }

  it('is what a report says, whatever happens to the campaign', async () => {
    const probe = createProbe(tenant);
    await makeFinished(tenant, { campaign: 'a', count: 2_500, startedAt: Date.now() - 60_000, stepMs: 1 });
    const a = (await findCampaign(tenant.redis, tenant.keys, 'a')).number;
    const index = createCampaignIndex(tenant, a);
    await assertSame(index, 'a');
    const { version } = await index.read();
    assert.equal((await index.read()).version, version, 'nothing happened');

    const ids = newIds(6);
    await tenant.ledger.submit(a, ids);
    await assertSame(index, 'a');
    for (const at of [0, 1, 2]) await probe.decide(idAt(ids, at), a, 'unresolved');
    await assertSame(index, 'a');
    assert.notEqual((await index.read()).version, version);

    assert.equal(await retryCampaign(tenant, 'a', ['unresolved'], TESTER), 3);
    await assertSame(index, 'a');
    await probe.decide(idAt(ids, 0), a, 'cancelled');
    await assertSame(index, 'a');
    assert.equal((await index.read()).placesOf(bytesToGuid(ids)).length, 2, 'both of its outcomes are known');

    const b = await probe.campaign('b');
    await tenant.ledger.submit(b, Buffer.concat([idAt(ids, 0), idAt(ids, 5), newIds(1)]));
    const other = createCampaignIndex(tenant, b);
    await assertSame(other, 'b');
    assert.deepEqual(
      (await other.read()).rows.map(({ outcome, elsewhere }) => `${outcome} ${elsewhere}`),
      ['cancelled a', 'open a', 'open '],
    );
    const seen = (await other.read()).version;
    await probe.decide(idAt(ids, 5), a, 'unresolved');
    await assertSame(other, 'b');
    assert.notEqual((await other.read()).version, seen, 'what it tracks has ended');
    await tenant.ledger.submit(b, idAt(ids, 5));
    for (const [name, known] of [
      ['a', index],
      ['b', other],
    ] as const)
      await assertSame(known, name);
    await probe.decide(idAt(ids, 5), b, 'cancelled');
    await assertSame(other, 'b');
    await assertSame(index, 'a');
  });

  it('is filtered, sorted and paged, what says nothing last', async () => {
    const index = createCampaignIndex(tenant, 1);
    const indexed = await index.read();
    const find = createFinder();
    const of = (query: Record<string, string>) => find.search(indexed, readWanted(query));
    const all = indexed.rows;
    const missing = of({ outcome: 'not_found', size: '500' });
    assert.equal(missing.total, all.filter(({ outcome }) => outcome === 'not_found').length);
    for (const dir of ['asc', 'desc']) {
      const { rows, pages } = of({ sort: 'device', dir, size: '500', page: '1' });
      assert.equal(pages, Math.ceil(all.length / 500));
      const named = rows.map(({ device }) => device);
      assert.deepEqual(named, dir === 'asc' ? named.toSorted() : named.toSorted().toReversed());
      const last = of({ sort: 'device', dir, size: '50', page: '9999' });
      assert.equal(last.page, last.pages);
      assert.equal(last.rows.at(-1)?.device, '');
    }
    const [row] = all;
    assert.ok(row);
    assert.deepEqual(of({ q: `${row.id.toUpperCase().slice(0, 13)} ${row.type.slice(0, 4)}` }).rows, [row]);
    assert.equal(of({ q: 'no such thing' }).total, 0);
    assert.deepEqual(
      of({ sort: 'constructor', size: '7', page: '-1' }).rows,
      all.slice(0, 50),
      'nonsense is as nothing',
    );
  });
});
