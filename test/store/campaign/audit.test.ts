import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { noteInbox } from '../../../src/queue/inbox/history.ts';
import { appendAudit, readAudit } from '../../../src/store/campaign/audit.ts';
import { steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { TESTER } from '../../support/actor.ts';
import { newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant } from '../../support/tenant.ts';

describe('the history of a campaign', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('keeps who acted, however often others export it or send single cancels to it', async () => {
    const tenant = await newTenant(await server.connect());
    const parts = (async function* () {
      yield newIds(1);
    })();
    const wanted = { name: 'undo', comment: 'test', now: Date.now() };
    await submitCampaign(tenant, wanted, parts, { expected: 1, actor: TESTER });
    await steer(tenant, 'undo', 'pause', TESTER);
    // As many as push out whatever stands in a stream with them, which is trimmed by whole nodes.
    const many = Array.from({ length: 10_300 }, (_, index) => index);
    const reader = { by: 'reader@elsewhere', command: 'console: export undo' };
    for (let from = 0; from < many.length; from += 500)
      await Promise.all(
        many.slice(from, from + 500).flatMap((index) => [
          appendAudit(tenant, 1, { ...reader, action: 'export', detail: 'csv' }),
          // Who writes to the inbox names itself as it likes.
          ...(index % 20 === 0 ? [noteInbox(tenant, 1, `service ${index}`, 1)] : []),
        ]),
      );
    const kept = (await readAudit(tenant, 1)).filter(({ by }) => by === TESTER.by);
    assert.deepEqual(
      kept.map(({ action }) => action),
      ['submit', 'pause'],
    );
    const { keys, redis } = tenant;
    assert.equal(await redis.xlen(keys.audit(1)), 2);
    assert.ok((await redis.xlen(keys.auditLooks(1))) < 10_300, 'what looks is bounded, too');
    const last = await readAudit(tenant, 1, 10);
    assert.deepEqual(
      ['submit', 'pause', 'export'].map((action) => last.filter((entry) => entry.action === action).length),
      [11, 1, 10],
    );
  });
});
