import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Detail, Outcome } from '../../../src/base/outcome.ts';
import { TIMINGS } from '../../../src/config/timings.ts';
import { steer } from '../../../src/store/campaign/steer.ts';
import { PAUSE_AFTER_REFUSALS } from '../../../src/store/ledger/brake.ts';
import type { FinishAsk } from '../../../src/store/ledger/calls.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { TESTER } from '../../support/actor.ts';
import { idAt, newIds, newRequest, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import type { TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';

const FREE = { RATE_LIMITS: '1000000/1m', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '3', CALL_TIMEOUT: '1s' };
const FORBIDDEN: Answer = { outcome: 'forbidden', status: 403, code: 'Forbidden' };
const CANCELLED: Answer = { outcome: 'cancelled', status: 200 };

interface Answer {
  outcome: Outcome;
  status: number;
  code?: string;
  address?: string;
}

describe('the brake', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(async () => {
    ({ tenant, probe, number } = await newRequest(redis, FREE));
  });
  after(() => server.close());

  async function submitted(): Promise<Buffer> {
    const id = newIds(1);
    await tenant.ledger.submit(number, id);
    return id;
  }

  function asked({ outcome, status, code, address }: Answer): Partial<FinishAsk> {
    const detail: Detail = { httpStatus: status, ...(code && { errorCode: code }) };
    return {
      verdict: { kind: 'decided', outcome, detail },
      pauseReason: 'The API said no.',
      ...(address && { address }),
    };
  }

  /** Calls another action of the campaign, which is answered so. Whether that paused it. */
  async function answer(with_: Answer, id?: Buffer): Promise<boolean> {
    const called = id ?? (await submitted());
    const finished = await probe.finish(called, number, await probe.grant(called, number), asked(with_));
    return finished.kind === 'decided' && finished.paused;
  }

  async function answers(with_: Answer, times: number): Promise<boolean> {
    let paused = false;
    for (let n = 0; n < times; n++) paused = await answer(with_);
    return paused;
  }

  const resume = (options = {}) => steer(tenant, 'campaign', 'resume', TESTER, options);

  it('counts what calls brought, and nothing else', async () => {
    await answers(FORBIDDEN, PAUSE_AFTER_REFUSALS - 1);
    // The precheck settles what has ended, a person opens ids again, pauses and resumes, one is ended without a call.
    const status = { status: 'Succeeded', type: null, machineId: null, computerDnsName: null };
    const detail = { action: { ...status, createdAt: null, updatedAt: null } };
    assert.equal((await tenant.ledger.settle(number, await submitted(), detail)).kind, 'settled');
    const again = newIds(1);
    await tenant.ledger.submit(number, again);
    assert.equal((await tenant.ledger.settle(number, again, detail)).kind, 'settled');
    assert.equal(await tenant.ledger.retry(number, again, ['already_final']), 1);
    await steer(tenant, 'campaign', 'pause', TESTER);
    await resume();
    assert.equal((await tenant.ledger.end(number, await submitted(), 'withdrawn')).ended, 1);
    assert.equal(await answer(FORBIDDEN), true);
    const { state, pausedReason, pausedAt } = await probe.read(number);
    assert.equal(state, 'paused');
    assert.match(
      pausedReason ?? '',
      /^Paused after 20 refusals in a row\. The API said no\. .*standdown resume campaign/,
    );
    assert.ok(pausedAt !== null && pausedAt > 0);
    await recount(tenant, number);
  });

  it('says by which commands it goes on, as they work where there are several tenants', async () => {
    const refused = { pausedReason: 'The API said no.', forbidden: 20, not_found: 20 };
    await tenant.redis.hset(tenant.keys.campaign(number), refused);
    const commandsFor = async (refusedAs: string) => {
      await tenant.redis.hset(tenant.keys.campaign(number), 'refusedAs', refusedAs);
      const { pausedReason } = await probe.read(number);
      return [...(pausedReason ?? '').matchAll(/"(standdown [^"]+)"/g)].map(([, command]) => command);
    };
    const at = `--tenant ${tenant.label}`;
    const known = (outcome: string) => [
      `standdown resume campaign ${at}`,
      `standdown retry campaign --outcome ${outcome} ${at}`,
      `standdown resume campaign --accept-refusals ${at}`,
    ];
    assert.deepEqual(await commandsFor('forbidden 403 Forbidden'), known('forbidden'));
    const unfound = [`standdown doctor ${at}`, ...known('not_found')];
    assert.deepEqual(await commandsFor('not_found 404 NotFound'), unfound);
    await tenant.redis.hset(tenant.keys.campaign(number), 'forbidden', 0);
    const [resume, , accept] = known('forbidden');
    assert.deepEqual(await commandsFor('forbidden 403 Forbidden'), [resume, accept], 'they were retried');
  });

  const rows: [name: string, answers: Answer[], paused: boolean][] = [
    ['a 404 without a code', [{ outcome: 'not_found', status: 404 }], true],
    ['a 404 in the form of the API', [{ outcome: 'not_found', status: 404, code: 'NotFound' }], true],
    ['a rejection', [{ outcome: 'rejected', status: 409, code: 'Conflict' }], true],
    [
      'a 403 for two reasons in turn',
      [FORBIDDEN, { outcome: 'forbidden', status: 403, code: 'DisabledFeature' }],
      false,
    ],
    ['a 403, and a success now and then', [FORBIDDEN, FORBIDDEN, FORBIDDEN, CANCELLED], false],
  ];
  for (const [name, pattern, paused] of rows) {
    it(`${name}: ${paused ? 'pauses' : 'does not pause'}`, async () => {
      let last = false;
      for (let n = 0; n < PAUSE_AFTER_REFUSALS; n++) {
        const next = pattern[n % pattern.length];
        assert.ok(next);
        last = await answer(next);
      }
      assert.equal(last, paused);
    });
  }

  it('takes a 404 in the form of the API as the answer once that address is known to be right', async () => {
    const missing: Answer = { outcome: 'not_found', status: 404, code: 'NotFound' };
    await answer(CANCELLED);
    assert.equal(await answers(missing, PAUSE_AFTER_REFUSALS + 1), false);
    assert.equal(await answers({ outcome: 'not_found', status: 404 }, PAUSE_AFTER_REFUSALS), true, 'no code');
    await resume({ acceptRefusals: false });
    await answer(CANCELLED);
    const elsewhere = { ...missing, address: 'https://elsewhere.example/api/machineactions' };
    assert.equal(await answers(elsewhere, PAUSE_AFTER_REFUSALS), true, 'another address');
  });

  it('knows the address by a 400 of the API, too', async () => {
    const id = await submitted();
    const check = { kind: 'check', detail: { httpStatus: 400, errorCode: 'BadRequest' } } as const;
    await probe.finish(id, number, await probe.grant(id, number), { verdict: check });
    const missing: Answer = { outcome: 'not_found', status: 404, code: 'NotFound' };
    assert.equal(await answers(missing, PAUSE_AFTER_REFUSALS + 1), false);
  });

  it('knows nothing of the address by a 400 without a reason', async () => {
    const id = await submitted();
    const bare = { kind: 'check', detail: { httpStatus: 400, errorCode: 'NO_REASON' } } as const;
    await probe.finish(id, number, await probe.grant(id, number), { verdict: bare });
    const missing: Answer = { outcome: 'not_found', status: 404, code: 'NotFound' };
    assert.equal(await answers(missing, PAUSE_AFTER_REFUSALS), true);
  });

  describe('by answers without a reason, which stand only when others have succeeded', () => {
    let others: number;

    beforeEach(async () => {
      ({ tenant, probe, number } = await newRequest(redis, { ...FREE, MAX_ATTEMPTS: '1' }));
      others = await probe.campaign('others');
    });

    const bare = async (id: Buffer) =>
      probe.finish(id, number, await probe.grant(id, number), {
        verdict: {
          kind: 'retry',
          delayMs: 0,
          uncertain: false,
          costsAttempt: true,
          lastly: 'not_found',
          detail: { httpStatus: 404, errorCode: 'NO_REASON' },
        },
        sign: 'fault',
        pauseReason: 'Nobody said why.',
      });

    async function succeed(): Promise<void> {
      const id = newIds(1);
      await tenant.ledger.submit(others, id);
      await probe.decide(id, others, 'cancelled');
    }

    /** Whether the end of the action paused its campaign. */
    async function ended(id: Buffer): Promise<boolean> {
      const { answer } = await probe.begin(id, number);
      assert(answer.kind === 'decided', answer.kind);
      return answer.paused;
    }

    async function refuse(id: Buffer): Promise<boolean> {
      await bare(id);
      await succeed();
      return ended(id);
    }

    async function untilPaused(): Promise<void> {
      for (let n = 1; n < PAUSE_AFTER_REFUSALS; n++) assert.equal(await refuse(await submitted()), false);
      assert.equal(await refuse(await submitted()), true);
    }

    it('pauses, and says what was answered', async () => {
      await untilPaused();
      const { state, pausedReason } = await probe.read(number);
      assert.equal(state, 'paused');
      assert.match(pausedReason ?? '', /^Paused after 20 refusals in a row\. Nobody said why\. /);
      await recount(tenant, number);
    });

    it('pauses again, once the one that went first has ended so', async () => {
      const [before, first, second] = [await submitted(), await submitted(), await submitted()];
      await bare(before);
      await untilPaused();
      await resume();
      assert.equal(await ended(before), false, 'that was called before it was resumed');
      assert.equal(await refuse(first), true);
      assert.match((await probe.read(number)).pausedReason ?? '', /^Paused again: .* Nobody said why\./);
      assert.equal((await probe.begin(second, number)).answer.kind, 'owner');
    });
  });

  describe('after it was resumed', () => {
    let first: Buffer;
    let second: Buffer;

    beforeEach(async () => {
      await answers(FORBIDDEN, PAUSE_AFTER_REFUSALS);
      await resume();
      [first, second] = [await submitted(), await submitted()];
    });

    const begun = async (id: Buffer) => (await probe.begin(id, number)).answer.kind;

    it('one goes first, and the same answer pauses again at once', async () => {
      const grant = await probe.grant(first, number);
      assert.equal(await begun(second), 'claimed');
      const finished = await probe.finish(first, number, grant, asked(FORBIDDEN));
      assert.deepEqual(
        [finished.kind === 'decided' && finished.paused, await begun(second)],
        [true, 'owner'],
      );
      assert.match((await probe.read(number)).pausedReason ?? '', /^Paused again: .* The API said no\./);
      await resume();
      assert.equal(await answer(FORBIDDEN), true, 'and again');
    });

    it('another answer ends the trial, and the counter starts anew', async () => {
      assert.equal(
        await answer({ outcome: 'forbidden', status: 403, code: 'DisabledFeature' }, first),
        false,
      );
      await probe.grant(second, number);
      assert.equal(await begun(await submitted()), 'granted');
      assert.equal(await answers(FORBIDDEN, PAUSE_AFTER_REFUSALS - 1), false);
      assert.equal(await answer(FORBIDDEN), true);
    });

    it('a call that decided nothing lets another one go first', async () => {
      const wait = { kind: 'wait', delayMs: 60_000, detail: { httpStatus: 429 } } as const;
      await probe.finish(first, number, await probe.grant(first, number), { verdict: wait, sign: 'none' });
      assert.equal(await answer(FORBIDDEN, second), true);
    });

    it('a call whose worker died lets another one go first, after its time', async () => {
      await probe.grant(first, number);
      await eventually(async () => assert.equal(await begun(second), 'granted'));
      assert.equal(await begun(await submitted()), 'claimed');
    });

    it('a 400 is on trial until Get has told', async () => {
      const detail = { httpStatus: 400, errorCode: 'BadRequest' };
      await probe.finish(first, number, await probe.grant(first, number), {
        verdict: { kind: 'check', detail },
      });
      assert.equal(await begun(second), 'claimed');
      const look = await probe.grant(first, number, { operation: 'get' });
      const rejected = { kind: 'decided', outcome: 'rejected', detail } as const;
      await probe.finish(first, number, look, { operation: 'get', verdict: rejected });
      assert.equal(await begun(second), 'granted');
    });

    for (const [code, paused] of [
      ['BadRequest', true],
      ['InvalidInput', false],
    ] as const) {
      it(`a 400 that Get does not explain ends the trial when its time is over (${code})`, async () => {
        await answers({ outcome: 'rejected', status: 400, code: 'BadRequest' }, PAUSE_AFTER_REFUSALS);
        await resume();
        const detail = { httpStatus: 400, errorCode: code };
        await probe.finish(first, number, await probe.grant(first, number), {
          verdict: { kind: 'check', detail },
          pauseReason: 'The API said no.',
        });
        const asGet = { operation: 'get' } as const;
        await probe.finish(first, number, await probe.grant(first, number, asGet), {
          ...asGet,
          verdict: { kind: 'wait', delayMs: 0, lastly: 'rejected', detail: { httpStatus: 404 } },
          sign: 'fault',
        });
        assert.equal(await begun(second), 'claimed');
        const stored = JSON.parse((await redis.hget(tenant.keys.checking, first)) ?? '{}');
        const since = stored.since - TIMINGS.checkMs - 1;
        await redis.hset(tenant.keys.checking, first, JSON.stringify({ ...stored, since }));
        const { answer: ended } = await probe.begin(first, number, asGet);
        assert.deepEqual([ended.kind, ended.kind === 'decided' && ended.paused], ['decided', paused]);
        if (paused)
          assert.match((await probe.read(number)).pausedReason ?? '', /^Paused again: .* The API said no\./);
        assert.equal(await begun(second), paused ? 'owner' : 'granted');
      });
    }

    it('with refusals accepted goes on whatever is refused, for good', async () => {
      await probe.grant(first, number);
      assert.equal((await resume({ acceptRefusals: true })).state, 'running');
      assert.equal(await begun(second), 'granted');
      assert.equal(await answers(FORBIDDEN, PAUSE_AFTER_REFUSALS + 5), false);
      const audit = await redis.xrevrange(tenant.keys.audit(number), '+', '-', 'COUNT', 1);
      assert.match(JSON.stringify(audit), /refusals are accepted from now on/);
    });

    it('what was refused is opened again, and one goes first', async () => {
      assert.equal(await answer(FORBIDDEN, first), true);
      const refused = await redis.lrangeBuffer(tenant.keys.ids(number), 0, -1);
      await resume();
      assert.equal(await tenant.ledger.retry(number, Buffer.concat(refused), ['forbidden']), 21);
      const grant = await probe.grant(first, number);
      assert.equal(await begun(second), 'claimed');
      await probe.finish(first, number, grant);
      assert.equal(await begun(second), 'granted');
    });
  });

  it('an earlier version’s pause is followed by a trial, too; and what it resumed stays as it is', async () => {
    const key = tenant.keys.campaign(number);
    await redis.hset(key, { state: 'paused', pausedReason: 'refused (403) time after time' });
    await resume();
    assert.equal(await answer(FORBIDDEN), true);
    await redis.hset(key, { state: 'running', tolerant: 1 });
    assert.equal(await answers(FORBIDDEN, PAUSE_AFTER_REFUSALS), false);
  });

  it('one answer of many at once pauses, and those in flight change nothing', async () => {
    const ids = newIds(PAUSE_AFTER_REFUSALS + 5);
    await tenant.ledger.submit(number, ids);
    const grants = [];
    for (let n = 0; n < PAUSE_AFTER_REFUSALS + 5; n++) grants.push(await probe.grant(idAt(ids, n), number));
    const last = await submitted();
    const lastGrant = await probe.grant(last, number);
    let pauses = 0;
    for (const [n, grant] of grants.entries()) {
      const finished = await probe.finish(idAt(ids, n), number, grant, asked(FORBIDDEN));
      if (finished.kind === 'decided' && finished.paused) pauses++;
    }
    assert.equal(pauses, 1);
    // Another refusal was in flight, too: resumed, the campaign is still on trial for what paused it.
    const late = { outcome: 'rejected', status: 410, code: 'Gone' } as const;
    await probe.finish(last, number, lastGrant, asked(late));
    await resume();
    assert.equal(await answer(FORBIDDEN), true);
  });
});
