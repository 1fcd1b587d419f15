import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import type { RegisteredSignIn } from '../../src/config/sign-in.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import type { Action } from '../../src/defender/classify.ts';
import { createClient, createDispatcher } from '../../src/defender/client.ts';
import { createReader, type Reader, type ReaderDeps, type ReadWait } from '../../src/defender/reader.ts';
import { createSignIn } from '../../src/defender/sign-in.ts';
import type { Fault } from '../../src/simulator/index.ts';
import { createOperationBudget } from '../../src/store/budget/operation.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack, type StackOptions } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const ALL = "status eq 'Pending'";

/** Backoffs in a twentieth of their time; what has to be waited for is asked for again by itself. */
const IN_A_HURRY: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 20, signal) };

describe('reader', () => {
  let server: TestRedis;
  let stack: Stack;
  let waits: ReadWait[];
  const closing: (() => Promise<void>)[] = [];

  before(async () => {
    server = await openTestRedis();
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
    await stack.close();
  });
  after(() => server.close());

  async function open(
    options: StackOptions & { reader?: Partial<ReaderDeps>; signIn?: Partial<RegisteredSignIn> } = {},
  ): Promise<Reader> {
    stack = await openStack(server, options);
    waits = [];
    const { config, epoch, limits } = stack.tenant;
    assert(config.signIn !== null && config.signIn.tenantId !== null);
    const { apiUrl, callTimeoutMs } = config;
    const dispatcher = createDispatcher({ connections: 1, ...config });
    closing.push(() => dispatcher.destroy());
    return createReader({
      signIn: createSignIn({
        config: { ...config.signIn, ...options.signIn },
        dispatcher,
        clock: systemClock,
        timeoutMs: callTimeoutMs,
        timings: TIMINGS,
      }),
      client: createClient({ apiUrl, dispatcher }),
      budget: createOperationBudget({ ...epoch, windows: limits.windows, callTimeoutMs }),
      clock: IN_A_HURRY,
      random: () => 0,
      callTimeoutMs,
      timings: TIMINGS,
      signal: new AbortController().signal,
      onWait: (wait) => void waits.push(wait),
      ...options.reader,
    });
  }

  async function idsOf(pages: AsyncIterable<Action[]>): Promise<string[]> {
    const ids: string[] = [];
    for await (const page of pages) ids.push(...page.map(({ id }) => id));
    return ids;
  }

  function calls(operation = 'list') {
    return stack.simulator.calls().filter((call) => call.operation === operation);
  }

  /** A 200 with this in it, whatever was asked for. */
  function answer(body: unknown, times?: number) {
    const fault: Fault = { kind: 'html', status: 200, body: JSON.stringify(body) };
    return { operation: 'list' as const, fault, ...(times !== undefined && { times }) };
  }

  it('gives what selection needs', async () => {
    const reader = await open();
    const [id = ''] = stack.addActions(1, {
      type: 'Isolate',
      requestor: "o'hara@contoso.example",
      machineId: 'ab12',
      computerDnsName: 'ws-1.contoso.example',
      creationDateTimeUtc: '2026-11-23T08:00:00.1234567Z',
    });
    const { value: page } = await reader.byFilter("requestor eq 'o''hara@contoso.example'").next();
    const updatedAt = page?.[0]?.summary.updatedAt;
    assert.deepEqual(page, [
      {
        id,
        requestor: "o'hara@contoso.example",
        summary: {
          status: 'Pending',
          type: 'Isolate',
          machineId: 'ab12',
          computerDnsName: 'ws-1.contoso.example',
          createdAt: '2026-11-23T08:00:00.123Z',
          updatedAt,
        },
      },
    ]);
    assert.equal(calls().length, 1);
  });

  /** However the pages are cut, everything comes, once. */
  for (const [serverPage, pageSize] of [
    [3, 10_000],
    [10_000, 4],
    [3, 4],
    [4, 4],
    [5, 10],
    [10_000, 10],
  ] as const) {
    it(`reads on: pages of ${serverPage} where ${pageSize} are asked for`, async () => {
      const reader = await open({ simulator: { pageSize: serverPage }, reader: { pageSize } });
      const ids = stack.addActions(10);
      stack.addActions(3, { status: 'Failed' });
      const read = await idsOf(reader.byFilter(ALL));
      assert.deepEqual(read.toSorted(), ids.toSorted());
      assert.ok(calls().length <= 10, `${calls().length} calls`);
    });
  }

  it('misses none although some leave the list between two pages', async () => {
    const reader = await open({ reader: { pageSize: 4 } });
    const ids = stack.addActions(12);
    const read: string[] = [];
    for await (const page of reader.byFilter(ALL)) {
      if (read.length === 0)
        stack.simulator.addActions(ids.slice(0, 3).map((id) => ({ id, status: 'Failed' })));
      read.push(...page.map(({ id }) => id));
    }
    assert.deepEqual(read.toSorted(), ids.toSorted());
  });

  it('follows links to the list only', async () => {
    const reader = await open();
    const [id = ''] = stack.addActions(1);
    const { apiUrl } = stack.simulator;
    const here = new URL(apiUrl);
    const elsewhere = [
      'https://elsewhere.example/api/machineactions?$skip=1',
      `http://localhost:${here.port}/api/machineactions?$skip=1`,
      `https://${here.host}/api/machineactions?$skip=1`,
      `http://user:password@${here.host}/api/machineactions?$skip=1`,
      `${apiUrl}/api/machines?$skip=1`,
      `${apiUrl}/api/machineactions/${id}/cancel?$skip=1`,
      '//elsewhere.example/api/machineactions?$skip=1',
      'http://[',
    ];
    const own = `?$filter=${encodeURIComponent(ALL)}`;
    const astray = [
      ...elsewhere,
      // Past its filter, to actions that nobody asked for; or back to where it was.
      `${apiUrl}/api/machineactions?$skip=1`,
      `${apiUrl}/api/machineactions?$filter=${encodeURIComponent("status eq 'Succeeded'")}&$skip=1`,
      `${apiUrl}/api/machineactions${own}&$top=10000`,
    ];
    const value = [{ id, status: 'Pending' }];
    for (const link of astray) {
      const before = calls().length;
      stack.simulator.setFaults([answer({ value, '@odata.nextLink': link }, 1)]);
      assert.deepEqual(await idsOf(reader.byFilter(ALL)), [id], link);
      const [first, second] = calls()
        .slice(before)
        .map(({ path }) => new URL(path, apiUrl).searchParams);
      assert.deepEqual(
        [first?.get('$filter'), second?.get('$filter'), second?.get('$skip')],
        [ALL, ALL, '1'],
        link,
      );
    }
    for (const link of elsewhere) {
      stack.simulator.setFaults([answer({ value: [], '@odata.nextLink': link }, 1)]);
      await assert.rejects(
        idsOf(reader.byFilter(ALL)),
        { code: 'UPSTREAM_FAILED' },
        'it cannot be told where to go on',
      );
    }
    assert.equal(calls('cancel').length, 0);
    for (const link of [`${apiUrl}/api/MachineActions${own}&$skip=0`, `/api/machineactions${own}&$top=5`]) {
      stack.simulator.setFaults([answer({ value: [], '@odata.nextLink': link }, 1)]);
      assert.deepEqual(await idsOf(reader.byFilter(ALL)), [id]);
    }
  });

  it('gives up a list that does not end', async () => {
    const reader = await open();
    const [id = ''] = stack.addActions(1);
    const value = [{ id, status: 'Pending' }];
    const own = `$filter=${encodeURIComponent(ALL)}`;
    const link = (skip: number) => `${stack.simulator.apiUrl}/api/machineactions?${own}&$skip=${skip}`;
    const message = 'the list of machine actions has no end';
    stack.simulator.setFaults([answer({ value, '@odata.nextLink': link(1) })]);
    await assert.rejects(idsOf(reader.byFilter(ALL)), { code: 'UPSTREAM_FAILED', message });
    assert.ok(calls().length <= 15, 'in a circle');
    const rules = Array.from({ length: 30 }, (_, skip) =>
      answer({ value, '@odata.nextLink': link(skip) }, 1),
    );
    stack.simulator.setFaults(rules);
    await assert.rejects(idsOf(reader.byFilter(ALL)), { code: 'UPSTREAM_FAILED', message });
    assert.ok(calls().length <= 30, `${calls().length} calls`);
  });

  it('asks for fewer where an answer is too long', async () => {
    const reader = await open({ reader: { pageSize: 100 } });
    const ids = stack.addActions(50, { troubleshootInfo: 'x'.repeat(1_000_000) });
    const read = await idsOf(reader.byFilter(ALL));
    assert.deepEqual(read.toSorted(), ids.toSorted());
  });

  describe('by ids', () => {
    it('asks for 100 at a time, and for each once', async () => {
      const reader = await open();
      const ids = stack.addActions(230);
      stack.addActions(5);
      const unknown = '00000000-0000-4000-8000-000000000001';
      const read = await reader.byIds([...ids, unknown, ...ids.slice(0, 50)]);
      assert.deepEqual(read.map(({ id }) => id).toSorted(), ids.toSorted());
      assert.equal(calls().length, 3);
      assert.deepEqual(await reader.byIds([]), []);
      assert.equal(calls().length, 3);
    });

    it('takes nothing that was not asked for', async () => {
      const reader = await open();
      const [a = '', b = ''] = stack.addActions(2);
      stack.simulator.setFaults([answer({ value: [{ id: b, status: 'Pending' }, { id: 1 }, null] })]);
      assert.deepEqual(await reader.byIds([a]), []);
    });

    it('follows links', async () => {
      const reader = await open({ simulator: { pageSize: 7 } });
      const ids = stack.addActions(20);
      assert.equal((await reader.byIds(ids)).length, 20);
      assert.equal(calls().length, 3);
    });
  });

  describe('within the budget', () => {
    it('waits as long as the window says, and says so; the server refuses nothing', async () => {
      const reader = await open({
        limits: '2/2500ms',
        reader: { pageSize: 2, clock: systemClock },
      });
      stack.addActions(3);
      const before = Date.now();
      assert.equal((await idsOf(reader.byFilter(ALL))).length, 3);
      assert.deepEqual([calls().length, stack.simulator.refusals().length], [4, 0]);
      const [wait] = waits;
      assert.deepEqual([waits.length, wait?.reason], [1, 'window']);
      assert.ok(wait && wait.until >= before + 2_500 && wait.until <= Date.now(), 'until then it waited');
    });

    it('ends a wait when told to stop', async () => {
      const stop = new AbortController();
      const reader = await open({
        limits: '1/1h',
        reader: { pageSize: 2, clock: systemClock, signal: stop.signal, onWait: () => stop.abort() },
      });
      stack.addActions(3);
      await assert.rejects(idsOf(reader.byFilter(ALL)), { name: 'AbortError' });
      assert.equal(calls().length, 1);
    });

    it('ends a call when told to stop', async () => {
      const stop = new AbortController();
      const reader = await open({ reader: { signal: stop.signal } });
      stack.simulator.setFaults([{ operation: 'list', fault: { kind: 'hang' } }]);
      const reading = idsOf(reader.byFilter(ALL));
      reading.catch(() => undefined);
      await eventually(() => assert.equal(calls().length, 1));
      stop.abort();
      await assert.rejects(reading, { name: 'AbortError' });
      const { redis, keys } = stack.tenant;
      assert.equal(await redis.zcard(keys.slots('list')), 1, 'it may have been counted');
    });

    it('waits after a 429 as long as it says, for everybody', async () => {
      const reader = await open();
      const ids = stack.addActions(2);
      const fault: Fault = { kind: 'status', status: 429, retryAfter: 1 };
      stack.simulator.setFaults([{ operation: 'list', times: 1, fault }]);
      assert.equal((await idsOf(reader.byFilter(ALL))).length, ids.length);
      const { redis, keys } = stack.tenant;
      const penalty = Number(await redis.hget(keys.state, 'list:penalty'));
      assert.equal(await redis.hget(keys.state, 'cancel:penalty'), null, 'of the list only');
      const [refused, next, ...others] = calls();
      assert.ok(refused && next && others.length === 0);
      assert.ok(penalty >= refused.wallMs + 1_000 && next.wallMs >= Math.floor(penalty));
    });
  });

  describe('in trouble', () => {
    it('waits after a 503 as long as it says, for everybody, until a later call succeeds', async () => {
      const reader = await open();
      const ids = stack.addActions(2);
      const fault: Fault = { kind: 'status', status: 503, retryAfter: '0.5' };
      stack.simulator.setFaults([{ operation: 'list', times: 1, fault }]);
      assert.equal((await idsOf(reader.byFilter(ALL))).length, ids.length);
      const [failed, next, ...others] = calls();
      assert.ok(failed && next && others.length === 0);
      assert.ok(next.arrivedAtMs - failed.arrivedAtMs >= 1_000);
      assert.ok(waits.every(({ reason }) => reason === 'fault'));
      const { redis, keys } = stack.tenant;
      assert.deepEqual(await redis.hmget(keys.state, 'list:hold', 'cancel:hold'), [null, null]);
    });

    it('signs in again after a 401, once', async () => {
      const reader = await open();
      stack.addActions(2);
      assert.equal((await idsOf(reader.byFilter(ALL))).length, 2);
      stack.simulator.revokeTokens();
      assert.equal((await idsOf(reader.byFilter(ALL))).length, 2);
      assert.deepEqual([calls().length, calls('token').length], [3, 2]);
      stack.simulator.setFaults([{ operation: 'list', fault: { kind: 'status', status: 401 } }]);
      await assert.rejects(idsOf(reader.byFilter(ALL)), {
        code: 'UPSTREAM_FAILED',
        message: /^cannot list machine actions \(also with a new token\): 401 \(Unauthorized/,
      });
      assert.deepEqual([calls().length, calls('token').length], [5, 3]);
    });

    const PASSING: Fault[] = [
      { kind: 'status', status: 500 },
      { kind: 'html', status: 502 },
      { kind: 'truncated', how: 'broken-json' },
      { kind: 'reset', when: 'before' },
    ];
    it('tries again after a fault', async () => {
      const reader = await open();
      stack.addActions(2);
      stack.simulator.setFaults(PASSING.map((fault) => ({ operation: 'list', times: 1, fault })));
      assert.equal((await idsOf(reader.byFilter(ALL))).length, 2);
      assert.equal(calls().length, PASSING.length + 1);
      assert.deepEqual(
        waits.map(({ reason }) => reason),
        ['fault', 'fault'],
        'of half a second and a second nothing is said',
      );
      assert.match(waits[0]?.detail ?? '', /^200 \(UNREADABLE: /);
    });

    it('gives up after five faults in a row', async () => {
      const reader = await open();
      stack.simulator.setFaults([{ operation: 'list', fault: { kind: 'html', status: 503 } }]);
      await assert.rejects(idsOf(reader.byFilter(ALL)), {
        code: 'UPSTREAM_FAILED',
        message: /^cannot list machine actions \(5 attempts\): 503 \(UNREADABLE: .*\)$/,
      });
      assert.equal(calls().length, 5);
    });

    it('says at once that the API does not understand', async () => {
      const reader = await open();
      await assert.rejects(idsOf(reader.byFilter('nonsense')), {
        code: 'UPSTREAM_FAILED',
        message: /^cannot list machine actions: 400 \(ODataError: /,
      });
      assert.equal(calls().length, 1);
    });

    it('without the permission makes no call, and names it', async () => {
      const reader = await open({ simulator: { roles: ['Machine.Isolate'] } });
      await assert.rejects(reader.byIds(stack.addActions(1)), {
        code: 'NOT_PERMITTED',
        message:
          'the token has Machine.Isolate only: no permission to read machine actions; grant Machine.Read.All or Machine.ReadWrite.All',
      });
      assert.equal(calls().length, 0);
    });

    it('refused all the same says what the API answered', async () => {
      const reader = await open();
      const fault: Fault = { kind: 'status', status: 403, code: 'DisabledFeature', message: 'no licence' };
      stack.simulator.setFaults([{ operation: 'list', fault }]);
      await assert.rejects(idsOf(reader.byFilter(ALL)), {
        code: 'NOT_PERMITTED',
        message:
          /Machine\.ReadWrite\.All may be required; the API answered 403 \(DisabledFeature: no licence\)$/,
      });
      assert.equal(calls().length, 1);
    });

    it('with a wrong secret says so at once', async () => {
      const reader = await open({
        signIn: { credential: { kind: 'secret', secret: new Secret('not-the-secret') } },
      });
      await assert.rejects(idsOf(reader.byFilter(ALL)), {
        code: 'UPSTREAM_FAILED',
        message:
          /^sign-in failed \(invalid_client AADSTS7000215\): .*[^.]; run "standdown doctor" for advice$/,
      });
      assert.deepEqual([calls('token').length, calls().length], [1, 0]);
    });

    it('tries again where signing in fails for a moment', async () => {
      const reader = await open();
      stack.addActions(1);
      stack.simulator.setFaults([{ operation: 'token', times: 2, fault: { kind: 'html', status: 502 } }]);
      assert.equal((await idsOf(reader.byFilter(ALL))).length, 1);
    });
  });
});
