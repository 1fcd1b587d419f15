import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { CancelResult } from '../../src/base/outcome.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { CAMPAIGN, openStack, type Stack, type StackOptions } from '../support/stack.ts';
import { withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

/** What the API does, and what Standdown does: each row through the whole stack. */
describe('the behaviour', () => {
  let server: TestRedis;
  /** Of the tests that leave nothing behind but ids of their own; with a worker. */
  let common: Stack;
  let stack: Stack;
  let campaigns = 0;

  before(async () => {
    server = await openTestRedis();
    common = await openStack(server);
    await common.startWorker();
  });
  afterEach(async () => {
    if (stack !== common) return stack.close();
    stack.simulator.setFaults([]);
    stack.simulator.setBehaviour({ finalState: '400' });
  });
  after(async () => {
    await common.close();
    await server.close();
  });

  function share(): void {
    stack = common;
  }

  async function open(options: StackOptions = {}): Promise<Stack> {
    stack = await openStack(server, options);
    return stack;
  }

  /** Drains one campaign of these ids. */
  async function drain(ids: readonly string[]): Promise<CancelResult[]> {
    if (stack !== common) await stack.startWorker();
    const campaign = `${CAMPAIGN}-${++campaigns}`;
    await stack.submit(ids, campaign);
    await stack.untilDone(campaign);
    const report = await stack.report(campaign);
    return ids.map((id) => report.get(id) as CancelResult);
  }

  function cancels(id: string): number {
    return stack.simulator.callsFor(id).filter((call) => call.operation === 'cancel').length;
  }

  it('200, Cancelled: cancelled, with the action’s fields', async () => {
    share();
    const [id = ''] = stack.addActions(1, { type: 'Isolate', computerDnsName: 'host-1' });
    const [result] = await drain([id]);
    assert.equal(result?.outcome, 'cancelled');
    assert.equal(result?.httpStatus, 200);
    assert.equal(result?.attempts, 1);
    assert.equal(result?.uncertain, false);
    assert.equal(result?.campaign, `${CAMPAIGN}-${campaigns}`);
    assert.deepEqual(
      [result?.action?.status, result?.action?.type, result?.action?.computerDnsName],
      ['Cancelled', 'Isolate', 'host-1'],
    );
    assert.match(result?.action?.createdAt ?? '', /^\d{4}-.*Z$/);
    assert.equal(stack.simulator.action(id)?.status, 'Cancelled');
    assert.equal(stack.simulator.callsFor(id)[0]?.comment, 'test');
  });

  it('200, not yet: accepted', async () => {
    await open({ simulator: { behaviour: { cancelled: 'later', laterMs: 60_000 } } });
    const [result] = await drain(stack.addActions(1));
    assert.equal(result?.outcome, 'accepted');
    assert.equal(result?.action?.status, 'Pending');
  });

  it('404: not_found, a completed job whose result says so', async () => {
    share();
    const job = await stack.enqueue({
      v: 1,
      machineActionId: '00000000-0000-4000-8000-000000000001',
      comment: 'x',
    });
    const result = await stack.result(job);
    assert.deepEqual([result.outcome, result.httpStatus], ['not_found', 404]);
    assert.ok(result.correlationId, 'with Defender’s correlation id');
    assert.equal(await job.getState(), 'completed');
  });

  for (const finalState of ['400', '200'] as const) {
    it(`an action that has ended, answered with ${finalState}: already_final, with its status`, async () => {
      share();
      stack.simulator.setBehaviour({ finalState });
      const before = stack.simulator.calls().length;
      const [result] = await drain(stack.addActions(1, { status: 'Failed' }));
      assert.equal(result?.outcome, 'already_final');
      assert.equal(result?.action?.status, 'Failed');
      assert.equal(result?.attempts, 1);
      const gets = stack.simulator.calls(before).filter((call) => call.operation === 'get').length;
      assert.equal(gets, finalState === '400' ? 1 : 0, 'Get is asked only about a 400');
    });
  }

  it('400, and the action goes on: rejected, with code and message', async () => {
    share();
    const [id = ''] = stack.addActions(1);
    stack.simulator.setFaults([
      {
        operation: 'cancel',
        fault: { kind: 'status', status: 400, code: 'InvalidInput', message: 'no such thing' },
      },
    ]);
    const [result] = await drain([id]);
    assert.deepEqual(
      [result?.outcome, result?.httpStatus, result?.errorCode, result?.errorMessage],
      ['rejected', 400, 'InvalidInput', 'no such thing'],
    );
    assert.equal(result?.action?.status, 'Pending', 'as Get saw it');
    assert.equal(cancels(id), 1, 'cancel is not sent again after a 400');
  });

  it('400 where reading is not permitted: rejected, with code and message', async () => {
    await open({ simulator: { roles: ['Machine.Isolate'] } });
    const [result] = await drain(stack.addActions(1, { status: 'Succeeded' }));
    assert.equal(result?.outcome, 'rejected');
    assert.equal(result?.httpStatus, 400);
    assert.ok(result?.errorMessage);
    assert.equal(stack.simulator.calls().filter((call) => call.operation === 'get').length, 0);
  });

  it('400, and Get is throttled: asked again on Get’s own budget', async () => {
    share();
    const [id = ''] = stack.addActions(1, { status: 'Succeeded' });
    stack.simulator.setFaults([
      { operation: 'get', times: 1, fault: { kind: 'status', status: 429, retryAfter: 1 } },
    ]);
    const [result] = await drain([id]);
    assert.equal(result?.outcome, 'already_final');
    assert.equal(cancels(id), 1);
    assert.equal(
      await stack.redis.hget(stack.tenant.keys.state, 'cancel:penalty'),
      null,
      'says nothing about cancel',
    );
  });

  it('401 once: a fresh token, and no attempt is used', async () => {
    await open();
    const ids = stack.addActions(20);
    await stack.startWorker();
    await stack.submit(ids.slice(0, 10));
    await stack.untilDone();
    stack.simulator.revokeTokens();
    await stack.submit(ids);
    await stack.untilDone();
    for (const line of (await stack.report()).values()) {
      assert.deepEqual([line.outcome, line.attempts], ['cancelled', 1]);
    }
    const tokens = stack.simulator.calls().filter((call) => call.operation === 'token').length;
    assert.equal(tokens, 2, 'one renewal for all calls that were refused');
  });

  it('401 with a fresh token too: holds with the reason, uses no attempt, fails no request', async () => {
    await open();
    const ids = stack.addActions(5);
    stack.simulator.setFaults([
      { operation: 'cancel', fault: { kind: 'status', status: 401, code: 'Unauthorized' } },
    ]);
    await stack.startWorker();
    await stack.submit(ids);
    await eventually(async () => assert.equal((await stack.status()).hold?.reason, 'unauthorized'));
    stack.simulator.setFaults([]);
    await stack.untilDone();
    for (const line of (await stack.report()).values()) {
      assert.deepEqual([line.outcome, line.attempts], ['cancelled', 1]);
    }
    assert.equal((await stack.status()).hold, null);
  });

  it('403: forbidden', async () => {
    share();
    const [id = ''] = stack.addActions(1);
    stack.simulator.setFaults([
      { operation: 'cancel', fault: { kind: 'status', status: 403, code: 'DisallowedOperation' } },
    ]);
    const [result] = await drain([id]);
    assert.deepEqual(
      [result?.outcome, result?.httpStatus, result?.errorCode],
      ['forbidden', 403, 'DisallowedOperation'],
    );
  });

  for (const [name, retryAfter, style] of [
    ['Retry-After in seconds', 'seconds', 'full'],
    ['Retry-After as a date', 'http-date', 'full'],
    ['the message only', 'none', 'full'],
  ] as const) {
    it(`429 with ${name}: waits as long as told, uses no attempt`, async () => {
      // The simulator allows less than the worker believes.
      await open({
        limits: '100000/1s',
        simulator: { limits: { cancel: [{ max: 5, windowMs: 1_000 }], retryAfter, message: style } },
      });
      const ids = stack.addActions(12);
      const results = await drain(ids);
      for (const result of results) assert.deepEqual([result.outcome, result.attempts], ['cancelled', 1]);
      const refused = stack.simulator.refusals().length;
      assert.ok(
        refused >= 1 && refused <= 30,
        `${refused} refusals: all that were under way, and then it waits`,
      );
    });
  }

  it('429 that says nothing: waits for 60 s, and shows it', async () => {
    await open({ limits: '100000/5m' });
    stack.simulator.setFaults([
      {
        operation: 'cancel',
        times: 1,
        fault: { kind: 'status', status: 429, code: '429', message: 'slow down' },
      },
    ]);
    await stack.startWorker();
    const now = Date.now();
    await stack.submit(stack.addActions(3));
    const { hold } = await eventually(async () => {
      const status = await stack.status();
      assert.equal(status.hold?.reason, 'penalty');
      return status;
    });
    const seconds = (Date.parse(hold?.until ?? '') - now) / 1_000;
    assert.ok(seconds > 55 && seconds < 66, `${seconds} s`);
    assert.match(hold?.detail ?? '', /slow down/);
  });

  const troubles = [
    ['500', { kind: 'status', status: 500, code: 'InternalServerError' }, true],
    ['503 with HTML', { kind: 'html', status: 503 }, true],
    ['an HTML page with 200', { kind: 'html', status: 200, applied: true }, true],
    ['an HTML page with 404', { kind: 'html', status: 404 }, false],
    ['JSON that is cut off', { kind: 'truncated', how: 'closed', applied: true }, true],
    ['JSON that is broken', { kind: 'truncated', how: 'broken-json', applied: true }, true],
    ['a reset before', { kind: 'reset', when: 'before' }, true],
    ['a reset after', { kind: 'reset', when: 'after' }, true],
    ['a redirect', { kind: 'redirect' }, false],
  ] as const;
  for (const [name, fault, uncertain] of troubles) {
    it(`${name}, once: retried without using an attempt, ${uncertain ? 'and uncertain' : 'and certain'}`, async () => {
      share();
      stack.simulator.setBehaviour({ finalState: '200' });
      const [id = ''] = stack.addActions(1);
      stack.simulator.setFaults([{ operation: 'cancel', times: 1, fault }]);
      const [result] = await drain([id]);
      assert.equal(result?.outcome, 'cancelled');
      assert.deepEqual([result?.attempts, result?.uncertain], [1, uncertain]);
      assert.equal(cancels(id), 2);
    });
  }

  it('no answer in time, once: retried, and uncertain', async () => {
    await open({ env: { CALL_TIMEOUT: '500ms' }, simulator: { behaviour: { finalState: '200' } } });
    const [id = ''] = stack.addActions(1);
    stack.simulator.setFaults([{ operation: 'cancel', times: 1, fault: { kind: 'hang', applied: true } }]);
    const [result] = await drain([id]);
    assert.deepEqual([result?.outcome, result?.attempts, result?.uncertain], ['cancelled', 1, true]);
  });

  it('trouble each time, while others succeed: unresolved after MAX_ATTEMPTS', async () => {
    await open({ env: { MAX_ATTEMPTS: '3' } });
    const [bad = ''] = stack.addActions(1);
    stack.simulator.setFaults([
      {
        operation: 'cancel',
        ids: [bad],
        fault: { kind: 'status', status: 500, code: 'InternalServerError', message: 'oops' },
      },
    ]);
    await stack.startWorker();
    await stack.submit([bad]);
    await eventually(async () => {
      const [good] = stack.addActions(1);
      const job = await stack.enqueue({ v: 1, machineActionId: good, comment: 'x' });
      assert.equal((await stack.result(job)).outcome, 'cancelled');
      assert.equal((await stack.status()).open, 0);
    });
    const result = (await stack.report()).get(bad);
    assert.deepEqual([result?.outcome, result?.attempts, result?.errorMessage], ['unresolved', 3, 'oops']);
    assert.ok(cancels(bad) >= 3);
  });

  it('an upstream that is down: holds, probes one at a time, fails no request', async () => {
    // Nothing is tried again before it is known to be down.
    const timings = withTimings({ firstRetryMs: 5_000, lastRetryMs: 5_000 });
    await open({ env: { MAX_ATTEMPTS: '2' }, timings });
    const ids = stack.addActions(60);
    stack.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'html', status: 503 } }]);
    await stack.startWorker();
    await stack.submit(ids);
    await eventually(async () => assert.equal((await stack.status()).hold?.reason, 'upstream'));
    const atHold = stack.simulator.calls().length;
    const probes = await eventually(() => {
      const later = stack.simulator
        .calls()
        .slice(atHold)
        .filter((call) => call.operation === 'cancel');
      assert.ok(later.length >= 3, `${later.length} probes`);
      return later;
    });
    assert.ok(probes.length <= 4, 'few calls are made meanwhile');
    assert.ok(new Set(probes.map(({ id }) => id)).size >= 2, 'they rotate over the ids');
    stack.simulator.setFaults([]);
    const { outcomes } = await stack.untilDone();
    assert.deepEqual(outcomes, { cancelled: 60 });
    assert.equal((await stack.status()).hold, null);
  });

  it('nothing listens there: no slot is used up, no request fails', async () => {
    await open({ env: { DEFENDER_API_URL: 'http://127.0.0.1:9' } });
    const ids = stack.addActions(15);
    const worker = await stack.startWorker();
    await stack.submit(ids);
    await eventually(async () => assert.equal((await stack.status()).hold?.reason, 'upstream'));
    // Only then is no probe on its way, which has a slot until it has failed.
    await worker.stop();
    assert.equal(
      await stack.redis.zcard(stack.tenant.keys.slots('cancel')),
      0,
      'a call that never left costs no slot',
    );
    await stack.startWorker({ DEFENDER_API_URL: stack.simulator.apiUrl });
    const { outcomes } = await stack.untilDone();
    assert.deepEqual(outcomes, { cancelled: 15 });
    for (const line of (await stack.report()).values())
      assert.deepEqual([line.attempts, line.uncertain], [1, false]);
  });

  it('a worker with wider limits goes on at once, although one before it had to wait for an hour', async () => {
    await open({ limits: '50/1s' });
    const ids = stack.addActions(60);
    const worker = await stack.startWorker({ RATE_LIMITS: '50/1s,20/1h', URGENT_RESERVE: 'none' });
    await stack.submit(ids);
    const limiter = stack.tenant.keys.lane('cancel-campaign', 'limiter');
    await eventually(async () => assert.ok((await stack.redis.pttl(limiter)) > 60_000));
    await worker.stop();
    await stack.startWorker({ URGENT_RESERVE: 'none' });
    const { outcomes } = await stack.untilDone();
    assert.deepEqual(outcomes, { cancelled: 60 });
  });

  describe('sign-in', () => {
    it('that is refused: holds with the code as the reason, stays up, goes on when it works', async () => {
      await open();
      stack.simulator.setFaults([
        { operation: 'token', fault: { kind: 'status', status: 401, code: 'invalid_client' } },
      ]);
      await stack.startWorker();
      await stack.submit(stack.addActions(3));
      const { hold } = await eventually(async () => {
        const status = await stack.status();
        assert.equal(status.hold?.reason, 'sign-in');
        return status;
      });
      assert.match(hold?.detail ?? '', /invalid_client/);
      stack.simulator.setFaults([]);
      const { outcomes } = await stack.untilDone();
      assert.deepEqual(outcomes, { cancelled: 3 });
      assert.equal((await stack.status()).hold, null);
      for (const line of (await stack.report()).values()) assert.equal(line.attempts, 1);
    });

    it('that hangs: has a time limit', async () => {
      await open({ env: { CALL_TIMEOUT: '500ms' } });
      stack.simulator.setFaults([{ operation: 'token', times: 2, fault: { kind: 'hang' } }]);
      await stack.startWorker();
      await stack.submit(stack.addActions(2));
      const { hold } = await eventually(async () => {
        const status = await stack.status();
        assert.equal(status.hold?.reason, 'sign-in');
        return status;
      });
      assert.match(hold?.detail ?? '', /request_timeout/);
      const { outcomes } = await stack.untilDone();
      assert.deepEqual(outcomes, { cancelled: 2 });
    });
  });
});
