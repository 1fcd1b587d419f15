import assert from 'node:assert/strict';
import { it } from 'node:test';
import { request } from 'undici';
import { type Fault, makeActions } from '../../src/simulator/index.ts';
import { type Bench, COMMENT, createTestClock, type ErrorBody, ID, startBench, until } from './support.ts';

const CANCEL_PATH = `/api/machineactions/${ID}/cancel`;

const statusOf = ({ simulator }: Bench) => simulator.action(ID)?.status;
const lastCall = ({ simulator }: Bench) => simulator.calls().at(-1);

/** The code of the error that a cancel, or reading its body, ends with. */
async function failure(bench: Bench): Promise<string> {
  try {
    const reply = await bench.cancel();
    return `answered ${reply.status}`;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

it('answers with any status, code, message and Retry-After, once for each time', async (t) => {
  const bench = await startBench(t);
  const fault: Fault = { kind: 'status', status: 503, code: 'Busy', message: 'Later', retryAfter: 7 };
  bench.simulator.setFaults([{ operation: 'cancel', times: 1, fault }]);
  const reply = await bench.cancel();
  const { error } = reply.json<ErrorBody>();
  assert.deepEqual([reply.status, error.code, error.message], [503, 'Busy', 'Later']);
  assert.equal(reply.headers['retry-after'], '7');
  assert.equal(error.target, lastCall(bench)?.correlationId);
  assert.partialDeepStrictEqual(lastCall(bench), {
    verdict: 'fault',
    fault: 'status',
    status: 503,
    applied: false,
  });
  assert.equal(statusOf(bench), 'Pending');
  assert.equal((await bench.cancel()).status, 200);
});

it('answers with the usual code where none is given, and applies the effect when told so', async (t) => {
  const bench = await startBench(t);
  for (const [status, code] of [
    [400, 'BadRequest'],
    [403, 'Forbidden'],
    [429, 'TooManyRequests'],
    [500, 'InternalServerError'],
  ] as const) {
    bench.simulator.setFaults([{ fault: { kind: 'status', status } }]);
    const reply = await bench.cancel();
    assert.deepEqual([reply.status, reply.json<ErrorBody>().error.code], [status, code]);
    assert.equal('retry-after' in reply.headers, false);
  }
  assert.deepEqual([statusOf(bench), bench.simulator.refusals().length], ['Pending', 0]);
  bench.simulator.setFaults([{ fault: { kind: 'status', status: 504, applied: true } }]);
  assert.equal((await bench.cancel()).status, 504);
  assert.deepEqual([statusOf(bench), lastCall(bench)?.applied], ['Cancelled', true]);
});

it('answers with a gateway’s page', async (t) => {
  const bench = await startBench(t);
  bench.simulator.setFaults([{ fault: { kind: 'html', status: 502 } }]);
  const reply = await bench.cancel();
  assert.equal(reply.status, 502);
  assert.match(String(reply.headers['content-type']), /^text\/html/);
  assert.throws(() => reply.json());
  bench.simulator.setFaults([{ fault: { kind: 'html', status: 503, body: '' } }]);
  assert.deepEqual([(await bench.cancel()).text, statusOf(bench)], ['', 'Pending']);
});

it('cuts an answer: the connection ends early, or the JSON is broken', async (t) => {
  const bench = await startBench(t);
  bench.simulator.setFaults([{ operation: 'cancel', times: 1, fault: { kind: 'truncated', how: 'closed' } }]);
  const response = await request(`${bench.simulator.apiUrl}${CANCEL_PATH}`, {
    dispatcher: bench.agent,
    method: 'POST',
    headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'application/json' },
    body: COMMENT,
  });
  assert.equal(response.statusCode, 200);
  await assert.rejects(response.body.text(), { code: 'UND_ERR_SOCKET' });
  assert.deepEqual([statusOf(bench), lastCall(bench)?.applied], ['Cancelled', true]);

  bench.simulator.addActions([{ id: ID }]);
  bench.simulator.setFaults([{ fault: { kind: 'truncated', how: 'broken-json' } }]);
  const broken = await bench.cancel();
  assert.equal(broken.status, 200);
  assert.equal(Number(broken.headers['content-length']), broken.text.length);
  assert.throws(() => broken.json(), SyntaxError);
  assert.ok(broken.text.startsWith('{'));
  assert.equal(statusOf(bench), 'Cancelled');

  bench.simulator.addActions([{ id: ID }]);
  bench.simulator.setFaults([{ fault: { kind: 'truncated', how: 'broken-json', applied: false } }]);
  const unapplied = await bench.cancel();
  assert.throws(() => unapplied.json(), SyntaxError);
  assert.deepEqual([unapplied.status, statusOf(bench)], [200, 'Pending']);
});

for (const [when, status] of [
  ['before', 'Pending'],
  ['after', 'Cancelled'],
] as const) {
  it(`resets the connection ${when} the call took effect`, async (t) => {
    const bench = await startBench(t);
    bench.simulator.setFaults([{ times: 1, fault: { kind: 'reset', when } }]);
    assert.equal(await failure(bench), 'ECONNRESET');
    assert.equal(statusOf(bench), status);
    assert.partialDeepStrictEqual(lastCall(bench), {
      verdict: 'fault',
      fault: 'reset',
      status: null,
      applied: when === 'after',
      counted: true,
      comment: 'Started by mistake',
    });
    assert.notEqual(await failure(bench), 'ECONNRESET');
  });
}

for (const applied of [false, true]) {
  it(`hangs until the stop, with the effect ${applied ? '' : 'not '}applied`, async (t) => {
    const bench = await startBench(t);
    bench.simulator.setFaults([{ fault: { kind: 'hang', applied } }]);
    const ended = failure(bench);
    await until(() => lastCall(bench)?.fault === 'hang');
    assert.deepEqual([statusOf(bench), lastCall(bench)?.status], [applied ? 'Cancelled' : 'Pending', null]);
    await bench.simulator.stop();
    assert.equal(await ended, 'UND_ERR_SOCKET');
  });
}

it('serves slowly, and takes effect only then', async (t) => {
  const clock = createTestClock();
  const bench = await startBench(t, { clock });
  bench.simulator.setFaults([{ fault: { kind: 'slow', ms: 5_000 } }]);
  const reply = bench.cancel();
  await until(() => clock.sleeping() === 1);
  clock.advance(4_999);
  assert.deepEqual([statusOf(bench), lastCall(bench)?.status], ['Pending', null]);
  clock.advance(1);
  assert.equal((await reply).status, 200);
  assert.partialDeepStrictEqual(lastCall(bench), {
    verdict: 'served',
    fault: 'slow',
    status: 200,
    applied: true,
  });
});

it('takes effect although the client has given up', async (t) => {
  const clock = createTestClock();
  const bench = await startBench(t, { clock });
  bench.simulator.setFaults([{ fault: { kind: 'slow', ms: 5_000 } }]);
  const abort = new AbortController();
  const reply = request(`${bench.simulator.apiUrl}${CANCEL_PATH}`, {
    dispatcher: bench.agent,
    method: 'POST',
    headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'application/json' },
    body: COMMENT,
    signal: abort.signal,
  });
  await until(() => clock.sleeping() === 1);
  abort.abort();
  await assert.rejects(reply, { name: 'AbortError' });
  clock.advance(5_000);
  await until(() => statusOf(bench) === 'Cancelled');
});

