import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Job, type JobsOptions, Queue, QueueEvents } from 'bullmq';
import { startWorker, type Worker, type WorkerOptions } from '../../src/app/worker.ts';
import { guidToBytes } from '../../src/base/guid.ts';
import { createLog, type Logger, silentLog } from '../../src/base/log.ts';
import type { CancelResult } from '../../src/base/outcome.ts';
import { settingsFor } from '../../src/cli/simulate.ts';
import { type Environment, readConfig } from '../../src/config/config.ts';
import type { Timings } from '../../src/config/timings.ts';
import {
  makeActions,
  type PlainSimulatorOptions,
  type SeedAction,
  type Simulator,
  startSimulator,
} from '../../src/simulator/index.ts';
import { findCampaign, type NewCampaign } from '../../src/store/campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../../src/store/campaign/report.ts';
import { type CampaignStatus, campaignStatus } from '../../src/store/campaign/status.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { JOB_NAME, type LaneName } from '../../src/store/keys.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { sharedKeys, trust } from './certificate.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from './redis.ts';
import { newLabel, newTenant, type TestTenant } from './tenant.ts';
import { SHORT } from './timings.ts';
import { eventually, PATIENCE_MS } from './wait.ts';

/** Windows in which nothing has to wait. */
export const FREE_LIMITS = '100000/1s';

export interface StackOptions {
  /** As in RATE_LIMITS; what the simulator enforces too. Default: nothing has to wait. */
  limits?: string;
  env?: Environment;
  simulator?: Omit<PlainSimulatorOptions, 'dir'>;
  /** Default: `SHORT`. */
  timings?: Timings;
  /** Lines of the worker's log are kept there. */
  log?: Logger;
}

/** Everything real but the API: Redis, BullMQ, msal, undici, and a simulator over HTTP and TLS. */
export interface Stack {
  redis: RedisClient;
  tenant: TestTenant;
  simulator: Simulator;
  env: Record<string, string>;
  startWorker(env?: Environment, options?: WorkerOptions): Promise<Worker>;
  /** Adds pending actions, with what is given. */
  addActions(count: number, with_?: Partial<SeedAction>): string[];
  submit(ids: readonly string[], campaign?: string, more?: Partial<NewCampaign>): Promise<void>;
  /** Waits until nothing of the campaign is open. */
  untilDone(campaign?: string, withinMs?: number): Promise<CampaignStatus>;
  status(campaign?: string): Promise<CampaignStatus>;
  /** The campaign's report, by id. */
  report(campaign?: string): Promise<Map<string, ReportLine>>;
  /** What a service does: a job in a public lane. */
  enqueue(data: unknown, lane?: LaneName, name?: string, options?: JobsOptions): Promise<Job>;
  /** Waits for a job's return value. */
  result(job: Job, withinMs?: number): Promise<CancelResult>;
  close(): Promise<void>;
}

export const CAMPAIGN = 'campaign';

export async function openStack(server: TestRedis, options: StackOptions = {}): Promise<Stack> {
  const limits = options.limits ?? FREE_LIMITS;
  const keys = await sharedKeys();
  const simulator = await startSimulator({
    dir: join(TEST_DIR, 'simulators', newLabel()),
    limits: { cancel: quotas(limits), get: quotas(limits), list: quotas(limits) },
    ...keys,
    ...options.simulator,
  });
  trust(keys.certificate.cert);
  const redis = await server.connect();
  const settings = {
    ...settingsFor(simulator, limits),
    REDIS_URL: server.url,
    URGENT_RESERVE: 'none',
    PRECHECK: 'off',
  };
  const timings = options.timings ?? SHORT;
  const tenantEnv = { ...settings, ...options.env, AZURE_TENANT_ID: simulator.tenantId };
  const tenant = await newTenant(redis, tenantEnv, timings);
  const env: Record<string, string> = { ...settings, STANDDOWN_TENANT: tenant.label };
  for (const [name, value] of Object.entries(options.env ?? {})) if (value !== undefined) env[name] = value;
  const workers: Worker[] = [];
  const queues = new Map<LaneName, Promise<{ queue: Queue; events: QueueEvents }>>();

  function queueOf(lane: LaneName) {
    const known = queues.get(lane) ?? openQueue(lane);
    queues.set(lane, known);
    return known;
  }

  async function openQueue(lane: LaneName) {
    const { prefix } = tenant.keys;
    const queue = new Queue(lane, { connection: await server.connect('worker'), prefix });
    const events = new QueueEvents(lane, { connection: await server.connect('worker'), prefix });
    await events.waitUntilReady();
    return { queue, events };
  }

  const status = (campaign = CAMPAIGN) => campaignStatus(tenant, campaign);

  return {
    redis,
    tenant,
    simulator,
    env,
    status,
    startWorker: async (more = {}, workerOptions = {}) => {
      const config = readConfig({ ...env, ...more });
      const worker = await startWorker(
        {
          config,
          log: options.log ?? silentLog,
          path: process.env['PATH'] ?? '',
          timings,
          // It is the tests', and its watchdog's thread takes as long to start as a worker.
          ownsProcess: false,
        },
        workerOptions,
      );
      workers.push(worker);
      return worker;
    },
    addActions: (count, with_ = {}) => {
      const made = makeActions({ count, seed: Math.floor(Math.random() * 1e9) });
      simulator.addActions(made.actions.map((action) => ({ ...action, ...with_ })));
      return made.ids;
    },
    submit: async (ids, campaign = CAMPAIGN, more = {}) => {
      const bytes = Buffer.concat(ids.map(guidToBytes));
      const parts = (async function* () {
        yield bytes;
      })();
      await submitCampaign(tenant, { name: campaign, comment: 'test', now: Date.now(), ...more }, parts);
    },
    untilDone: (campaign = CAMPAIGN, withinMs?: number) =>
      eventually(async () => {
        const seen = await status(campaign);
        assert.equal(seen.open, 0, JSON.stringify(seen));
        return seen;
      }, withinMs),
    report: async (campaign = CAMPAIGN) => {
      const lines = new Map<string, ReportLine>();
      for await (const line of reportCampaign(tenant, await findCampaign(redis, tenant.keys, campaign))) {
        assert.ok(!lines.has(line.machineActionId), 'an id has two lines');
        lines.set(line.machineActionId, line);
      }
      return lines;
    },
    enqueue: async (data, lane = 'cancel', name = JOB_NAME, options = {}) =>
      (await queueOf(lane)).queue.add(name, data, options),
    result: async (job, withinMs = PATIENCE_MS) => {
      const { events } = await queueOf(job.queueName as LaneName);
      return (await job.waitUntilFinished(events, withinMs)) as CancelResult;
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
      for (const opened of queues.values()) {
        const { queue, events } = await opened;
        await Promise.all([queue.close(), events.close()]);
      }
      await simulator.stop();
    },
  };
}

/** A logger whose lines are kept. */
export async function keepingLog(): Promise<{ log: Logger; lines: string[] }> {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  return { log: await createLog({ level: 'trace', pretty: false, destination }), lines };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Limits as the simulator takes them: read apart from the product, as they are judged apart. */
export function quotas(limits: string): { max: number; windowMs: number }[] {
  return limits.split(',').map((text) => {
    const [, max, length, unit] = /^(\d+)\/(\d+)(ms|s|m|h)$/.exec(text) ?? [];
    return { max: Number(max), windowMs: Number(length) * (UNITS[unit ?? ''] ?? Number.NaN) };
  });
}

export { openTestRedis };
