import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../../../src/base/clock.ts';
import { pulse } from '../../../src/store/budget/epoch.ts';
import { createOperationBudget } from '../../../src/store/budget/operation.ts';
import { viewBudget } from '../../../src/store/budget/view.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { newWorker as startWorker, type TestWorker } from '../../support/epoch.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';

const ENV = { RATE_LIMITS: '5/3s', URGENT_RESERVE: 'none' };
const GRACE_MS = 200;

describe('the epoch', () => {
  let server: TestRedis;
  let redis: RedisClient;
  let tenant: TestTenant;
  let number: number;
  let ids: Buffer;

  let workers: TestWorker[] = [];

  const newWorker = () => withTimeout(tenant.config.callTimeoutMs);

  const withTimeout = (callTimeoutMs: number) =>
    start({ ...tenant, config: { ...tenant.config, callTimeoutMs } }, GRACE_MS);

  function start(...of: Parameters<typeof startWorker>): TestWorker {
    const worker = startWorker(...of);
    workers.push(worker);
    return worker;
  }

  async function stamps(): Promise<Map<string, number>> {
    const flat = await redis.zrange(tenant.keys.slots('cancel'), '0', '-1', 'WITHSCORES');
    return new Map(flat.flatMap((slot, index) => (index % 2 === 0 ? [[slot, Number(flat[index + 1])]] : [])));
  }

  async function call({ probe }: TestWorker, index: number): Promise<void> {
    await probe.decide(idAt(ids, index), number, 'cancelled');
  }

  /** Looks as a witness that Redis' clock runs on: one who is held up meanwhile is none. */
  async function lookWell({ context, memory }: TestWorker): Promise<void> {
    await pulse(context, ['cancel']);
    do await pulse(context, ['cancel']);
    while (memory.roundTripMs() > 200);
  }

  /** A begin that is expected to be held by the grace. */
  async function expectGrace({ probe }: TestWorker, index: number): Promise<void> {
    const { answer } = await probe.begin(idAt(ids, index), number);
    assert.ok(answer.kind === 'hold' && answer.reason === 'grace', JSON.stringify(answer));
  }

  async function expectWindow({ probe }: TestWorker, index: number): Promise<number> {
    const { answer } = await probe.begin(idAt(ids, index), number);
    assert.ok(answer.kind === 'window', JSON.stringify(answer));
    return answer.ms;
  }

  /** What was there is there again, to within what two clocks can say: one answer when it was noted, and one when it was put back. */
  function assertLike(now: Map<string, number>, before: Map<string, number>): void {
    const withinMs = 20 + 2 * Math.max(...workers.map((worker) => worker.slowestMs()));
    assert.deepEqual([...now.keys()].sort(), [...before.keys()].sort());
    for (const [slot, stamp] of before) {
      const difference = Math.abs((now.get(slot) ?? 0) - stamp);
      assert.ok(difference <= withinMs, `slot ${slot} is off by ${difference} ms`);
    }
  }

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  beforeEach(async () => {
    workers = [];
    tenant = await newTenant(redis, ENV);
    number = await createProbe(tenant).campaign('campaign');
    ids = newIds(20);
    await tenant.ledger.submit(number, ids);
  });
  after(() => server.close());

  it('opens with a grace where there was none', async () => {
    await redis.hdel(tenant.keys.state, 'epoch', 'run', 'seq', 'grace');
    const worker = newWorker();
    await expectGrace(worker, 0);
    assert.equal(await redis.hget(tenant.keys.state, 'why'), 'new');
    await systemClock.sleep(GRACE_MS + 1);
    await call(worker, 0);
  });

  it('is adopted by a worker that starts later, which learns of all slots', async () => {
    const first = newWorker();
    for (let index = 0; index < 4; index++) await call(first, index);
    const second = newWorker();
    await call(second, 4);
    assert.equal(second.memory.stamps('cancel').length, 5);
    await expectWindow(second, 5);
  });

  it('after all data was lost: the slots are put back where they were, and count again', async () => {
    const worker = newWorker();
    for (let index = 0; index < 5; index++) await call(worker, index);
    const before = await stamps();
    await redis.del(tenant.keys.slots('cancel'));
    await redis.hdel(tenant.keys.state, 'epoch', 'run', 'seq', 'grace');
    await expectGrace(worker, 5);
    assertLike(await stamps(), before);
    await systemClock.sleep(GRACE_MS + 1);
    const ms = await expectWindow(worker, 5);
    assert.ok(ms > 0 && ms < 60_000, `${ms}`);
  });

  it('after all data was lost: an idle worker puts back what others called', async () => {
    const busy = newWorker();
    const idle = newWorker();
    await pulse(idle.context, ['cancel']);
    for (let index = 0; index < 3; index++) await call(busy, index);
    assert.equal((await pulse(idle.context, ['cancel'])).kind, 'steady');
    const before = await stamps();
    await redis.del(tenant.keys.slots('cancel'), tenant.keys.state);
    // Only the idle one lives.
    assert.equal((await pulse(idle.context, ['cancel'])).kind, 'reopened');
    assertLike(await stamps(), before);
  });

  it('after all data was lost: calls in flight count to the end of their promise', async () => {
    const worker = newWorker();
    const grant = await worker.probe.grant(idAt(ids, 0), number);
    await redis.del(tenant.keys.slots('cancel'));
    await redis.hdel(tenant.keys.state, 'epoch', 'run', 'seq', 'grace');
    await pulse(worker.context, ['cancel']);
    assertLike(await stamps(), new Map([[grant.slot, grant.untilMs]]));
    await worker.probe.finish(idAt(ids, 0), number, grant);
    const [stamp] = (await stamps()).values();
    assert.ok(stamp !== undefined && stamp < grant.untilMs - 10_000, 'settled when its answer came');
  });

  it('after older data came back: the slots taken since are put back', async () => {
    const worker = newWorker();
    await call(worker, 0);
    const state = await redis.hgetall(tenant.keys.state);
    const slots = await redis.dumpBuffer(tenant.keys.slots('cancel'));
    for (let index = 1; index < 5; index++) await call(worker, index);
    const before = await stamps();
    await redis.hset(tenant.keys.state, state);
    assert(slots);
    await redis.restore(tenant.keys.slots('cancel'), 0, slots, 'REPLACE');
    await expectGrace(worker, 5);
    assert.equal(await redis.hget(tenant.keys.state, 'why'), 'rewound');
    assertLike(await stamps(), before);
  });

  it('when another Redis process answers, even if it seems to have everything', async () => {
    const worker = newWorker();
    await call(worker, 0);
    // A replica that took over, or a node that a slot was moved to, brings the old one's state along.
    await redis.hset(tenant.keys.state, 'run', '0123456789abcdef');
    await expectGrace(worker, 1);
    assert.equal(await redis.hget(tenant.keys.state, 'why'), 'restarted');
  });

  it('never gives a slot’s number twice, whatever was lost', async () => {
    const worker = newWorker();
    const first = await worker.probe.grant(idAt(ids, 0), number);
    await redis.del(tenant.keys.slots('cancel'));
    await redis.hdel(tenant.keys.state, 'epoch', 'run', 'seq', 'grace');
    const stranger = newWorker();
    await expectGrace(stranger, 1);
    await systemClock.sleep(GRACE_MS + 1);
    const second = await stranger.probe.grant(idAt(ids, 1), number);
    assert.ok(Number(second.slot) > Number(first.slot), `${first.slot} ${second.slot}`);
  });

  it('takes late slots too: a worker that was stopped during the grace', async () => {
    const late = newWorker();
    await call(late, 0);
    const before = await stamps();
    await redis.del(tenant.keys.slots('cancel'), tenant.keys.state);
    const other = newWorker();
    await expectGrace(other, 1).catch(() => undefined);
    await systemClock.sleep(GRACE_MS + 1);
    await pulse(late.context, ['cancel']);
    assertLike(await stamps(), before);
  });

  describe('when Redis’ clock jumps', () => {
    for (const by of [-600_000, -2_000, 2_000, 600_000]) {
      it(`by ${by} ms: the slots move along`, async () => {
        const worker = newWorker();
        for (let index = 0; index < 5; index++) await call(worker, index);
        const before = await stamps();
        worker.shiftClock(-by);
        await expectGrace(worker, 5);
        assertLike(await stamps(), new Map([...before].map(([slot, stamp]) => [slot, stamp + by])));
      });
    }

    it('by less than a slow answer takes: the slot that was taken is given back', async () => {
      const worker = newWorker();
      await call(worker, 0);
      const before = await stamps();
      worker.shiftClock(-200);
      await expectGrace(worker, 1);
      assertLike(await stamps(), new Map([...before].map(([slot, stamp]) => [slot, stamp + 200])));
      assert.equal((await worker.probe.look(idAt(ids, 1)))?.busy, false, 'and the claim is released');
    });

    for (const by of [-600_000, 600_000]) {
      it(`by ${by} ms: a penalty ends when it would have ended`, async () => {
        const worker = newWorker();
        await call(worker, 0);
        const { now } = await viewBudget(redis, tenant.keys, tenant.limits);
        await redis.hset(tenant.keys.state, 'cancel:penalty', Math.ceil(now + 2_000));
        worker.shiftClock(-by);
        await expectGrace(worker, 1);
        const penalty = Number(await redis.hget(tenant.keys.state, 'cancel:penalty'));
        assert.ok(Math.abs(penalty - now - 2_000 - by) < 90, `${penalty - now}`);
      });

      it(`by ${by} ms: a claim lasts as long as one call, and no longer`, async () => {
        const [worker, other] = [newWorker(), newWorker()];
        const grant = await worker.probe.grant(idAt(ids, 0), number);
        await other.probe.grant(idAt(ids, 1), number);
        // It stands there by the clock before.
        await redis.zincrby(tenant.keys.slots('cancel'), -by, grant.slot);
        await systemClock.sleep(0);
        for (const each of [worker, other]) each.shiftClock(-by);
        await expectGrace(other, 2);
        // As if the claim had been made on the clock before.
        const { answer } = await other.probe.begin(idAt(ids, 0), number);
        assert.ok(answer.kind === 'claimed', JSON.stringify(answer));
        const most = tenant.config.callTimeoutMs;
        assert.ok(answer.ms > most / 2 && answer.ms <= most, `${answer.ms} ms of ${most}`);
        const finished = await worker.probe.finish(idAt(ids, 0), number, grant);
        assert.equal(finished.kind, 'decided', 'its own call is recorded');
      });

      it(`by ${by} ms: a claim lasts as long as the longest call, where its own worker gives calls more time`, async () => {
        const longMs = 300_000;
        const [worker, other] = [withTimeout(longMs), newWorker()];
        const { slot } = await worker.probe.grant(idAt(ids, 0), number);
        await call(other, 1);
        // It stands there by the clock before.
        await redis.zincrby(tenant.keys.slots('cancel'), -by, slot);
        other.shiftClock(-by);
        await expectGrace(other, 2);
        const { answer } = await other.probe.begin(idAt(ids, 0), number);
        assert.ok(answer.kind === 'claimed' && answer.ms >= longMs, JSON.stringify(answer));
      });

      it(`by ${by} ms: an id that is being called is not ended, also before anybody has looked`, async () => {
        // By the clock before a call's time lapses so much earlier or later.
        const caller = withTimeout(tenant.config.callTimeoutMs - by);
        const grant = await caller.probe.grant(idAt(ids, 0), number);
        const worker = newWorker();
        await pulse(worker.context, ['cancel']);
        worker.shiftClock(-by);
        const done = await worker.ledger.end(number, idAt(ids, 0), 'withdrawn');
        assert.deepEqual(done, { ended: 0, left: 1 });
        assert.equal((await caller.probe.finish(idAt(ids, 0), number, grant)).kind, 'decided');
      });
    }

    for (const by of [-600_000, 600_000]) {
      it(`by ${by} ms: what nobody remembers is moved once, also when they hear of it one after the other`, async () => {
        const gone = newWorker();
        await call(gone, 0);
        const workers = [newWorker(), newWorker(), newWorker()];
        for (const worker of workers) await pulse(worker.context, ['cancel']);
        // As if nobody had seen it: only what is in Redis counts.
        const [slot = ''] = [...(await stamps()).keys()];
        for (const worker of workers) worker.memory.returned('cancel', slot);
        const { now } = await viewBudget(redis, tenant.keys, tenant.limits);
        await redis.hset(tenant.keys.state, 'cancel:penalty', Math.ceil(now + 50_000));
        const before = await stamps();
        for (const worker of workers) worker.shiftClock(-by);
        for (let round = 0; round < 3; round++)
          for (const worker of workers) await pulse(worker.context, ['cancel']);
        assertLike(await stamps(), new Map([...before].map(([its, stamp]) => [its, stamp + by])));
        const penalty = Number(await redis.hget(tenant.keys.state, 'cancel:penalty'));
        assert.ok(Math.abs(penalty - now - 50_000 - by) < 90, `${penalty - now}`);
      });
    }

    it('by less than a second, seen by one that has to wait: the slots move along all the same', async () => {
      const worker = newWorker();
      for (let index = 0; index < 5; index++) await call(worker, index);
      await expectWindow(worker, 5);
      const before = await stamps();
      worker.shiftClock(-800);
      await expectGrace(worker, 5);
      assertLike(await stamps(), new Map([...before].map(([slot, stamp]) => [slot, stamp + 800])));
    });

    it('by little and forward: nobody is let through before the slots have moved', async () => {
      const worker = newWorker();
      for (let index = 0; index < 5; index++) await call(worker, index);
      // As a step of 900 ms makes them look that are 59.2 s old.
      const stamp = Number((await redis.time())[0]) * 1_000 - 60_100;
      for (const slot of (await stamps()).keys()) await redis.zadd(tenant.keys.slots('cancel'), stamp, slot);
      worker.shiftClock(-900);
      const first = worker.probe.begin(idAt(ids, 5), number);
      while (worker.memory.jumps() === 0) await setImmediate();
      // The first has noticed the jump, and what it does about it is under way.
      const later = await Promise.all([6, 7].map((index) => worker.probe.begin(idAt(ids, index), number)));
      const kinds = [await first, ...later].map(({ answer }) => answer.kind);
      assert.ok(!kinds.includes('granted'), kinds.join());
    });

    /** Five lists, so long ago that a step of 900 ms makes them look older than the window; the worker has looked since. */
    async function lists() {
      const worker = newWorker();
      const { windows } = tenant.limits;
      const budget = createOperationBudget({ ...worker.context, windows, callTimeoutMs: 30_000 });
      const [{ lengthMs } = { lengthMs: 0 }] = windows;
      await pulse(worker.context, ['list']);
      const stamp = Number((await redis.time())[0]) * 1_000 - lengthMs - 1_100;
      for (let slot = 1; slot <= 5; slot++) await redis.zadd(tenant.keys.slots('list'), stamp, slot);
      return { worker, budget };
    }

    it('by little and forward, and a list notices: no other list is let through before the slots have moved', async () => {
      const { worker, budget } = await lists();
      worker.shiftClock(-900);
      const first = budget.ask('list');
      while (worker.memory.jumps() === 0) await setImmediate();
      const later = await Promise.all([budget.ask('list'), budget.ask('list')]);
      const kinds = [await first, ...later].map(({ kind }) => kind);
      assert.ok(!kinds.includes('granted'), kinds.join());
    });

    it('by little and forward, and another answer tells first: a list that was asked for before is not let through', async () => {
      const { worker, budget } = await lists();
      worker.shiftClock(-900);
      const looked = pulse(worker.context, ['list']);
      const [{ kind }] = await Promise.all([budget.ask('list'), looked]);
      assert.equal(kind, 'wait');
    });

    it('only one of several workers moves them', async () => {
      const workers = [newWorker(), newWorker(), newWorker()];
      for (const [index, worker] of workers.entries()) await call(worker, index);
      for (const worker of workers) await pulse(worker.context, ['cancel']);
      const before = await stamps();
      for (const worker of workers) worker.shiftClock(-50_000);
      await Promise.all(workers.map((worker) => pulse(worker.context, ['cancel'])));
      for (const worker of workers) await pulse(worker.context, ['cancel']);
      assertLike(await stamps(), new Map([...before].map(([slot, stamp]) => [slot, stamp + 50_000])));
    });

    for (const by of [-900, -20, 20, 900]) {
      it(`by no more than ${by} ms: nobody pauses, and no slot counts for too short`, async () => {
        const worker = newWorker();
        for (let index = 0; index < 4; index++) await call(worker, index);
        await pulse(worker.context, ['cancel']);
        const before = await stamps();
        const [forgotten = ''] = before.keys();
        worker.memory.returned('cancel', forgotten);
        worker.shiftClock(-by);
        assert.equal((await pulse(worker.context, ['cancel'])).kind, 'reopened');
        // Forward all move along. Back, what nobody remembers stays: a slot that seems newer is only waited for longer.
        const moved = new Map([...before].map(([slot, stamp]) => [slot, stamp + by]));
        moved.set(forgotten, (before.get(forgotten) ?? 0) + Math.max(0, by));
        assertLike(await stamps(), moved);
        await call(worker, 4);
        await expectWindow(worker, 5);
      });
    }

    it('a little while others still put back what was lost: their grace is kept', async () => {
      const worker = newWorker();
      await call(worker, 0);
      await redis.del(tenant.keys.slots('cancel'), tenant.keys.state);
      await pulse(worker.context, ['cancel']);
      worker.shiftClock(-50);
      await pulse(worker.context, ['cancel']);
      await expectGrace(worker, 1);
    });
  });

  describe('when a worker starts after Redis’ clock jumped, and nobody has moved the slots yet', () => {
    const TEN_MINUTES = 600_000;
    /** One for whom no grace ends while the test lasts. */
    const newcomer = () => start(tenant, TEN_MINUTES);

    /** All slots are taken. A worker that knows of it has looked, and then the clock jumps by ten minutes: all looks as if it were longer ago. */
    async function jump() {
      const old = newWorker();
      for (let index = 0; index < 5; index++) await call(old, index);
      await lookWell(old);
      for (const slot of (await stamps()).keys())
        await redis.zincrby(tenant.keys.slots('cancel'), -TEN_MINUTES, slot);
      await redis.hincrby(tenant.keys.state, 'steady', -TEN_MINUTES);
      old.shiftClock(-TEN_MINUTES);
      return old;
    }

    it('it sends nothing that the windows did not allow before', async () => {
      await jump();
      const worker = newcomer();
      for (let round = 0; round < 2; round++) {
        const { answer } = await worker.probe.begin(idAt(ids, 5), number);
        assert.ok(answer.kind === 'window' && answer.look, JSON.stringify(answer));
        assert.ok(answer.ms <= worker.context.timings.lookAgainMs, 'and looks again soon');
        await pulse(worker.context, ['cancel']);
      }
      const { windows } = tenant.limits;
      await redis.copy(tenant.keys.slots('cancel'), tenant.keys.slots('list'), 'REPLACE');
      const budget = createOperationBudget({ ...newcomer().context, windows, callTimeoutMs: 30_000 });
      const asked = await budget.ask('list');
      assert.ok(asked.kind === 'wait' && asked.reason === 'window', JSON.stringify(asked));
      // Nothing else looks in a command's process.
      const alone = createOperationBudget({
        ...start(tenant, 1).context,
        windows,
        callTimeoutMs: 30_000,
      });
      await eventually(async () => assert.equal((await alone.ask('list')).kind, 'granted'));
    });

    for (const by of [-TEN_MINUTES, TEN_MINUTES]) {
      it(`it does not call again what is being called (${by} ms)`, async () => {
        const old = withTimeout(tenant.config.callTimeoutMs - by);
        await lookWell(old);
        await old.probe.grant(idAt(ids, 0), number);
        await redis.hincrby(tenant.keys.state, 'steady', -by);
        const worker = newcomer();
        for (let round = 0; round < 2; round++) {
          const { answer } = await worker.probe.begin(idAt(ids, 0), number);
          assert.ok(answer.kind === 'claimed', JSON.stringify(answer));
          assert.ok(answer.ms <= worker.context.timings.lookAgainMs, 'and looks again soon');
          await pulse(worker.context, ['cancel']);
        }
      });
    }

    it('it goes on as the others do once one of them has moved the slots', async () => {
      const old = await jump();
      const worker = newcomer();
      await pulse(worker.context, ['cancel']);
      await expectGrace(old, 5);
      await expectGrace(worker, 5);
    });

    it('it goes on once another worker has found that the clock ran on', async () => {
      const old = await jump();
      old.shiftClock(TEN_MINUTES);
      const worker = newcomer();
      assert.equal((await worker.probe.begin(idAt(ids, 5), number)).answer.kind, 'window');
      await lookWell(old);
      await pulse(worker.context, ['cancel']);
      await call(worker, 5);
    });

    it('it goes on where nobody is left who could move them, when a grace is over', async () => {
      await jump();
      const worker = start(tenant, 1);
      assert.equal((await worker.probe.begin(idAt(ids, 5), number)).answer.kind, 'window');
      do await pulse(worker.context, ['cancel']);
      while (worker.memory.expect('cancel', 0).time === 0);
      await call(worker, 5);
    });

    it('it begins at once where the windows had room, and where nobody has ever looked', async () => {
      const old = newWorker();
      for (let index = 0; index < 4; index++) await call(old, index);
      await lookWell(old);
      await call(newcomer(), 4);
      await redis.hdel(tenant.keys.state, 'steady');
      await redis.del(tenant.keys.slots('cancel'));
      await call(newcomer(), 5);
    });
  });

  describe('when a worker’s machine was suspended', () => {
    const TEN_MINUTES = 600_000;

    /** Two workers that look regularly, two calls of each, and a penalty that is over. */
    async function twoWorkers() {
      const [sleeper, awake] = [newWorker(), newWorker()];
      for (let index = 0; index < 4; index++) await call(index % 2 === 0 ? sleeper : awake, index);
      const { now } = await viewBudget(redis, tenant.keys, tenant.limits);
      await redis.hset(tenant.keys.state, 'cancel:penalty', Math.ceil(now - 2_000));
      for (const worker of [sleeper, awake]) await lookWell(worker);
      return { sleeper, awake };
    }

    const standing = async () => ({
      stamps: await stamps(),
      state: await redis.hmget(tenant.keys.state, 'epoch', 'cancel:penalty', 'grace'),
    });

    for (const told of [false, true]) {
      it(`nobody’s times move, and it goes on at once (${told ? 'its system tells' : 'another worker is the witness'})`, async () => {
        const { sleeper, awake } = await twoWorkers();
        const before = await standing();
        sleeper.sleep(TEN_MINUTES, told);
        await pulse(sleeper.context, ['cancel']);
        assert.equal((await pulse(sleeper.context, ['cancel'])).kind, 'steady');
        assert.equal((await pulse(awake.context, ['cancel'])).kind, 'steady');
        assert.deepEqual(await standing(), before);
        await call(sleeper, 4);
        await expectWindow(awake, 5);
      });
    }

    it('also when it notices by a request', async () => {
      const { sleeper } = await twoWorkers();
      const before = await standing();
      sleeper.sleep(TEN_MINUTES);
      await call(sleeper, 4);
      const now = await standing();
      for (const [slot, stamp] of before.stamps) assert.equal(now.stamps.get(slot), stamp);
      assert.deepEqual(now.state, before.state);
    });

    it('and Redis lost its data meanwhile: it puts back what it remembers as old as that is', async () => {
      const { sleeper, awake } = await twoWorkers();
      const before = await stamps();
      await redis.del(tenant.keys.slots('cancel'), tenant.keys.state);
      for (let round = 0; round < 2; round++) await pulse(awake.context, ['cancel']);
      sleeper.sleep(TEN_MINUTES);
      await pulse(sleeper.context, ['cancel']);
      assertLike(await stamps(), before);
    });

    it('a call that is answered after it may have arrived up to then, and counts from then', async () => {
      const { sleeper } = await twoWorkers();
      const grant = await sleeper.probe.grant(idAt(ids, 4), number);
      // As if it had been taken ten minutes ago.
      const untilMs = grant.untilMs - TEN_MINUTES;
      await redis.zadd(tenant.keys.slots('cancel'), untilMs, grant.slot);
      const { now } = await viewBudget(redis, tenant.keys, tenant.limits);
      await sleeper.probe.finish(idAt(ids, 4), number, { ...grant, untilMs });
      const stamp = (await stamps()).get(grant.slot) ?? 0;
      const after = await viewBudget(redis, tenant.keys, tenant.limits);
      assert.ok(stamp >= now && stamp <= after.now, `${stamp - now} ms late`);
    });

    for (const told of [false, true]) {
      it(`a call in flight is so for as long as it had left (${told ? 'its system tells' : 'another worker is the witness'})`, async () => {
        const { sleeper, awake } = await twoWorkers();
        const { slot, untilMs } = await sleeper.probe.grant(idAt(ids, 4), number);
        const before = await stamps();
        sleeper.sleep(TEN_MINUTES, told);
        await pulse(sleeper.context, ['cancel']);
        assertLike(await stamps(), before.set(slot, untilMs + TEN_MINUTES));
        assert.equal((await pulse(awake.context, ['cancel'])).kind, 'steady', 'and nobody pauses');
      });
    }

    it('a call begun before is not sent after', async () => {
      const { sleeper } = await twoWorkers();
      const { term } = await sleeper.probe.grant(idAt(ids, 4), number);
      assert.equal(term.maySend(), true);
      // Nothing of it shows in the monotonic clock; the wall clock has gone on.
      sleeper.setWall(TEN_MINUTES);
      assert.equal(term.maySend(), false);
    });

    it('its wall clock being set is no sleep: nothing moves', async () => {
      const { sleeper, awake } = await twoWorkers();
      const before = await standing();
      for (const by of [TEN_MINUTES, -2 * TEN_MINUTES]) {
        awake.setWall(by);
        assert.equal((await pulse(awake.context, ['cancel'])).kind, 'steady');
      }
      assert.equal((await pulse(sleeper.context, ['cancel'])).kind, 'steady');
      assert.deepEqual(await standing(), before);
    });

    it('or Redis runs on the same machine, whose clock was set: without a witness the slots move along', async () => {
      const { sleeper } = await twoWorkers();
      const before = await stamps();
      // No worker has looked since then.
      await redis.hincrby(tenant.keys.state, 'steady', -TEN_MINUTES);
      sleeper.sleep(TEN_MINUTES);
      await expectGrace(sleeper, 4);
      assertLike(await stamps(), new Map([...before].map(([slot, stamp]) => [slot, stamp + TEN_MINUTES])));
    });

    it('and Redis’ clock jumped while it slept: the slots move far enough', async () => {
      const { sleeper } = await twoWorkers();
      const before = await stamps();
      sleeper.sleep(TEN_MINUTES);
      sleeper.shiftClock(-50_000);
      await expectGrace(sleeper, 4);
      const now = await stamps();
      for (const [slot, stamp] of before) assert.ok((now.get(slot) ?? 0) >= stamp + 50_000);
    });
  });
});
