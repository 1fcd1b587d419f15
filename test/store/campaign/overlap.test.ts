import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { StanddownError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { OUTCOMES, type Outcome } from '../../../src/base/outcome.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { createSweep } from '../../../src/store/campaign/sweep.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { TESTER } from '../../support/actor.ts';
import { createProbe, idAt, newIds, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant } from '../../support/tenant.ts';

const CAMPAIGNS = ['a', 'b', 'c'] as const;
const IDS = 12;

/** What somebody does, or a worker. Ids by their place. */
type Step =
  | { kind: 'submit'; campaign: string; ids: number[] }
  | { kind: 'steer'; campaign: string; how: 'pause' | 'resume' | 'abort' }
  | { kind: 'retry'; campaign: string; outcomes: Outcome[] }
  | { kind: 'call'; id: number; campaign: number; outcome: Outcome; status: string }
  | { kind: 'crash'; id: number; campaign: number }
  | { kind: 'sweep' };

const campaign = fc.constantFrom(...CAMPAIGNS);
const id = fc.nat({ max: IDS - 1 });
const number = fc.integer({ min: 1, max: CAMPAIGNS.length });
const outcome = fc.constantFrom(...OUTCOMES);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('submit' as const), campaign, ids: fc.array(id) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('steer' as const),
      campaign,
      how: fc.constantFrom('pause' as const, 'resume' as const, 'resume' as const, 'abort' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('retry' as const),
      campaign,
      outcomes: fc.array(outcome, { minLength: 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      id,
      campaign: number,
      outcome,
      status: fc.constantFrom('Cancelled', 'Succeeded', 'Pending'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), id, campaign: number }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'sweep' as const }) },
);

describe('campaigns that name the same ids', () => {
  let server: TestRedis;
  let redis: RedisClient;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  /** Plays steps on a tenant of its own; counts everything again after each. */
  async function play(steps: readonly Step[]): Promise<void> {
    const tenant = await newTenant(redis, {
      RATE_LIMITS: '100000/1h',
      URGENT_RESERVE: 'none',
      CALL_TIMEOUT: '100ms',
    });
    const probe = createProbe(tenant);
    const sweep = createSweep({ ...tenant, log: silentLog, wall: Date.now });
    const ids = newIds(IDS);
    for (const name of CAMPAIGNS) await probe.campaign(name);

    async function act(what: Step): Promise<void> {
      switch (what.kind) {
        case 'submit': {
          const bytes = Buffer.concat(what.ids.map((place) => idAt(ids, place)));
          const parts = (async function* () {
            yield bytes;
          })();
          await submitCampaign(tenant, { name: what.campaign, comment: 'x', now: Date.now() }, parts);
          return;
        }
        case 'steer':
          await steer(tenant, what.campaign, what.how, TESTER);
          return;
        case 'retry':
          await retryCampaign(tenant, what.campaign, what.outcomes, TESTER);
          return;
        case 'sweep':
          await sweep.endCampaigns();
          return;
        case 'call':
        case 'crash': {
          const begun = await probe.begin(idAt(ids, what.id), what.campaign);
          if (begun.answer.kind !== 'granted' || what.kind === 'crash') return;
          const action = {
            status: what.status,
            type: 'Isolate',
            machineId: null,
            computerDnsName: null,
            createdAt: null,
            updatedAt: null,
          };
          const verdict = { kind: 'decided', outcome: what.outcome, detail: { action } } as const;
          await probe.finish(idAt(ids, what.id), begun.campaign, begun.answer, { verdict });
        }
      }
    }

    for (const what of steps) {
      // An aborted campaign takes no more ids and cannot be resumed: that is an answer.
      await act(what).catch((error: unknown) => {
        if (!(error instanceof StanddownError && error.code === 'CAMPAIGN_CLOSED')) throw error;
      });
      for (const name of CAMPAIGNS) {
        await recount(tenant, (await findCampaign(redis, tenant.keys, name)).number);
      }
    }
  }

  it('count exactly, whatever is submitted, paused, aborted, retried, called and lost in whatever order', async () => {
    let played = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
        played += steps.length;
        await play(steps);
      }),
      { numRuns: 40 },
    );
    assert.ok(played > 400, `${played} steps`);
  });
});
