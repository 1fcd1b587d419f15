import assert from 'node:assert/strict';
import { guidsToBytes } from '../../src/base/guid.ts';
import type { Environment } from '../../src/config/config.ts';
import type { Timings } from '../../src/config/timings.ts';
import { makeActions, type PlainSimulatorOptions } from '../../src/simulator/index.ts';
import { type Campaign, findCampaign } from '../../src/store/campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../../src/store/campaign/report.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { type Command, startCommand } from '../support/command.ts';
import { recount } from '../support/ledger.ts';
import { type Process, startCli } from '../support/processes.ts';
import type { TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorHere, startSimulatorProcess } from '../support/simulator.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

export interface FieldOptions {
  /** As in RATE_LIMITS; what the simulator enforces too. */
  limits: string;
  ids: number;
  simulator?: Omit<PlainSimulatorOptions, 'dir'>;
  /** Whether the simulator has a process of its own: where limits are judged by when calls arrive. Default: true. */
  apart?: boolean;
  env?: Environment;
  /** Of its workers. Default: `SHORT`. */
  timings?: Timings;
}

/** A campaign that was submitted, a simulator, and workers. */
export interface Field {
  redis: RedisClient;
  tenant: TestTenant;
  simulator: SimulatorProcess;
  ids: readonly string[];
  startWorker(env?: Record<string, string>): Process;
  /** In this process: where nothing is about signals or the process itself. */
  startWorkerHere(env?: Record<string, string>): Command;
  campaign(): Promise<Campaign>;
  untilDone(withinMs?: number): Promise<Campaign>;
  report(): Promise<Map<string, ReportLine>>;
  /** One outcome per id, counters that equal a recount, nothing open. */
  assertComplete(): Promise<Map<string, ReportLine>>;
  close(): Promise<void>;
}

const NAME = 'field';

export async function openField(server: TestRedis, options: FieldOptions): Promise<Field> {
  const { limits, apart = true } = options;
  const env = { RATE_LIMITS: limits, URGENT_RESERVE: 'none', ...options.env };
  const made = makeActions({ count: options.ids, seed: options.ids });
  const start = apart ? startSimulatorProcess : startSimulatorHere;
  const simulator = await start(limits, { ...options.simulator });
  // Not with its options: they are one argument, and too many do not fit there.
  await simulator.addActions(made.actions);
  const redis = await server.connect();
  const tenant = await newTenant(redis, env);
  const parts = (async function* () {
    yield guidsToBytes(made.ids);
  })();
  await submitCampaign(tenant, { name: NAME, comment: 'test', now: Date.now() }, parts);
  const workers: Process[] = [];
  const workersHere: Command[] = [];
  const workerOptions = (more: Record<string, string>) => ({
    timings: options.timings ?? SHORT,
    env: {
      ...simulator.settings,
      REDIS_URL: server.url,
      STANDDOWN_TENANT: tenant.label,
      PRECHECK: 'off',
      LOG_LEVEL: 'warn',
      ...(env as Record<string, string>),
      ...more,
    },
  });

  const campaign = () => findCampaign(redis, tenant.keys, NAME);
  const report = async () => {
    const lines = new Map<string, ReportLine>();
    for await (const line of reportCampaign(tenant, await campaign())) {
      assert.ok(!lines.has(line.machineActionId), 'an id has two lines');
      lines.set(line.machineActionId, line);
    }
    return lines;
  };

  return {
    redis,
    tenant,
    simulator,
    ids: made.ids,
    campaign,
    report,
    startWorker: (more = {}) => {
      const worker = startCli(['worker'], workerOptions(more));
      workers.push(worker);
      return worker;
    },
    startWorkerHere: (more = {}) => {
      const worker = startCommand(['worker'], workerOptions(more));
      workersHere.push(worker);
      return worker;
    },
    untilDone: (withinMs) =>
      eventually(async () => {
        const seen = await campaign();
        assert.equal(
          seen.open,
          0,
          JSON.stringify({ ...seen, said: [...workers, ...workersHere].map(({ stderr }) => stderr) }),
        );
        return seen;
      }, withinMs),
    assertComplete: async () => {
      const lines = await report();
      assert.equal(lines.size, made.ids.length);
      for (const id of made.ids) assert.ok(lines.get(id)?.outcome, `${id} has no outcome`);
      await recount(tenant, (await campaign()).number);
      return lines;
    },
    close: async () => {
      for (const worker of workers) worker.kill('SIGTERM');
      for (const worker of workersHere) worker.stop();
      await Promise.all([...workers, ...workersHere].map((worker) => worker.exited));
      await simulator.stop();
    },
  };
}
