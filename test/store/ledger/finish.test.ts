import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import { viewBudget } from '../../../src/store/budget/view.ts';
import { PAUSE_AFTER_REFUSALS } from '../../../src/store/ledger/brake.ts';
import type { Finish, FinishAsk, Grant } from '../../../src/store/ledger/calls.ts';
import { DOWN_AFTER, FREE_PROBES } from '../../../src/store/ledger/finish.ts';
import { bucketOf, FIRST_BUCKETS } from '../../../src/store/ledger/record.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { idAt, newIds, newRequest, type Probe, recount } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import type { TestTenant } from '../../support/tenant.ts';
import { withTimings } from '../../support/timings.ts';
import { eventually } from '../../support/wait.ts';

const FREE = { RATE_LIMITS: '1000000/1m', URGENT_RESERVE: 'none', MAX_ATTEMPTS: '3' };

const FAULT = {
  slotFate: 'lost',
  verdict: {
    kind: 'retry',
    delayMs: 0,
    uncertain: true,
    costsAttempt: true,
    detail: { errorCode: 'ECONNRESET' },
  },
  sign: 'fault',
} as const satisfies Partial<FinishAsk>;

describe('finish', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let probe: Probe;
  let number: number;
  let id: Buffer;

  async function use(env: Record<string, string>): Promise<void> {
    ({ tenant, probe, number, id } = await newRequest(redis, env));
  }

  /** So many further ids of the campaign. */
  async function more(count: number): Promise<Buffer> {
    const ids = newIds(count);
    await tenant.ledger.submit(number, ids);
    return ids;
  }

  function state(...fields: string[]): Promise<(string | null)[]> {
    return redis.hmget(tenant.keys.state, ...fields);
  }

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(() => use(FREE));
  after(() => server.close());

  for (const [what, answer, uncertain] of [
    ['may have been carried out', {}, true],
    [
      'never left',
      { slotFate: 'unsent', verdict: { kind: 'wait', delayMs: 0, detail: {} }, sign: 'none' },
      false,
    ],
    ['was refused, and is looked into', { verdict: { kind: 'check', detail: { httpStatus: 400 } } }, false],
    ['was refused as too many', { verdict: { kind: 'wait', delayMs: 0, detail: {} }, penaltyMs: 1 }, false],
  ] as const satisfies readonly (readonly [string, Partial<FinishAsk>, boolean])[]) {
    it(`of a call whose claim Redis lost leaves the request open; it ${what}`, async () => {
      const bucket = tenant.keys.bucket(bucketOf(id, FIRST_BUCKETS));
      const before = await redis.hgetBuffer(bucket, id);
      assert.ok(before);
      const grant = await probe.grant(id, number);
      await redis.hset(bucket, id, before);
      assert.equal((await probe.finish(id, number, grant, answer)).kind, 'open');
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.uncertain], ['open', uncertain]);
    });
  }

  for (const outcome of OUTCOMES) {
    it(`writes the outcome ${outcome}: record, counter, results`, async () => {
      const grant = await probe.grant(id, number);
      const detail = { httpStatus: 200, errorCode: 'c', errorMessage: 'm', correlationId: 't' };
      const finished = await probe.finish(id, number, grant, {
        verdict: { kind: 'decided', outcome, detail },
      });
      assert.equal(finished.kind, 'decided');
      const record = await probe.look(id);
      assert.deepEqual(
        [record?.state, record?.attempts, record?.position, record?.busy],
        [outcome, 1, 1, false],
      );
      assert.deepEqual((await probe.read(number)).outcomes, { [outcome]: 1 });
      const entries = await redis.xrange(tenant.keys.results(number), '-', '+');
      assert.equal(entries.length, 1);
      assert.equal(entries[0]?.[0], '1-0');
      await recount(tenant, number);
    });
  }

  describe('without the token', () => {
    async function stale(): Promise<{ old: Grant; current: Grant }> {
      await use({ ...FREE, CALL_TIMEOUT: '100ms' });
      const old = await probe.grant(id, number);
      const current = await eventually(() => probe.grant(id, number));
      return { old, current };
    }

    it('neither records an outcome nor releases the claim that stands', async () => {
      const { old, current } = await stale();
      assert.deepEqual(await probe.finish(id, number, old), { kind: 'open', ms: 0 });
      const record = await probe.look(id);
      assert.equal(record?.state, 'open');
      assert.equal(record?.busy, true);
      assert.equal((await probe.finish(id, number, current)).kind, 'decided');
    });

    it('returns the outcome that stands', async () => {
      const { old, current } = await stale();
      await probe.finish(id, number, current, {
        verdict: { kind: 'decided', outcome: 'accepted', detail: {} },
      });
      assert.deepEqual(await probe.finish(id, number, old), {
        kind: 'outcome',
        outcome: 'accepted',
        position: 1,
      });
      assert.equal((await redis.xlen(tenant.keys.results(number))) as number, 1);
      await recount(tenant, number);
    });

    it('settles its slot all the same', async () => {
      const { old } = await stale();
      const before = Number(await redis.zscore(tenant.keys.slots('cancel'), old.slot));
      await probe.finish(id, number, old);
      const after = Number(await redis.zscore(tenant.keys.slots('cancel'), old.slot));
      assert.ok(after <= before);
    });

    it('changes nothing when the same finish arrives twice', async () => {
      const grant = await probe.grant(id, number);
      await probe.finish(id, number, grant);
      assert.equal((await probe.finish(id, number, grant)).kind, 'outcome');
      await recount(tenant, number);
      assert.equal((await probe.look(id))?.attempts, 1);
    });
  });

  describe('the slot', () => {
    const score = async (slot: string) => redis.zscore(tenant.keys.slots('cancel'), slot);

    it('is stamped when the answer arrives', async () => {
      const grant = await probe.grant(id, number);
      assert.equal(Number(await score(grant.slot)), grant.untilMs, 'until then it is still to come');
      await probe.finish(id, number, grant);
      const [seconds, micros] = await redis.time();
      const now = Number(seconds) * 1_000 + Number(micros) / 1_000;
      const stamp = Number(await score(grant.slot));
      assert.ok(stamp <= now && stamp > now - 1_000, `${stamp} ${now}`);
    });

    it('is not stamped in the past when Redis’ clock went forth meanwhile: it was moved along', async () => {
      const grant = await probe.grant(id, number);
      // Half a minute ago, on the clock as it is now.
      const before = grant.untilMs - 2 * tenant.config.callTimeoutMs - 30_000;
      await probe.finish(id, number, { ...grant, untilMs: before });
      assert.ok(Number(await score(grant.slot)) > before + 29_000);
    });

    it('stays to the end of its promise when the answer was lost', async () => {
      const grant = await probe.grant(id, number);
      await probe.finish(id, number, grant, FAULT);
      assert.equal(Number(await score(grant.slot)), grant.untilMs);
    });

    it('is given back when the call never left', async () => {
      const grant = await probe.grant(id, number);
      await tenant.ledger.giveBack({ id, operation: 'cancel', campaign: number }, grant);
      assert.equal(await score(grant.slot), null);
      const record = await probe.look(id);
      assert.deepEqual([record?.attempts, record?.busy, record?.uncertain], [0, false, false]);
    });

    it('is settled also when the request belongs to nobody any more', async () => {
      const grant = await probe.grant(id, number);
      await redis.hset(tenant.keys.campaign(number), 'state', 'deleted');
      await tenant.ledger.forget(number, id);
      assert.deepEqual(await probe.finish(id, number, grant), { kind: 'unknown' });
      assert.ok(Number(await score(grant.slot)) < grant.untilMs);
    });
  });

  describe('a retry', () => {
    it('releases the claim and waits', async () => {
      const grant = await probe.grant(id, number);
      const verdict = { ...FAULT.verdict, delayMs: 5_000 };
      assert.deepEqual(await probe.finish(id, number, grant, { ...FAULT, verdict }), {
        kind: 'open',
        ms: 5_000,
      });
      const { answer } = await probe.begin(id, number);
      assert.ok(answer.kind === 'later' && answer.ms > 4_900 && answer.ms <= 5_001, JSON.stringify(answer));
    });

    it('ends as unresolved when the attempts ran out, with the last trouble', async () => {
      const others = await more(3);
      for (let attempt = 1; attempt <= 3; attempt++) {
        await probe.finish(id, number, await probe.grant(id, number), FAULT);
        await probe.decide(idAt(others, attempt - 1), number, 'cancelled');
      }
      assert.equal((await probe.begin(id, number)).answer.kind, 'decided');
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts, record?.uncertain], ['unresolved', 3, true]);
      const [entry] = await redis.xrevrange(tenant.keys.results(number), '+', '-', 'COUNT', 1);
      assert.ok(entry?.[1].includes('ECONNRESET'));
      await recount(tenant, number);
    });

    it('costs no attempt where it was not the request’s own trouble', async () => {
      for (let call = 0; call < 10; call++) {
        const verdict = { kind: 'wait', delayMs: 0, detail: {} } as const;
        const finished = await probe.finish(id, number, await probe.grant(id, number), {
          verdict,
          sign: 'none',
        });
        assert.deepEqual(finished, { kind: 'open', ms: 0 });
      }
      assert.equal((await probe.look(id))?.attempts, 0);
    });

    for (const [campaignState, uncertain, outcome] of [
      ['aborted', false, 'withdrawn'],
      ['aborted', true, 'unresolved'],
      ['expired', false, 'expired'],
      ['expired', true, 'unresolved'],
    ] as const) {
      it(`of a campaign that is ${campaignState} ends as ${outcome}${uncertain ? ', for an answer was lost' : ''}`, async () => {
        const grant = await probe.grant(id, number);
        await redis.hset(tenant.keys.campaign(number), 'state', campaignState);
        const verdict = { ...FAULT.verdict, uncertain };
        assert.equal((await probe.finish(id, number, grant, { ...FAULT, verdict })).kind, 'decided');
        const record = await probe.look(id);
        assert.deepEqual([record?.state, record?.uncertain], [outcome, uncertain]);
        await recount(tenant, number);
      });
    }

    it('after a 429 of an aborted campaign ends as withdrawn', async () => {
      const grant = await probe.grant(id, number);
      await redis.hset(tenant.keys.campaign(number), 'state', 'aborted');
      const verdict = { kind: 'wait', delayMs: 0, detail: {} } as const;
      await probe.finish(id, number, grant, { verdict, sign: 'none', penaltyMs: 1_000 });
      assert.equal((await probe.look(id))?.state, 'withdrawn');
    });
  });

  describe('a penalty', () => {
    const throttled = (penaltyMs: number) =>
      ({ verdict: { kind: 'wait', delayMs: 0, detail: {} }, sign: 'none', penaltyMs }) as const;

    it('holds everybody until its time', async () => {
      await probe.finish(id, number, await probe.grant(id, number), throttled(7_000));
      const { answer } = await probe.begin(id, number);
      assert.ok(answer.kind === 'hold' && answer.reason === 'penalty', JSON.stringify(answer));
      assert.ok(answer.ms > 6_900 && answer.ms <= 7_001);
    });

    it('is never shortened', async () => {
      const ids = await more(2);
      const grants = [await probe.grant(idAt(ids, 0), number), await probe.grant(idAt(ids, 1), number)];
      await probe.finish(idAt(ids, 0), number, grants[0] as Grant, throttled(50_000));
      const [before] = await state('cancel:penalty');
      await probe.finish(idAt(ids, 1), number, grants[1] as Grant, throttled(1_000));
      assert.deepEqual(await state('cancel:penalty'), [before]);
    });

    it('is no longer than the longest window', async () => {
      await probe.finish(id, number, await probe.grant(id, number), throttled(86_400_000));
      const { answer } = await probe.begin(id, number);
      assert.ok(answer.kind === 'hold' && answer.ms <= 60_001, JSON.stringify(answer));
    });

    it('of one operation says nothing about another', async () => {
      await probe.finish(id, number, await probe.grant(id, number), throttled(7_000));
      assert.deepEqual(await state('get:penalty', 'list:penalty'), [null, null]);
    });
  });

  describe('the pace', () => {
    const throttled = {
      verdict: { kind: 'wait', delayMs: 0, detail: {} },
      sign: 'none',
      penaltyMs: 1,
    } as const;

    beforeEach(() => use({ ...FREE, RATE_LIMITS: '10/3s,1000/1m' }));

    /** Calls until a window is full. */
    async function callAll(): Promise<number> {
      const ids = await more(20);
      for (let index = 0; ; index++) {
        const { answer } = await probe.begin(idAt(ids, index), number);
        if (answer.kind === 'hold' && answer.reason === 'penalty') {
          index--;
          continue;
        }
        if (answer.kind !== 'granted') return index;
        await probe.finish(idAt(ids, index), number, answer);
      }
    }

    it('is lowered by a refusal: fewer calls in the shortest window', async () => {
      await probe.finish(id, number, await probe.grant(id, number), throttled);
      assert.equal(await callAll(), 6, 'seven in all, of ten');
      assert.equal((await viewBudget(redis, tenant.keys, tenant.limits)).pace?.refusals, 1);
    });

    it('is lowered once by calls that were in flight together', async () => {
      const ids = await more(3);
      const grants = [0, 1, 2].map((index) => probe.grant(idAt(ids, index), number));
      for (const [index, grant] of grants.entries())
        await probe.finish(idAt(ids, index), number, await grant, throttled);
      assert.deepEqual(await state('cancel:pace', 'cancel:refusals'), ['0.7000', '3']);
    });

    it('is lowered again by a call that went out since, and never to nothing', async () => {
      for (let refusals = 0; refusals < 9; refusals++) {
        const [one] = [await more(1)];
        // As if its window had passed.
        await redis.del(tenant.keys.slots('cancel'));
        await eventually(async () => {
          await probe.finish(one, number, await probe.grant(one, number), throttled);
        });
      }
      assert.ok(Number((await state('cancel:pace'))[0]) < 0.2, 'lowered time after time');
      const { pace } = await viewBudget(redis, tenant.keys, tenant.limits);
      assert.ok(pace && pace.max >= 1, JSON.stringify(pace));
    });

    it('comes back by itself, and evenly', async () => {
      await probe.finish(id, number, await probe.grant(id, number), throttled);
      const seen = async () => (await viewBudget(redis, tenant.keys, tenant.limits)).pace;
      const [at] = await state('cancel:pacedAt');
      // Half of what was lost: a tenth of the time from nothing to the whole is three seconds here.
      await redis.hset(tenant.keys.state, 'cancel:pacedAt', Number(at) - 4_500);
      assert.equal((await seen())?.max, 8);
      await redis.hset(tenant.keys.state, 'cancel:pacedAt', Number(at) - 9_001);
      assert.equal(await seen(), null);
      assert.equal(await callAll(), 9, 'all ten');
    });

    it('of one operation says nothing about another', async () => {
      await probe.finish(id, number, await probe.grant(id, number), throttled);
      assert.equal((await viewBudget(redis, tenant.keys, tenant.limits, 'list')).pace, null);
    });
  });

  describe('an upstream that is down', () => {
    /** Minutes in place of seconds, so that what is left of them tells which one it is. */
    const timings = withTimings({ firstProbeMs: 60_000, lastProbeMs: 30 * 60_000, lookAgainMs: 1_000 });

    async function breakDown(env: Record<string, string> = FREE): Promise<Buffer> {
      ({ tenant, probe, number, id } = await newRequest(redis, env, timings));
      const ids = await more(DOWN_AFTER + 5);
      for (let index = 0; index < DOWN_AFTER; index++) {
        await probe.finish(idAt(ids, index), number, await probe.grant(idAt(ids, index), number), FAULT);
      }
      return ids;
    }

    /** The next probe. Nobody waits for its time: it is moved. */
    async function nextProbe(ids: Buffer, index = DOWN_AFTER): Promise<Grant> {
      await redis.hset(tenant.keys.state, 'cancel:hold', Date.now() - 1);
      return probe.grant(idAt(ids, index), number);
    }

    it('is taken for down after 10 failures in a row', async () => {
      const ids = await breakDown();
      const { answer } = await probe.begin(idAt(ids, DOWN_AFTER), number);
      assert.ok(answer.kind === 'hold' && answer.reason === 'upstream', JSON.stringify(answer));
      assert.ok(answer.ms > 30_000 && answer.ms <= 60_001, 'the first probe after so long');
    });

    it('is not, when there was a success between', async () => {
      const ids = await more(2 * DOWN_AFTER);
      for (let index = 0; index < 2 * DOWN_AFTER - 2; index++) {
        const options = index === DOWN_AFTER - 2 ? {} : FAULT;
        await probe.finish(idAt(ids, index), number, await probe.grant(idAt(ids, index), number), options);
      }
      assert.equal((await probe.begin(idAt(ids, 2 * DOWN_AFTER - 1), number)).answer.kind, 'granted');
    });

    it('gets one probe at a time', async () => {
      const ids = await breakDown();
      const first = await nextProbe(ids);
      assert.equal(first.probe, true);
      const { answer } = await probe.begin(idAt(ids, DOWN_AFTER + 1), number);
      assert.ok(answer.kind === 'hold' && answer.look, JSON.stringify(answer));
      assert.ok(answer.ms <= 1_000, 'looks again soon: the probe may have told by then');
    });

    it('is probed anew at once when a probe told nothing, as of a token that was stale', async () => {
      const ids = await breakDown();
      const first = await nextProbe(ids);
      const verdict = { kind: 'wait', delayMs: 0, detail: { httpStatus: 401 } } as const;
      await probe.finish(idAt(ids, DOWN_AFTER), number, first, { verdict, sign: 'none' });
      const second = await probe.grant(idAt(ids, DOWN_AFTER), number);
      assert.equal(second.probe, true, 'it is down as before');
      const { answer } = await probe.begin(idAt(ids, DOWN_AFTER + 1), number);
      assert.ok(answer.kind === 'hold' && answer.look, 'one at a time');
      await probe.finish(idAt(ids, DOWN_AFTER), number, second, FAULT);
      const { answer: next } = await probe.begin(idAt(ids, DOWN_AFTER + 1), number);
      assert.ok(next.kind === 'hold' && next.ms > 90_000, 'and the intervals go on doubling');
    });

    it('is probed at doubling intervals while it stays down, and that costs no attempt', async () => {
      const ids = await breakDown();
      const waits: number[] = [];
      for (let probes = 0; probes < 6; probes++) {
        const grant = await nextProbe(ids);
        await probe.finish(idAt(ids, DOWN_AFTER), number, grant, FAULT);
        const [hold] = await state('cancel:hold');
        waits.push(Math.round((Number(hold) - Date.now()) / 60_000));
      }
      assert.deepEqual(waits, [2, 4, 8, 16, 30, 30]);
      assert.equal((await probe.look(idAt(ids, DOWN_AFTER)))?.attempts, 0);
    });

    it('is up again after one success, and the next failures count anew', async () => {
      const ids = await breakDown();
      await probe.finish(idAt(ids, DOWN_AFTER), number, await nextProbe(ids), {});
      assert.deepEqual(await state('cancel:hold', 'cancel:streak', 'cancel:step'), [null, null, null]);
      const grant = await probe.grant(idAt(ids, DOWN_AFTER + 1), number);
      assert.equal(grant.probe, false);
    });

    it('is also shown by calls that were under way: their failures cost no attempt', async () => {
      ({ tenant, probe, number, id } = await newRequest(redis, FREE, timings));
      const ids = await more(DOWN_AFTER + 1);
      const grants: Grant[] = [];
      for (let index = 0; index <= DOWN_AFTER; index++)
        grants.push(await probe.grant(idAt(ids, index), number));
      for (const [index, grant] of grants.entries())
        await probe.finish(idAt(ids, index), number, grant, FAULT);
      for (const index of [0, DOWN_AFTER]) assert.equal((await probe.look(idAt(ids, index)))?.attempts, 0);
    });

    it('lets another probe out when the one that probed died', async () => {
      const ids = await breakDown({ ...FREE, CALL_TIMEOUT: '100ms' });
      await nextProbe(ids);
      const second = await eventually(() => probe.grant(idAt(ids, DOWN_AFTER + 1), number));
      assert.equal(second.probe, true);
    });

    it('makes probes count once too many fell to one id', async () => {
      const ids = await breakDown();
      let finished: Finish = { kind: 'check' };
      for (let probes = 1; probes <= FREE_PROBES + 3; probes++) {
        await redis.hset(tenant.keys.state, 'cancel:hold', Date.now() - 1);
        finished = await probe.finish(
          idAt(ids, DOWN_AFTER),
          number,
          await probe.grant(idAt(ids, DOWN_AFTER), number),
          FAULT,
        );
        const attempts = (await probe.look(idAt(ids, DOWN_AFTER)))?.attempts;
        assert.equal(attempts, Math.max(0, probes - FREE_PROBES), `after ${probes} probes`);
      }
      assert.equal(finished.kind, 'decided');
      assert.equal((await probe.look(idAt(ids, DOWN_AFTER)))?.state, 'unresolved');
    });
  });

  describe('refusals', () => {
    const refused = {
      verdict: { kind: 'decided', outcome: 'forbidden', detail: {} },
      pauseReason: 'why',
    } as const;

    async function refuse(campaign: number, count: number): Promise<boolean> {
      const ids = newIds(count);
      await tenant.ledger.submit(campaign, ids);
      let paused = false;
      for (let index = 0; index < count; index++) {
        const finished = await probe.finish(
          idAt(ids, index),
          campaign,
          await probe.grant(idAt(ids, index), campaign),
          refused,
        );
        paused ||= finished.kind === 'decided' && finished.paused;
      }
      return paused;
    }

    it('pause a named campaign after 20 in a row, with the reason', async () => {
      assert.equal(await refuse(number, PAUSE_AFTER_REFUSALS - 1), false);
      assert.equal((await probe.read(number)).state, 'running');
      assert.equal(await refuse(number, 1), true);
      const campaign = await probe.read(number);
      assert.equal(campaign.state, 'paused');
      assert.match(campaign.pausedReason ?? '', /^Paused after 20 refusals in a row\. why /);
      assert.equal(await redis.zscore(tenant.keys.running, String(number)), null);
    });

    it('do not, with another outcome between', async () => {
      await refuse(number, PAUSE_AFTER_REFUSALS - 1);
      await probe.decide(id, number, 'not_found');
      await refuse(number, PAUSE_AFTER_REFUSALS - 1);
      assert.equal((await probe.read(number)).state, 'running');
    });

    it('never pause single cancels', async () => {
      const direct = await probe.campaign('direct-refused', { direct: true });
      await refuse(direct, PAUSE_AFTER_REFUSALS + 5);
      assert.equal((await probe.read(direct)).state, 'running');
    });
  });

  describe('a 400', () => {
    const check = {
      verdict: { kind: 'check', detail: { httpStatus: 400, errorCode: 'BadRequest' } },
    } as const;
    const asGet = { operation: 'get' } as const;

    it('is looked into with Get only: cancel is never sent again', async () => {
      await probe.finish(id, number, await probe.grant(id, number), check);
      assert.equal((await probe.look(id))?.state, 'checking');
      assert.deepEqual((await probe.begin(id, number)).answer, { kind: 'check' });
      const grant = await probe.grant(id, number, asGet);
      assert.deepEqual(grant.check.slice(0, 2), ['400', 'BadRequest']);
      assert.equal((await redis.zcard(tenant.keys.slots('get'))) as number, 1, 'on Get’s own budget');
    });

    it('ends with what Get says', async () => {
      await probe.finish(id, number, await probe.grant(id, number), check);
      const grant = await probe.grant(id, number, asGet);
      const verdict = { kind: 'decided', outcome: 'already_final', detail: {} } as const;
      await probe.finish(id, number, grant, { ...asGet, verdict });
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts], ['already_final', 1], 'Get is no attempt');
      assert.equal(await redis.hlen(tenant.keys.checking), 0);
      await recount(tenant, number);
    });

    it('ends as rejected, with its own words, when Get fails for it alone for a minute', async () => {
      await probe.finish(id, number, await probe.grant(id, number), check);
      const stored = JSON.parse((await redis.hvals(tenant.keys.checking))[0] ?? '{}');
      await redis.hset(tenant.keys.checking, id, JSON.stringify({ ...stored, since: stored.since - 60_001 }));
      const grant = await probe.grant(id, number, asGet);
      const verdict = { kind: 'wait', delayMs: 0, detail: {} } as const;
      await probe.finish(id, number, grant, { ...asGet, verdict, sign: 'fault' });
      const [other] = [await more(1)];
      await probe.finish(other, number, await probe.grant(other, number), check);
      const answered = { kind: 'decided', outcome: 'already_final', detail: {} } as const;
      await probe.finish(other, number, await probe.grant(other, number, asGet), {
        ...asGet,
        verdict: answered,
      });
      assert.equal((await probe.begin(id, number, asGet)).answer.kind, 'decided');
      assert.equal((await probe.look(id))?.state, 'rejected');
      const [entry] = await redis.xrevrange(tenant.keys.results(number), '+', '-', 'COUNT', 1);
      assert.ok(entry?.[1].includes('BadRequest'));
      assert.equal(await redis.hlen(tenant.keys.checking), 0);
    });

    it('may be looked into again after trouble with Get, which costs no attempt', async () => {
      await probe.finish(id, number, await probe.grant(id, number), check);
      const verdict = { kind: 'wait', delayMs: 0, detail: {} } as const;
      const trouble = { ...asGet, verdict, sign: 'fault' } as const;
      for (let looks = 0; looks < 5; looks++)
        await probe.finish(id, number, await probe.grant(id, number, asGet), trouble);
      const record = await probe.look(id);
      assert.deepEqual([record?.state, record?.attempts], ['checking', 1]);
    });

    it('is taken over from a worker that died while it looked, without becoming uncertain', async () => {
      await use({ ...FREE, CALL_TIMEOUT: '100ms' });
      await probe.finish(id, number, await probe.grant(id, number), check);
      await probe.grant(id, number, asGet);
      await eventually(() => probe.grant(id, number, asGet));
      const record = await probe.look(id);
      assert.deepEqual([record?.uncertain, record?.attempts], [false, 1]);
    });
  });
});
