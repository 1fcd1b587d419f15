import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { type Attempt, readAttempts } from '../../../src/store/ledger/attempts.ts';
import type { FinishAsk } from '../../../src/store/ledger/calls.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { newRequest, type Probe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import type { TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';

const FREE = { RATE_LIMITS: '1000000/1m', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '100' };

/** Claims that lapse soon. */
const BRIEF = { ...FREE, CALL_TIMEOUT: '100ms' };

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
    ({ tenant, probe, number, id } = await newRequest(redis, env));
  }

  async function finish(how: Partial<FinishAsk>): Promise<void> {
    await probe.finish(id, number, await probe.grant(id, number), how);
  }

  function attempts(): Promise<Attempt[]> {
    return readAttempts(redis, tenant.keys, number, id);
  }

  async function endings(): Promise<string[]> {
    return (await attempts()).map(({ operation, end, fate }) => `${operation} ${end} ${fate}`);
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
    const [first, second, ...rest] = await attempts();
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

  it('keep the head of a long message, and no character by half', async () => {
    const head = `${'Ä'.repeat(99)}x`;
    for (const errorMessage of [`${head}${'€'.repeat(60)}`, `${'Ä'.repeat(98)}abcd`, 'a'.repeat(300)])
      await eventually(() =>
        finish({ ...LOST, verdict: { ...LOST.verdict, delayMs: 1, detail: { errorMessage } } }),
      );
    assert.deepEqual(
      (await attempts()).map(({ errorMessage }) => errorMessage),
      [head, `${'Ä'.repeat(98)}abcd`, 'a'.repeat(200)],
    );
  });

  it('are noted where a call could not be sent for want of a connection', async () => {
    const detail = { errorCode: 'ECONNREFUSED' };
    const verdict = { kind: 'retry', delayMs: 0, uncertain: false, costsAttempt: false, detail } as const;
    await finish({ slotFate: 'unsent', sign: 'fault', verdict });
    assert.deepEqual(
      (await attempts()).map(({ end, fate, errorCode }) => [end, fate, errorCode]),
      [['retry', 'unsent', 'ECONNREFUSED']],
    );
  });

  it('say of the last one that nothing was waited for', async () => {
    const verdict = { ...LOST.verdict, delayMs: 1 };
    await finish({ ...LOST, verdict });
    const last = await eventually(() => probe.grant(id, number));
    await redis.hset(tenant.keys.campaign(number), 'state', 'aborted');
    await probe.finish(id, number, last, { ...LOST, verdict });
    assert.equal((await probe.look(id))?.state, 'unresolved');
    assert.deepEqual(
      (await attempts()).map(({ waitMs }) => waitMs),
      [1, 0],
    );
  });

  it('name a worker that did not come back', async () => {
    await use(BRIEF);
    await probe.grant(id, number);
    await eventually(() => probe.grant(id, number));
    assert.deepEqual(await endings(), ['cancel lapsed lost']);
  });

  it('name it also where its campaign was aborted before another worker came', async () => {
    await use(BRIEF);
    await probe.grant(id, number);
    await redis.hset(tenant.keys.campaign(number), 'state', 'aborted');
    await eventually(async () => {
      await tenant.ledger.end(number, id, 'withdrawn');
      assert.equal((await probe.look(id))?.state, 'unresolved');
    });
    assert.deepEqual(await endings(), ['cancel lapsed lost']);
  });

  it('tell a look with Get that was lost from a cancel', async () => {
    await use(BRIEF);
    await finish({ verdict: { kind: 'check', detail: { httpStatus: 400 } } });
    await probe.grant(id, number, { operation: 'get' });
    await eventually(async () => {
      // Whoever takes it over asks for a cancel first.
      assert.equal((await probe.begin(id, number)).answer.kind, 'check');
    });
    assert.deepEqual(await endings(), ['cancel check answered', 'get lapsed lost']);
  });

  it('stay within their bounds, the last ones kept', async () => {
    // Its bytes are an odd number: it is cut within a letter.
    const message = `a${'ü'.repeat(500)}`;
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
    assert.ok(kept.every(({ errorMessage }) => errorMessage.startsWith('aü')));
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
