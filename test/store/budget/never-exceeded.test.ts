import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../../src/base/clock.ts';
import { pulse } from '../../../src/store/budget/epoch.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { newWorker, type TestWorker } from '../../support/epoch.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant } from '../../support/tenant.ts';

/** Windows as in RATE_LIMITS, with what they are in numbers for the one who counts. */
const SETTINGS = [
  {
    limits: '5/200ms,12/1s',
    windows: [
      [5, 200],
      [12, 1_000],
    ],
  },
  {
    limits: '1/50ms,7/700ms',
    windows: [
      [1, 50],
      [7, 700],
    ],
  },
  { limits: '20/400ms', windows: [[20, 400]] },
] as const;

/** Most time for a call; a lost one may be counted for as long again. */
const CALL_TIMEOUT_MS = 100;

/** What happens to one call. Shares of what is possible, from 0 to 1. */
interface Fate {
  kind: 'answered' | 'lost' | 'unsent' | 'crash';
  /** When the server counts it: of the time until the answer, or for a lost one of all its promise. */
  countedAt: number;
  /** When its answer comes, of the call timeout. */
  answeredAt: number;
}

const fate: fc.Arbitrary<Fate> = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant('answered' as const) },
    { weight: 2, arbitrary: fc.constant('lost' as const) },
    { weight: 1, arbitrary: fc.constant('unsent' as const) },
    { weight: 1, arbitrary: fc.constant('crash' as const) },
  ),
  countedAt: fc.double({ min: 0, max: 1, noNaN: true }),
  answeredAt: fc.oneof(
    { weight: 3, arbitrary: fc.double({ min: 0, max: 0.1, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 0.95, noNaN: true }) },
  ),
});

const schedule = fc.record({
  setting: fc.constantFrom(...SETTINGS),
  /** One list of fates per worker. */
  workers: fc.array(fc.array(fate, { minLength: 10, maxLength: 40 }), { minLength: 1, maxLength: 5 }),
  concurrency: fc.integer({ min: 1, max: 6 }),
  /** Whether Redis loses the slots on the way. */
  loses: fc.boolean(),
});

/** Scaled as the windows are: shorter than most of them, so that what was lost has to be put back. */
const GRACE_MS = 150;
const PULSE_MS = 50;

/** A run ends by then, however slow its windows. */
const RUN_MS = 2_500;
const RUNS_AT_ONCE = 12;

/** The most arrivals that any half-open window of this length holds: written apart from the budget. */
function largestCount(arrivals: readonly number[], lengthMs: number): number {
  const sorted = [...arrivals].sort((a, b) => a - b);
  return Math.max(
    0,
    ...sorted.map((start) => sorted.filter((at) => at >= start && at < start + lengthMs).length),
  );
}

describe('no rolling window is ever exceeded as the server counts', () => {
  let server: TestRedis;
  let redis: RedisClient;

  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  /** Plays a schedule against the real scripts. Returns when the server counted each call. */
  async function play({
    setting,
    workers,
    concurrency,
    loses,
  }: typeof schedule extends fc.Arbitrary<infer S> ? S : never) {
    const tenant = await newTenant(redis, {
      RATE_LIMITS: setting.limits,
      URGENT_RESERVE: 'none',
      CALL_TIMEOUT: `${CALL_TIMEOUT_MS}ms`,
      MAX_ATTEMPTS: '100',
    });
    const number = await createProbe(tenant).campaign('campaign');
    const ids = newIds(workers.flat().length);
    await tenant.ledger.submit(number, ids);
    const end = systemClock.monotonic() + RUN_MS;
    const arrivals: number[] = [];
    const late: Promise<void>[] = [];
    let nextId = 0;

    const count = () => arrivals.push(systemClock.monotonic());
    /** A timer of this busy process that comes later than the promise reaches is no call that was promised for. */
    const countLater = (ms: number, promisedUntil: number) =>
      late.push(systemClock.sleep(ms).then(() => void (systemClock.monotonic() < promisedUntil && count())));

    async function call(own: TestWorker, id: Buffer, { kind, countedAt, answeredAt }: Fate): Promise<void> {
      const { probe } = own;
      const { answer } = await probe.begin(id, number);
      if (answer.kind === 'window' || answer.kind === 'hold') {
        await systemClock.sleep(Math.min(answer.ms, 100));
        return systemClock.monotonic() < end ? call(own, id, { kind, countedAt, answeredAt }) : undefined;
      }
      if (answer.kind !== 'granted') return;
      const elapsed = systemClock.monotonic() - answer.askedAt;
      // As a worker does that was held up: it does not send.
      if (kind === 'unsent' || elapsed > CALL_TIMEOUT_MS * 0.5) {
        await own.ledger.giveBack({ id, operation: 'cancel', campaign: number }, answer);
        return;
      }
      const left = CALL_TIMEOUT_MS * 0.95 - elapsed;
      if (kind !== 'answered') {
        countLater(countedAt * (left + CALL_TIMEOUT_MS), answer.askedAt + 2 * CALL_TIMEOUT_MS);
        if (kind === 'crash') return;
        await systemClock.sleep(left);
        const verdict = {
          kind: 'retry',
          delayMs: 0,
          uncertain: true,
          costsAttempt: true,
          detail: {},
        } as const;
        await probe.finish(id, number, answer, { slotFate: 'lost', verdict, sign: 'none' });
        return;
      }
      await systemClock.sleep(answeredAt * countedAt * left);
      if (systemClock.monotonic() < answer.askedAt + 2 * CALL_TIMEOUT_MS) count();
      await systemClock.sleep(answeredAt * (1 - countedAt) * left);
      await probe.finish(id, number, answer);
    }

    async function work(fates: readonly Fate[]): Promise<void> {
      const own = newWorker(tenant, GRACE_MS);
      const queue = [...fates];
      const runner = async () => {
        for (let next = queue.shift(); next && systemClock.monotonic() < end; next = queue.shift()) {
          await call(own, idAt(ids, nextId++), next);
        }
      };
      const beat = async () => {
        for (; systemClock.monotonic() < end; await systemClock.sleep(PULSE_MS))
          await pulse(own.context, ['cancel']);
      };
      await Promise.all([beat(), ...Array.from({ length: concurrency }, runner)]);
    }

    const working = workers.map(work);
    if (loses) {
      await systemClock.sleep(300);
      // All at once, as a server that comes back empty: never some of it.
      const { slots, state } = tenant.keys;
      await redis.multi().del(slots('cancel')).hdel(state, 'epoch', 'run', 'seq', 'grace').exec();
    }
    await Promise.all(working);
    await Promise.all(late);
    return arrivals;
  }

  it('by any schedule, latency, number of workers, crash, and after a loss', async (t) => {
    let calls = 0;
    const schedules = fc.array(schedule, { minLength: RUNS_AT_ONCE, maxLength: RUNS_AT_ONCE });
    await fc.assert(
      fc.asyncProperty(schedules, async (together) => {
        await Promise.all(
          together.map(async (each) => {
            const arrivals = await play(each);
            calls += arrivals.length;
            for (const [max, lengthMs] of each.setting.windows) {
              const largest = largestCount(arrivals, lengthMs);
              assert.ok(largest <= max, `${largest} calls in ${lengthMs} ms, where ${max} are allowed`);
            }
          }),
        );
      }),
      // Each run takes its time: many small ones at once, and no shrinking of what depends on the clock.
      { numRuns: Number(process.env['SCHEDULES'] ?? 4), endOnFailure: true },
    );
    t.diagnostic(`${calls} calls`);
    assert.ok(calls > 50, `only ${calls} calls were made`);
  });
});