it('can keep a call on its way: it arrives and is judged only then, although the client has given up', async (t) => {
  const clock = createTestClock();
  const bench = await startBench(t, { clock, limits: { cancel: [{ max: 1, windowMs: 10_000 }] } });
  bench.simulator.setFaults([{ times: 2, counted: false, fault: { kind: 'slow', ms: 4_000 } }]);
  const abort = new AbortController();
  const lost = request(`${bench.simulator.apiUrl}${CANCEL_PATH}`, {
    dispatcher: bench.agent,
    method: 'POST',
    headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'application/json' },
    body: COMMENT,
    signal: abort.signal,
  });
  await until(() => clock.sleeping() === 1);
  abort.abort();
  await assert.rejects(lost, { name: 'AbortError' });
  clock.advance(1_000);
  const second = bench.cancel();
  await until(() => clock.sleeping() === 2);
  assert.deepEqual(bench.simulator.callsFor(ID), []);
  clock.advance(3_000);
  await until(() => statusOf(bench) === 'Cancelled');
  clock.advance(1_000);
  assert.equal((await second).status, 429);
  assert.deepEqual(
    bench.simulator.callsFor(ID).map(({ arrivedAtMs, counted, fault }) => [arrivedAtMs, counted, fault]),
    [
      [4_000, true, 'slow'],
      [5_000, false, 'slow'],
    ],
  );
});

