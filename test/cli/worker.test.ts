import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { findCampaign } from '../../src/campaign/registry.ts';
import { reportCampaign } from '../../src/campaign/report.ts';
import { campaignStatus } from '../../src/campaign/status.ts';
import { guidsToBytes } from '../../src/guid.ts';
import { LANES } from '../../src/keys.ts';
import type { Call } from '../../src/simulator/calls.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { TIMINGS, type Timings } from '../../src/timings.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { SHORT, withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, openShell, type Shell } from './shell.ts';

/** Nothing has to wait, and every slot of the test is still there to be counted. */
const LIMITS = '100000/1h';
const CONCURRENCY = 5;
const LATENCY_MS = 600;
const CAMPAIGN = 'wrong scan';

describe('a worker process', () => {
  let server: TestRedis;
  let simulator: SimulatorProcess;
  let shell: Shell;
  let seen: number;
  const workers: Process[] = [];

  before(async () => {
    server = await openTestRedis();
    simulator = await startSimulatorProcess(LIMITS, { latencyMs: { min: LATENCY_MS, max: LATENCY_MS } });
  });
  beforeEach(async () => {
    seen = (await simulator.calls()).length;
    shell = await openShell(server, {
      ...simulator.settings,
      URGENT_RESERVE: 'none',
      PRECHECK: 'off',
      CONCURRENCY: String(CONCURRENCY),
    });
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) {
      worker.kill('SIGKILL');
      await worker.exited;
    }
    await simulator.setFaults([]);
    await shell.close();
  });
  after(async () => {
    await simulator.stop();
    await server.close();
  });

  function startWorker(env: Record<string, string> = {}, timings: Timings = SHORT): Process {
    const worker = startCli(['worker'], { env: { ...shell.env, ...env }, timings });
    workers.push(worker);
    return worker;
  }

  /** Made-up actions in a campaign. */
  async function submit(count: number): Promise<string[]> {
    const { actions, ids } = makeActions({ count, seed: Math.floor(Math.random() * 1e9) });
    await simulator.addActions(actions);
    await shell.submit(CAMPAIGN, ids);
    return ids;
  }

  async function cancels(): Promise<Call[]> {
    return (await simulator.calls(seen)).filter((call) => call.operation === 'cancel');
  }

  /** Waits until as many calls as may be are in flight. */
  function inFlight(): Promise<void> {
    return eventually(async () => {
      const open = (await cancels()).filter((call) => call.answeredAtMs === null);
      assert.equal(open.length, CONCURRENCY);
    });
  }

  /** Every line is JSON with a level, a time and a message. */
  function logOf({ stdout, stderr }: Process): Record<string, unknown>[] {
    assert.equal(stdout, '');
    return linesOf(stderr).map((line) => {
      const entry = JSON.parse(line) as Record<string, unknown>;
      assert.deepEqual(
        [typeof entry['level'], typeof entry['time'], typeof entry['msg']],
        ['string', 'string', 'string'],
      );
      return entry;
    });
  }

  async function untilDone(ids: readonly string[]): Promise<void> {
    await eventually(async () => assert.equal((await campaignStatus(shell.tenant, CAMPAIGN)).open, 0));
    const { redis, keys } = shell.tenant;
    const outcomes = new Map<string, string | null>();
    for await (const line of reportCampaign(shell.tenant, await findCampaign(redis, keys, CAMPAIGN))) {
      assert.ok(!outcomes.has(line.machineActionId), 'an id has two outcomes');
      assert.deepEqual([line.attempts, line.uncertain], [1, false]);
      outcomes.set(line.machineActionId, line.outcome);
    }
    assert.deepEqual(outcomes, new Map(ids.map((id) => [id, outcomes.get(id) ?? null])));
    assert.deepEqual(new Set(outcomes.values()), new Set(['cancelled']));
    const called = (await cancels()).map((call) => call.id);
    assert.deepEqual(called.toSorted(), ids.toSorted(), 'each was called once');
    assert.equal(await redis.xlen(keys.results(1)), ids.length);
  }

  for (const [signal, other] of [
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
  ] as const) {
    it(`${signal}: finishes its calls, takes no new one, leaves nothing behind; another does the rest`, async () => {
      const ids = await submit(6 * CONCURRENCY);
      const first = startWorker();
      await inFlight();
      first.kill(signal);
      assert.equal(await first.exited, 0);
      const calls = await cancels();
      assert.deepEqual(
        calls.filter((call) => call.status !== 200),
        [],
        'every call was answered',
      );
      assert.ok(calls.length <= ids.length - CONCURRENCY, `${calls.length} calls: it took new ones`);
      const { redis, keys, ledger } = shell.tenant;
      assert.equal(
        await redis.zcard(keys.slots('cancel')),
        calls.length,
        'slots of calls that were not made',
      );
      const records = await ledger.look(guidsToBytes(ids));
      assert.equal(records.filter((record) => record?.busy).length, 0, 'claims');
      for (const lane of LANES)
        assert.equal(await redis.llen(keys.lane(lane, 'active')), 0, `${lane}: active`);
      assert.deepEqual(
        logOf(first)
          .map(({ msg }) => msg)
          .filter((msg) => String(msg).startsWith('worker')),
        ['worker started', 'worker stops: finishing the calls in flight', 'worker stopped'],
      );

      const second = startWorker();
      await untilDone(ids);
      second.kill(other);
      assert.equal(await second.exited, 0);
      logOf(second);
    });
  }

  for (const [first, second, code] of [
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
  ] as const) {
    it(`${first}, then ${second} while a call hangs: exits at once with ${code}`, async () => {
      await simulator.setFaults([{ operation: 'cancel', fault: { kind: 'hang' } }]);
      await submit(CONCURRENCY);
      const worker = startWorker();
      await inFlight();
      worker.kill(first);
      await eventually(() => assert.match(worker.stderr, /worker stops/));
      worker.kill(second);
      assert.equal(await worker.exited, code);
      assert.doesNotMatch(worker.stderr, /worker stopped/, 'it waits for nothing');
      logOf(worker);
    });
  }

  it('that is refused a token says why, and does not ask again and again', async () => {
    await submit(CONCURRENCY);
    // Precheck as by default: it wants a token before any job does.
    startWorker({ AZURE_CLIENT_SECRET: 'not-the-secret', PRECHECK: 'auto' }, TIMINGS);
    const { hold } = await eventually(async () => {
      const status = await campaignStatus(shell.tenant, CAMPAIGN);
      assert.equal(status.hold?.reason, 'sign-in');
      return status;
    });
    assert.match(hold?.detail ?? '', /AADSTS7000215/);
    const asked = (await simulator.calls(seen)).filter((call) => call.operation === 'token');
    assert.ok(asked.length <= 10, `${asked.length} requests for a token`);
  });

  // BullMQ's close wakes only a lane that sleeps already: one that is about to sleep does so for 30 s.
  it('that waits for a window ends at once', async () => {
    await submit(CONCURRENCY);
    // The time for a stop as in production: half of what BullMQ would sleep.
    const worker = startWorker({ RATE_LIMITS: '2/1h' }, withTimings({ stopGraceMs: TIMINGS.stopGraceMs }));
    await eventually(async () => {
      const calls = await cancels();
      assert.equal(calls.filter((call) => call.answeredAtMs !== null).length, 2);
      const { redis, keys } = shell.tenant;
      assert.ok((await redis.pttl(keys.lane('cancel-campaign', 'limiter'))) > 60_000, 'the lane is held');
    });
    worker.kill('SIGTERM');
    assert.equal(await worker.exited, 0);
    // One that slept would be left behind when the time for a stop is over.
    assert.match(worker.stderr, /worker stopped"/);
    assert.equal((await cancels()).length, 2);
  });
});
