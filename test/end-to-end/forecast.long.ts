import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { guidsToBytes } from '../../src/base/guid.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type Field, openField } from './support.ts';

/** A minute and an hour, as it were: the short window fills three times, then the long one decides. */
const LIMITS = '20/2s,60/10s';
const MINUTE_MS = 2_000;
/** Between two looks. */
const LOOK_MS = 100;
/** The larger of the two may be missed. */
const SHARE = 0.02;
const LEAST_MS = 500;

interface Look {
  at: number;
  etaMs: number;
}

describe('the time of completion, from the first minute on', { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  /** Looks until the campaign is done. */
  async function lookAt(field: Field, name: string): Promise<{ looks: Look[]; doneAt: number }> {
    const { tenant } = field;
    const looks: Look[] = [];
    for (;;) {
      const { open, etaAt } = await campaignStatus(tenant, name);
      if (open === 0) break;
      assert.ok(etaAt, 'there is always an estimate while it runs');
      looks.push({ at: Date.now(), etaMs: Date.parse(etaAt) });
      await delay(LOOK_MS);
    }
    const { decidedAt } = await findCampaign(field.redis, tenant.keys, name);
    return { looks, doneAt: decidedAt ?? Number.NaN };
  }

  function assertRight(t: TestContext, looks: readonly Look[], doneAt: number): void {
    let worst = 0;
    for (const { at, etaMs } of looks) {
      const allowed = Math.max(LEAST_MS, SHARE * (doneAt - at));
      const error = etaMs - doneAt;
      worst = Math.max(worst, Math.abs(error));
      assert.ok(
        Math.abs(error) <= allowed,
        `${doneAt - at} ms before the end the estimate is off by ${error} ms`,
      );
    }
    t.diagnostic(`${looks.length} looks, worst error ${Math.round(worst)} ms`);
  }

  it('is right within 2 % of what remains, or half a second', async (t) => {
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
      assert.ok(due.length > 50, `${due.length} looks`);
      assertRight(t, due, doneAt);
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
      const fault = { kind: 'status', status: 429, retryAfter: 4 } as const;
      await field.simulator.addFault({ operation: 'cancel', ids: [field.ids[45] ?? ''], times: 1, fault });
      field.startWorker();
      const { looks, doneAt } = await lookAt(field, 'second');
      const calls = await field.simulator.calls();
      const refused = calls.find(({ status }) => status === 429);
      assert.ok(refused, 'there was a penalty');
      // Its answer has to arrive.
      const due = looks.filter(({ at }) => at > refused.wallMs + 100);
      assert.ok(due.length > 50, `${due.length} looks`);
      assertRight(t, due, doneAt);
    } finally {
      await field.close();
    }
  });
});
