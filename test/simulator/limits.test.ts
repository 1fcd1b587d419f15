import assert from 'node:assert/strict';
import { it } from 'node:test';
import { makeActions } from '../../src/simulator/index.ts';
import { createTestClock, type ErrorBody, ID, startBench, until } from './support.ts';

const TWO_A_MINUTE = [{ max: 2, windowMs: 60_000 }];
const { actions, ids } = makeActions({ count: 200 });

it('refuses what is over the limit, and lets it through again when the time it named has passed', async (t) => {
  const clock = createTestClock();
  const { simulator, cancel } = await startBench(t, { actions, clock, limits: { cancel: TWO_A_MINUTE } });
  const statuses = async (some: string[]) => {
    const replies = [];
    for (const id of some) replies.push(await cancel(id));
    return replies.map((reply) => reply.status);
  };
  assert.deepEqual(await statuses(ids.slice(0, 2)), [200, 200]);
  clock.advance(52_500);
  const refused = await cancel(ids[2]);
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '8']);
  const { error } = refused.json<ErrorBody>();
  assert.equal(error.code, 'TooManyRequests');
  assert.match(error.message, /maximum allowed 2 per 00:01:00 .*You can send requests again in 8 seconds\.$/);
  assert.equal(error.target, simulator.refusals()[0]?.correlationId);
  clock.advance(7_499);
  assert.deepEqual(await statuses(ids.slice(2, 3)), [429]);
  clock.advance(1);
  assert.deepEqual(await statuses(ids.slice(2, 5)), [200, 200, 429]);
  assert.equal(simulator.action(ids[2] ?? '')?.status, 'Cancelled');
  assert.equal(simulator.action(ids[4] ?? '')?.status, 'Pending');
  assert.deepEqual([simulator.refusals().length, simulator.peak('cancel', 60_000)], [3, 2]);
});

it('allows 100 a minute and 1,500 an hour of each operation unless told otherwise', async (t) => {
  const clock = createTestClock();
  const { simulator, cancel, get } = await startBench(t, { actions, clock });
  const replies = await Promise.all(ids.slice(0, 101).map((id) => cancel(id)));
  assert.equal(replies.filter((reply) => reply.status === 429).length, 1);
  assert.equal((await get(`/api/machineactions/${ids[0]}`)).status, 200);
  assert.equal((await get('/api/machineactions?$top=1')).status, 200);
  for (let minute = 1; minute < 15; minute += 1) {
    clock.advance(60_000);
    assert.equal(simulator.spend('cancel', 101), 100);
  }
  clock.advance(60_000);
  const refused = await cancel(ids[101]);
  assert.match(refused.json<ErrorBody>().error.message, /maximum allowed 1500 per 01:00:00 /);
  assert.equal(refused.headers['retry-after'], String(45 * 60));
});

it('judges a call when it arrives, however long it then takes', async (t) => {
  const clock = createTestClock();
  const { simulator, cancel } = await startBench(t, {
    actions,
    clock,
    latencyMs: { min: 1_000, max: 1_000 },
    limits: { cancel: TWO_A_MINUTE },
  });
  const replies = ids.slice(0, 3).map((id) => cancel(id));
  await until(() => clock.sleeping() === 3);
  const cancels = () => simulator.calls().filter((call) => call.operation === 'cancel');
  assert.deepEqual(
    cancels().map((call) => call.verdict),
    ['pending', 'pending', 'refused'],
  );
  assert.deepEqual(
    cancels().map((call) => [call.counted, call.status, call.applied]),
    [
      [true, null, false],
      [true, null, false],
      [false, null, false],
    ],
  );
  clock.advance(1_000);
  assert.deepEqual((await Promise.all(replies)).map((reply) => reply.status).sort(), [200, 200, 429]);
  assert.deepEqual(
    cancels().map((call) => [call.arrivedAtMs, call.answeredAtMs]),
    [
      [0, 1_000],
      [0, 1_000],
      [0, 1_000],
    ],
  );
});

