import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { forgetCampaign } from '../../src/campaign/forget.ts';
import { findCampaign } from '../../src/campaign/registry.ts';
import { type Attempt, readAttempts } from '../../src/ledger/attempts.ts';
import type { FinishAsk } from '../../src/ledger/calls.ts';
import type { RedisClient } from '../../src/script.ts';
import { createProbe, newIds, type Probe } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

const FREE = { RATE_LIMITS: '1000000/1m', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '100' };

/** What a lost answer is. */
const LOST = {
  slotFate: 'lost',
  sign: 'none',
  verdict: {
    kind: 'retry',
    delayMs: 0,
    uncertain: true,
    costsAttempt: true,
    detail: { errorCode: 'ECONNRESET', errorMessage: 'Zürich – „weg“\n' },
  },
} as const satisfies Partial<FinishAsk>;

describe('the attempts that decided nothing', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;
  let id: Buffer;

  async function use(env: Record<string, string>): Promise<void> {
    tenant = await newTenant(redis, env);
    probe = createProbe(tenant);
    number = await probe.campaign('campaign');
    id = newIds(1);
    await tenant.ledger.submit(number, id);
  }

  async function finish(how: Partial<FinishAsk>): Promise<void> {
    await probe.finish(id, number, await probe.grant(id, number), how);
  }

  function attempts(of = id): Promise<Attempt[]> {
    return readAttempts(redis, tenant.keys, number, of);
  }

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(() => use(FREE));
  after(() => server.close());

  it('are noted in their order, with what was said and what it was waited for', async () => {
    await finish(LOST);
    const detail = { httpStatus: 429, errorCode: 'TooManyRequests', correlationId: 'c-1' };
    await finish({
      slotFate: 'answered',
      sign: 'none',
      penaltyMs: 1,
      verdict: { kind: 'wait', delayMs: 0, detail },
    });
    const [first, second, ...rest] = await eventually(async () => {
      const found = await attempts();
      assert.equal(found.length, 2);
      return found;
    });
    assert.deepEqual(rest, []);
    const common = { generation: 1, operation: 'cancel' } as const;
    assert.deepEqual(
      { ...first, at: 0 },
      {
        ...common,
        at: 0,
        end: 'retry',
        fate: 'lost',
        waitMs: 0,
        httpStatus: null,
        errorCode: 'ECONNRESET',
        errorMessage: 'Zürich – „weg“\n',
        correlationId: '',
      },
    );
    assert.deepEqual(
      { ...second, at: 0 },
      {
        ...common,
        at: 0,
        end: 'wait',
        fate: 'answered',
        waitMs: 1,
        httpStatus: 429,
        errorCode: 'TooManyRequests',
        errorMessage: '',
        correlationId: 'c-1',
      },
    );
    assert.ok((first?.at ?? 0) > Date.now() - 60_000 && (second?.at ?? 0) >= (first?.at ?? 0));
  });

  it('are not noted of a call that decides, nor of one that was given back before it left', async () => {
    await tenant.ledger.giveBack(
      { id, operation: 'cancel', campaign: number },
      await probe.grant(id, number),
    );
    await finish({ verdict: { kind: 'decided', outcome: 'cancelled', detail: {} } });
    assert.deepEqual(await attempts(), []);
    assert.equal(
      await redis.exists(tenant.keys.attempts(number)),
      0,
      'they cost nothing where there are none',
    );
  });

  it('name a worker that did not come back', async () => {
    await use({ ...FREE, CALL_TIMEOUT: '100ms' });
    await probe.grant(id, number);
    await eventually(() => probe.grant(id, number), 2_000);
    const [only, ...rest] = await attempts();
    assert.deepEqual([only?.end, only?.fate, rest.length], ['lapsed', 'lost', 0]);
  });

  it('stay within their bounds, the last ones kept', async () => {
    const message = 'ü'.repeat(500);
    const detail = (turn: number) => ({ errorCode: `E${turn}`, errorMessage: message });
    for (let turn = 0; turn < 90; turn++) {
      await finish({ ...LOST, verdict: { ...LOST.verdict, detail: detail(turn) } });
    }
    const kept = await attempts();
    assert.equal(kept.at(-1)?.errorCode, 'E89');
    assert.deepEqual(
      kept.map(({ errorCode }) => errorCode),
      Array.from({ length: kept.length }, (_, i) => `E${90 - kept.length + i}`),
    );
    assert.ok(kept.length >= 5);
    assert.ok(Number(await redis.hstrlen(tenant.keys.attempts(number), id)) < 5_000);
  });

  it('go when their campaign is forgotten', async () => {
    await finish(LOST);
    await finish({ verdict: { kind: 'decided', outcome: 'cancelled', detail: {} } });
    assert.equal((await attempts()).length, 1);
    await forgetCampaign(tenant, await findCampaign(redis, tenant.keys, 'campaign'), Number.MAX_SAFE_INTEGER);
    assert.deepEqual(await attempts(), []);
  });
});
