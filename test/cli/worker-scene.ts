import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { guidsToBytes } from '../../src/base/guid.ts';
import type { Timings } from '../../src/config/timings.ts';
import type { Call } from '../../src/simulator/calls.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { reportCampaign } from '../../src/store/campaign/report.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { LANES } from '../../src/store/keys.ts';
import { type Command, startCommand } from '../support/command.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorHere } from '../support/simulator.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, openShell, type Shell } from './shell.ts';

/** Nothing has to wait, and every slot of the test is still there to be counted. */
const LIMITS = '100000/1h';
/** Longer than a busy machine takes to see a call and to send a signal; shorter than a call may take. */
const SLOW_MS = 6_000;
export const CONCURRENCY = 5;
export const CAMPAIGN = 'wrong scan';

/** For the tests of one suite: a simulator for all, a tenant for each, and its workers. */
export function useWorkers() {
  let server: TestRedis;
  let simulator: SimulatorProcess;
  let shell: Shell;
  let seen: number;
  const workers: Process[] = [];
  const workersHere: Command[] = [];

  before(async () => {
    server = await openTestRedis();
    simulator = await startSimulatorHere(LIMITS);
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
    for (const worker of workersHere.splice(0)) {
      worker.stop();
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

  /** In this process, with production's timings: for what no signal is about. */
  function startWorkerHere(env: Record<string, string>): void {
    workersHere.push(startCommand(['worker'], { env: { ...shell.env, ...env } }));
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

  return {
    get simulator() {
      return simulator;
    },
    get shell() {
      return shell;
    },
    startWorker,
    startWorkerHere,
    submit,
    cancels,
    calls: () => simulator.calls(seen),
    inFlight,
    logOf,
    untilDone,
  };
}

export type WorkerScene = ReturnType<typeof useWorkers>;

/** A worker that a signal stops amid its calls, and one after it, which another signal stops when it is idle. */
export function itStops(scene: WorkerScene, signal: NodeJS.Signals, other: NodeJS.Signals): void {
  const { startWorker, submit, cancels, inFlight, logOf, untilDone } = scene;
  it(`${signal}: finishes its calls, takes no new one, leaves nothing behind; another does the rest`, async () => {
    const ids = await submit(6 * CONCURRENCY);
    // As many as it may have at once are under way together, and still are when the signal comes.
    const slow = { kind: 'slow', ms: SLOW_MS } as const;
    await scene.simulator.setFaults([{ operation: 'cancel', times: CONCURRENCY, fault: slow }]);
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
    const { redis, keys, ledger } = scene.shell.tenant;
    assert.equal(await redis.zcard(keys.slots('cancel')), calls.length, 'slots of calls that were not made');
    const records = await ledger.look(guidsToBytes(ids));
    assert.equal(records.filter((record) => record?.busy).length, 0, 'claims');
    for (const lane of LANES) assert.equal(await redis.llen(keys.lane(lane, 'active')), 0, `${lane}: active`);
    assert.deepEqual(
      logOf(first)
        .map(({ msg }) => msg)
        .filter((msg) => String(msg).startsWith('worker')),
      ['worker started', 'worker stopping: finishing the calls in flight', 'worker stopped'],
    );

    const second = startWorker();
    await untilDone(ids);
    second.kill(other);
    assert.equal(await second.exited, 0);
    logOf(second);
  });
}

/** A worker that is told to stop, and told again while it waits for its calls. */
export function itExitsAtOnce(
  scene: WorkerScene,
  first: NodeJS.Signals,
  second: NodeJS.Signals,
  code: number,
): void {
  const { startWorker, submit, inFlight, logOf } = scene;
  it(`${first}, then ${second} while a call hangs: exits at once with ${code}`, async () => {
    await scene.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'hang' } }]);
    await submit(CONCURRENCY);
    const worker = startWorker();
    await inFlight();
    worker.kill(first);
    await eventually(() => assert.match(worker.stderr, /worker stopping/));
    worker.kill(second);
    assert.equal(await worker.exited, code);
    assert.doesNotMatch(worker.stderr, /worker stopped/, 'it waits for nothing');
    logOf(worker);
  });
}
