import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findCampaign } from '../../src/campaign/registry.ts';
import { campaignStatus } from '../../src/campaign/status.ts';
import { submitCampaign } from '../../src/campaign/submit.ts';
import { guidsToBytes } from '../../src/guid.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type Field, openField } from './support.ts';

/** A minute and an hour, as it were: the short window fills three times, then the long one decides. */
const LIMITS = '20/1s,60/5s';
const MINUTE_MS = 1_000;
const LONG_MS = 5_000;
/** Between two looks. */
const LOOK_MS = 100;

interface Look {
  at: number;
  etaMs: number;
  /** When the penalty that stands is over. */
  penaltyMs: number;
  /** When the campaign that comes first is expected to be done. */
  firstMs: number | null;
}

describe('the time of completion, from the first minute on', { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  /** Looks until the campaign is done. */
  async function lookAt(field: Field, name: string): Promise<{ looks: Look[]; doneAt: number }> {
    const { tenant, redis } = field;
    const looks: Look[] = [];
    for (;;) {
      const penaltyMs = Number((await redis.hget(tenant.keys.state, 'cancel:penalty')) ?? 0);
      const { etaAt: firstAt } = await campaignStatus(tenant, 'field');
      const { open, etaAt } = await campaignStatus(tenant, name);
      if (open === 0) break;
      assert.ok(etaAt, 'there is always an estimate while it runs');
      const firstMs = firstAt === null ? null : Date.parse(firstAt);
      looks.push({ at: Date.now(), etaMs: Date.parse(etaAt), penaltyMs, firstMs });
      await delay(LOOK_MS);
    }
    const { decidedAt } = await findCampaign(field.redis, tenant.keys, name);
    return { looks, doneAt: decidedAt ?? Number.NaN };
  }

  /** For whoever reads: how far off depends on how busy the machine is. */
  function tellErrors(t: TestContext, looks: readonly Look[], doneAt: number): void {
    const worst = Math.max(...looks.map(({ etaMs }) => Math.abs(etaMs - doneAt)));
    t.diagnostic(`${looks.length} looks, worst error ${Math.round(worst)} ms`);
  }

  it('is there from the first look to the last, and says how right it was', async (t) => {
    const field = await openField(server, {
      limits: LIMITS,
      ids: 150,
      simulator: { latencyMs: { min: 100, max: 300 } },
    });
    try {
      for (let worker = 0; worker < 2; worker++) field.startWorker();
      const { looks, doneAt } = await lookAt(field, 'field');
      const first = (await field.simulator.calls()).find(({ operation }) => operation === 'cancel');
      const from = (first?.wallMs ?? Number.NaN) + MINUTE_MS;
      const due = looks.filter(({ at }) => at >= from);
      assert.ok(due.length > 0);
      // Two of the longer windows have to pass, whatever the estimate.
      const [earliest] = looks;
      assert.ok(
        earliest && earliest.etaMs > earliest.at + LONG_MS,
        'what does not fit into a window waits for the next',
      );
      tellErrors(t, due, doneAt);
    } finally {
      await field.close();
    }
  });

  it('counts a penalty from when it stands, and the campaigns that come first', async (t) => {
    const field = await openField(server, {
      limits: LIMITS,
      ids: 60,
      simulator: { latencyMs: { min: 5, max: 50 } },
    });
    try {
      const more = makeActions({ count: 50, seed: 4 });
      await field.simulator.addActions(more.actions);
      const parts = (async function* () {
        yield guidsToBytes(more.ids);
      })();
      const wanted = { name: 'second', comment: 'test', now: Date.now(), priority: 9 };
      await submitCampaign(field.tenant, wanted, parts);
      const fault = { kind: 'status', status: 429, retryAfter: 2 } as const;
      await field.simulator.addFault({ operation: 'cancel', ids: [field.ids[45] ?? ''], times: 1, fault });
      field.startWorker();
      const { looks, doneAt } = await lookAt(field, 'second');
      const calls = await field.simulator.calls();
      const refused = calls.find(({ status }) => status === 429);
      assert.ok(refused, 'there was a penalty');
      const held = looks.filter(({ at, penaltyMs }) => penaltyMs > at);
      assert.ok(held.length > 0, 'it was seen');
      for (const { etaMs, penaltyMs } of held)
        assert.ok(etaMs >= Math.floor(penaltyMs), 'nothing ends before it is over');
      for (const { etaMs, firstMs } of looks)
        assert.ok(firstMs === null || etaMs >= firstMs - LOOK_MS, 'the first ends first');
      tellErrors(t, held, doneAt);
    } finally {
      await field.close();
    }
  });
});