it('spreads latencies over the range, and makes the slow share slow', async (t) => {
  const clock = createTestClock();
  const slept: number[] = [];
  const options = { latencyMs: { min: 20, max: 60 }, slowShare: 0.3, slowMs: 500, limits: { cancel: [] } };
  const noting = {
    ...clock,
    sleep: async (ms: number) => {
      slept.push(ms);
    },
  };
  const { cancel } = await startBench(t, { actions, clock: noting, ...options });
  for (const id of ids) await cancel(id);
  const slow = slept.filter((ms) => ms === 500).length;
  const usual = slept.filter((ms) => ms !== 500);
  assert.equal(slept.length, ids.length);
  assert.ok(slow > 40 && slow < 80, `${slow}`);
  assert.ok(Math.min(...usual) >= 20 && Math.max(...usual) <= 60);
  assert.ok(Math.min(...usual) < 25 && Math.max(...usual) > 55);
});

it('keeps one quota per operation, or one for all three', async (t) => {
  const { simulator, cancel, get } = await startBench(t, {
    limits: { cancel: TWO_A_MINUTE, get: TWO_A_MINUTE, list: TWO_A_MINUTE },
  });
  const path = `/api/machineactions/${ID}`;
  assert.deepEqual(
    [(await cancel()).status, (await get(path)).status, (await get(path)).status],
    [200, 200, 200],
  );
  assert.equal((await get(path)).status, 429);
  assert.equal((await get('/api/machineactions')).status, 200);
  simulator.setLimits({ sharedQuota: true });
  assert.deepEqual([(await get(path)).status, (await get('/api/machineactions')).status], [200, 200]);
  assert.deepEqual([(await cancel()).status, (await get(path)).status], [429, 429]);
});

it('counts refused calls when told so', async (t) => {
  const clock = createTestClock();
  const limits = { cancel: TWO_A_MINUTE, refusedCallsCount: true };
  const { simulator, cancel } = await startBench(t, { actions, clock, limits });
  for (const id of ids.slice(0, 2)) await cancel(id);
  clock.advance(30_000);
  for (const id of ids.slice(2, 4))
    assert.equal((await cancel(id)).headers['retry-after'], id === ids[2] ? '30' : '60');
  clock.advance(30_000);
  assert.equal((await cancel(ids[4])).status, 429);
  assert.deepEqual([simulator.peak('cancel', 60_000), simulator.refusals().length], [4, 3]);
});

it('counts in fixed windows or fills a bucket', async (t) => {
  const clock = createTestClock();
  const limits = { cancel: TWO_A_MINUTE, mode: 'fixed', offsetMs: 10_000 } as const;
  const { simulator, cancel } = await startBench(t, { actions, clock, limits });
  const three = async () => {
    const statuses = [];
    for (const id of ids.slice(0, 3)) statuses.push((await cancel(id)).status === 429);
    return statuses;
  };
  clock.advance(9_999);
  assert.deepEqual(await three(), [false, false, true]);
  clock.advance(1);
  assert.deepEqual(await three(), [false, false, true]);
  simulator.setLimits({ mode: 'token-bucket' });
  assert.deepEqual(await three(), [false, false, true]);
  clock.advance(30_000);
  assert.deepEqual(await three(), [false, true, true]);
});

it('begins to count anew when a limit changes, not when the style of a refusal does', async (t) => {
  const { simulator, cancel } = await startBench(t, { actions, limits: { cancel: TWO_A_MINUTE } });
  const before = Date.now();
  assert.equal(simulator.spend('cancel', 5), 2);
  simulator.setLimits({ retryAfter: 'none', code: '429', message: 'bare' });
  const refused = await cancel(ids[0]);
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, undefined]);
  assert.deepEqual(refused.json<ErrorBody>().error, {
    code: '429',
    message: 'Too many requests.',
    target: simulator.refusals()[0]?.correlationId,
  });
  simulator.setLimits({ retryAfter: 'http-date' });
  const until = Date.parse(String((await cancel(ids[0])).headers['retry-after']));
  assert.ok(until > before + 58_000 && until <= Date.now() + 61_000);
  simulator.setLimits({ cancel: [{ max: 1, windowMs: 1_000 }] });
  assert.equal((await cancel(ids[0])).status, 200);
});