it('redirects', async (t) => {
  const bench = await startBench(t);
  bench.simulator.setFaults([{ fault: { kind: 'redirect' } }]);
  const usual = await bench.cancel();
  assert.deepEqual([usual.status, usual.headers.location], [302, '/elsewhere']);
  bench.simulator.setFaults([{ fault: { kind: 'redirect', status: 307, location: 'https://x.example/' } }]);
  const other = await bench.cancel();
  assert.deepEqual(
    [other.status, other.headers.location, statusOf(bench)],
    [307, 'https://x.example/', 'Pending'],
  );
});

it('judges and counts a faulted call first, unless the fault sits before the limits', async (t) => {
  const { actions, ids } = makeActions({ count: 3 });
  const limits = { cancel: [{ max: 2, windowMs: 60_000 }] };
  const { simulator, cancel } = await startBench(t, { actions, limits });
  const one = { times: 1, fault: { kind: 'status', status: 500 } } as const;
  simulator.setFaults([{ ...one, counted: false }, one]);
  // The first uses no quota, the second does, so the fourth is refused.
  const statuses = [];
  for (const id of [ids[0], ids[0], ids[0], ids[1]]) statuses.push((await cancel(id)).status);
  assert.deepEqual(statuses, [500, 500, 200, 429]);
  assert.deepEqual(
    simulator
      .calls()
      .slice(1)
      .map((call) => call.counted),
    [false, true, true, false],
  );
  simulator.setFaults([{ ...one, counted: false }]);
  assert.equal((await cancel(ids[2])).status, 500);
  // A refused call leaves the fault for the next.
  simulator.setFaults([one]);
  assert.equal((await cancel(ids[2])).status, 429);
  simulator.setLimits({ cancel: [] });
  assert.deepEqual([(await cancel(ids[2])).status, (await cancel(ids[2])).status], [500, 200]);
});

it('plays no fault to a call without a good token, unless at the gateway', async (t) => {
  const { simulator, cancel } = await startBench(t);
  simulator.setFaults([{ fault: { kind: 'status', status: 500 } }]);
  assert.equal((await cancel(ID, { token: null })).status, 401);
  simulator.setFaults([{ counted: false, fault: { kind: 'status', status: 500 } }]);
  assert.equal((await cancel(ID, { token: null })).status, 500);
});

it('forbids the ids that are made to be forbidden', async (t) => {
  const { actions, forbiddenIds, faults } = makeActions({ count: 4, mix: { pending: 1, forbidden: 1 } });
  const { simulator, cancel } = await startBench(t, { actions, faults });
  for (const { id } of actions) {
    assert.equal((await cancel(id)).status, forbiddenIds.includes(id) ? 403 : 200);
  }
  assert.deepEqual(simulator.summary().actions, { Pending: 2, Cancelled: 2 });
});
