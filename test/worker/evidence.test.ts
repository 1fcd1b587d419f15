import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Fault } from '../../src/simulator/index.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { isStopped } from '../../src/store/campaign/status.ts';
import { DOWN_AFTER } from '../../src/store/ledger/finish.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { CAMPAIGN, keepingLog, openStack, type Stack } from '../support/stack.ts';
import { withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

/** What an answer proves, through the whole stack. */
describe('the evidence of an answer', () => {
  let server: TestRedis;
  let stack: Stack;

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(() => stack.close());
  after(() => server.close());

  const answer = (status: number, body = '', applied = false): Fault => ({
    kind: 'html',
    status,
    body,
    applied,
  });
  const cancels = (id: string) =>
    stack.simulator.callsFor(id).filter(({ operation }) => operation === 'cancel').length;

  /** Others are cancelled meanwhile: only then is it known whose trouble an answer without a reason is. */
  const untilDoneAmongOthers = (campaign = CAMPAIGN) =>
    eventually(async () => {
      await stack.submit(stack.addActions(1), 'others');
      await stack.untilDone('others');
      assert.equal((await stack.status(campaign)).open, 0);
    });

  it('that gives no reason is no verdict: tried again, and at the last attempt its status stands', async () => {
    stack = await openStack(server, {
      env: { MAX_ATTEMPTS: '3' },
      simulator: { behaviour: { finalState: '200' } },
    });
    const gateway = '{"statusCode":404,"message":"Resource not found"}';
    const once: Fault[] = [
      answer(404),
      answer(404, gateway),
      answer(404, '{"Message":"No HTTP resource"}'),
      answer(403),
      answer(400),
      { kind: 'status', status: 409, code: 'Conflict' },
      { kind: 'status', status: 423, code: 'Locked' },
      { kind: 'status', status: 425, code: 'TooEarly' },
    ];
    const always: [Fault, outcome: string, code: string][] = [
      [answer(404), 'not_found', 'NO_REASON'],
      [answer(404, gateway), 'not_found', 'NO_REASON'],
      [answer(403), 'forbidden', 'NO_REASON'],
      [answer(410), 'rejected', 'NO_REASON'],
      [{ kind: 'status', status: 409, code: 'Conflict' }, 'rejected', 'Conflict'],
    ];
    const ids = stack.addActions(once.length + always.length);
    const [ended = ''] = stack.addActions(1, { status: 'Succeeded' });
    const rest = ids.slice(once.length);
    stack.simulator.setFaults([
      ...once.map((fault, index) => ({
        operation: 'cancel' as const,
        ids: ids.slice(index, index + 1),
        times: 1,
        fault,
      })),
      ...always.map(([fault], index) => ({
        operation: 'cancel' as const,
        ids: rest.slice(index, index + 1),
        fault,
      })),
      { operation: 'cancel', ids: [ended], fault: answer(400) },
    ]);
    await stack.startWorker();
    await stack.submit([...ids, ended]);
    await untilDoneAmongOthers();
    const report = await stack.report();
    for (const id of ids.slice(0, once.length)) {
      const line = report.get(id);
      assert.deepEqual([line?.outcome, line?.uncertain, cancels(id)], ['cancelled', false, 2]);
    }
    for (const [index, [, outcome, code]] of always.entries()) {
      const id = rest[index] ?? '';
      const line = report.get(id);
      assert.deepEqual([line?.outcome, line?.errorCode, line?.attempts], [outcome, code, 3]);
      assert.ok(cancels(id) >= 3);
      if (code === 'NO_REASON') assert.match(line?.errorMessage ?? '', /^the API gave no reason/);
    }
    const line = report.get(ended);
    assert.deepEqual([line?.outcome, line?.action?.status], ['already_final', 'Succeeded']);
    assert.ok(cancels(ended) >= 3);
  });

  it('that gives no reason to any call is an outage: it ends nothing, and is over with the first that does', async () => {
    stack = await openStack(server, { env: { MAX_ATTEMPTS: '1' } });
    const gateway = answer(404, '{"statusCode":404,"message":"Resource not found"}');
    stack.simulator.setFaults([{ operation: 'cancel', fault: gateway }]);
    await stack.startWorker();
    const [pending = '', ...ids] = stack.addActions(31);
    const jobs = await Promise.all(
      ids.map((machineActionId) => stack.enqueue({ v: 1, machineActionId, comment: 'x' })),
    );
    await stack.submit([pending]);
    const hold = await eventually(async () => {
      const status = await stack.status();
      assert.equal(status.hold?.reason, 'upstream');
      const called = [...ids, pending].filter((id) => cancels(id) > 0);
      assert.ok(called.length > DOWN_AFTER, 'probes go to others');
      return status.hold;
    });
    assert.match(hold?.detail ?? '', /^the API gave no reason; the answer was: .*Resource not found/);
    stack.simulator.setFaults([]);
    for (const job of jobs) {
      const { outcome, attempts } = await stack.result(job);
      assert.deepEqual([outcome, attempts], ['cancelled', 1]);
    }
    await stack.untilDone();
  });

  it('that gives no reason to one of many holds none of the others up', async () => {
    stack = await openStack(server, { env: { MAX_ATTEMPTS: '3' } });
    const [unknown = '', ...ids] = stack.addActions(60);
    stack.simulator.setFaults([{ operation: 'cancel', ids: [unknown], fault: answer(404) }]);
    await stack.startWorker();
    await stack.submit([unknown], 'alone');
    await eventually(async () => assert.equal((await stack.status('alone')).hold?.reason, 'upstream'));
    await stack.submit(ids);
    assert.deepEqual((await stack.untilDone()).outcomes, { cancelled: ids.length });
    await untilDoneAmongOthers('alone');
    const line = (await stack.report('alone')).get(unknown);
    assert.deepEqual([line?.outcome, line?.attempts], ['not_found', 3]);
  });

  it('of Get that explains nothing ends the look at a 400 in time, as a refusal', async () => {
    const timings = withTimings({ downMs: 500, checkMs: 1_000 });
    stack = await openStack(server, { timings, limits: '100000/1h' });
    const answers: Fault[] = [
      answer(404, '{"statusCode":404,"message":"Resource not found"}'),
      answer(403),
      { kind: 'status', status: 409, code: 'Conflict' },
      { kind: 'status', status: 423, code: 'Locked' },
    ];
    const ids = stack.addActions(answers.length, { status: 'Succeeded' });
    stack.simulator.setFaults(
      answers.map((fault, index) => ({ operation: 'get', ids: ids.slice(index, index + 1), fault })),
    );
    await stack.startWorker();
    await stack.submit(ids);
    assert.deepEqual((await stack.untilDone()).outcomes, { rejected: answers.length });
    for (const { httpStatus, attempts } of (await stack.report()).values())
      assert.deepEqual([httpStatus, attempts], [400, 1], 'the 400’s own words');
  });

  it('is uncertain once a call may have been carried out, whatever the next answer says', async () => {
    stack = await openStack(server);
    const faults: Fault[] = [
      answer(504, '{"error":{"code":"GatewayTimeout","message":"x"}}', true),
      { kind: 'status', status: 500, applied: true },
      answer(202, '', true),
      answer(204, '', true),
      { kind: 'status', status: 408, applied: true },
      answer(200, '{"id":"00000000-0000-4000-8000-000000000009","status":"Pending"}', true),
    ];
    const ids = stack.addActions(faults.length);
    stack.simulator.setFaults(
      faults.map((fault, index) => ({
        operation: 'cancel',
        ids: ids.slice(index, index + 1),
        times: 1,
        fault,
      })),
    );
    await stack.startWorker();
    await stack.submit(ids);
    await stack.untilDone();
    const report = await stack.report();
    for (const [index, fault] of faults.entries()) {
      const line = report.get(ids[index] ?? '');
      // The next answer is 400, and Get says Cancelled.
      const found = [line?.outcome, line?.httpStatus, line?.action?.status, line?.uncertain];
      assert.deepEqual(found, ['already_final', 400, 'Cancelled', true], JSON.stringify(fault));
    }
  });

  for (const precheck of ['off', 'auto']) {
    it(`of success is more than a status, with PRECHECK=${precheck}: a live response that ran`, async () => {
      stack = await openStack(server);
      const commands = [{ commandStatus: 'Completed', endTime: '2026-11-25T09:04:05Z' }];
      const more = { type: 'LiveResponse', commands };
      const [late = ''] = stack.addActions(1, more);
      const [seen = ''] = stack.addActions(1, { ...more, status: 'Canceled' });
      const [other = ''] = stack.addActions(1, { status: 'canceled' });
      await stack.startWorker({ PRECHECK: precheck }, { verify: true });
      await stack.submit([late, seen, other]);
      await stack.untilDone();
      const report = await stack.report();
      for (const id of [late, seen]) {
        const line = report.get(id);
        assert.deepEqual([line?.outcome, line?.action?.status], ['already_final', 'Cancelled']);
        assert.match(line?.errorMessage ?? '', /^cancelled too late: 1 of 1 commands had completed/);
      }
      assert.equal(report.get(other)?.action?.status, 'Cancelled');
      const campaign = await findCampaign(stack.redis, stack.tenant.keys, CAMPAIGN);
      assert.equal(campaign.stopped, 1);
      assert.equal(await isStopped(stack.tenant, campaign), false);
    });
  }

  it('from under an address with a path of the API is the API’s: the path is cut, and the log says so', async () => {
    const { log, lines } = await keepingLog();
    stack = await openStack(server, { log });
    await stack.startWorker({ DEFENDER_API_URL: `${stack.simulator.apiUrl}/api/` });
    await stack.submit(stack.addActions(2));
    assert.deepEqual((await stack.untilDone()).outcomes, { cancelled: 2 });
    const said = lines.filter((line) => line.includes('DEFENDER_API_URL'));
    assert.deepEqual([said.length, JSON.parse(said[0] ?? '{}').cut], [1, '/api']);
  });

  it('against what the list has just shown is tried once more', async () => {
    stack = await openStack(server);
    const [young = '', gone = ''] = stack.addActions(2);
    const fault: Fault = { kind: 'status', status: 404 };
    stack.simulator.setFaults([
      { operation: 'cancel', ids: [young], times: 1, fault },
      { operation: 'cancel', ids: [gone], fault },
    ]);
    const unknown = '00000000-0000-4000-8000-000000000002';
    await stack.startWorker({ PRECHECK: 'auto' });
    await stack.submit([young, gone, unknown]);
    await stack.untilDone();
    const report = await stack.report();
    assert.deepEqual(
      [young, gone, unknown].map((id) => [report.get(id)?.outcome, report.get(id)?.attempts]),
      [
        ['cancelled', 2],
        ['not_found', 2],
        ['not_found', 1],
      ],
    );
  });
});
