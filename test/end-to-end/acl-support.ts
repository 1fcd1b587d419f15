import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Job, type JobsOptions, Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import type { CancelResult } from '../../src/base/outcome.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { makeActions, type PlainSimulatorOptions } from '../../src/simulator/index.ts';
import { type Keys, keysFor } from '../../src/store/keys.ts';
import { atEnd } from '../store/redis/support/machine.ts';
import type { Role, Rules } from '../support/acl.ts';
import { trust } from '../support/certificate.ts';
import { type Command, runCommand, startCommand } from '../support/command.ts';
import { type Process, type Ran, runCli, startCli } from '../support/processes.ts';
import { type SecuredRedis, startSecuredRedis } from '../support/secured-redis.ts';
import type { SimulatorProcess } from '../support/simulator.ts';
import { startSimulatorHere } from '../support/simulator.ts';
import { newLabel, skipGrace } from '../support/tenant.ts';
import { withTimings } from '../support/timings.ts';

/** Two windows, for a wait that the server asks for is no longer than the longest. */
const LIMITS = '100000/1s,100000/1m';

/** A Redis as in production, a simulator, and everybody who uses Redis, each as a user of its own. */
export interface Estate {
  redis: SecuredRedis;
  simulator: SimulatorProcess;
  tenant: string;
  keys: Keys;
  ids: readonly string[];
  /** Starts a worker, as a process. */
  startWorker(args?: readonly string[], env?: Record<string, string>): Process;
  /** Starts a worker in this process, which trusts what NODE_EXTRA_CA_CERTS names for one of its own. */
  startWorkerHere(args?: readonly string[], env?: Record<string, string>): Command;
  /** Runs a command as a role, in this process, which trusts what NODE_EXTRA_CA_CERTS names for one of its own. */
  command(role: Role, args: readonly string[], stdin?: string, env?: Record<string, string>): Promise<Ran>;
  /** Runs a command as a role, in a process of its own. */
  run(role: Role, args: readonly string[], stdin?: string, env?: Record<string, string>): Promise<Ran>;
  /** Whose command runs just now. */
  readonly running: Role;
  /** A service of somebody else's, with BullMQ as it comes. */
  openProducer(): Producer;
  /** A bare connection of a role. */
  connect(role: Role): Redis;
}

export interface Producer {
  add(data: object, options?: JobsOptions, lane?: string): Promise<Job>;
  addAll(data: readonly object[]): Promise<Job[]>;
  result(job: Job): Promise<CancelResult>;
  /** What its queue knows of a job: its state, and its result if it has one. */
  read(job: Job): Promise<{ state: string; result: CancelResult | null }>;
}

export interface EstateOptions {
  simulator?: Omit<PlainSimulatorOptions, 'dir'>;
  /** Whose certificates are trusted besides; PEM. */
  authorities?: readonly string[];
  env?: Record<string, string>;
}

export async function openEstate(
  t: TestContext,
  rules: Rules,
  ids: number,
  options: EstateOptions = {},
): Promise<Estate> {
  const tenant = newLabel();
  const keys = keysFor(tenant);
  const redis = await startSecuredRedis(t, { rules, tenant });
  await skipGrace(redis.admin, keys);
  // What a test that fails does not say itself.
  atEnd(t, async () => {
    for (const refusal of await redis.refusals()) t.diagnostic(`refused to ${refusal}`);
  });
  const made = makeActions({ count: ids, seed: ids });
  const simulator = await startSimulatorHere(LIMITS, { ...options.simulator, actions: made.actions });
  atEnd(t, () => simulator.stop());
  const authorities = join(redis.folder, 'authorities.pem');
  const { NODE_EXTRA_CA_CERTS: simulators = '', ...settings } = simulator.settings;
  await writeFile(
    authorities,
    [redis.authority, await readFile(simulators, 'utf8'), ...(options.authorities ?? [])].join('\n'),
  );
  let running: Role = 'worker';
  for (const authority of [redis.authority, ...(options.authorities ?? [])]) {
    const distrust = trust(authority);
    atEnd(t, async () => distrust());
  }
  const envOf = (role: Role) => ({
    ...settings,
    NODE_EXTRA_CA_CERTS: authorities,
    REDIS_URL: redis.url(role),
    STANDDOWN_TENANT: tenant,
    STANDDOWN_DATA_DIR: join(redis.folder, 'data'),
    URGENT_RESERVE: 'none',
    LOG_LEVEL: 'info',
    ...options.env,
  });
  // A worker that looks more often ends what an operator aborts before the operator's own command does.
  const { pulseMs, graceMs } = TIMINGS;
  const timings = withTimings({ pulseMs, graceMs });
  const connect = (role: Role) => {
    const connection = new Redis(redis.url(role), {
      tls: { ca: redis.authority },
      connectionName: role,
      maxRetriesPerRequest: null,
      // It asks for INFO, which a service that only adds entries has no need of.
      enableReadyCheck: role !== 'inbox',
    });
    atEnd(t, async () => connection.disconnect());
    return connection;
  };
  return {
    redis,
    simulator,
    tenant,
    keys,
    ids: made.ids,
    get running() {
      return running;
    },
    startWorker: (args = [], env = {}) => {
      const worker = startCli(['worker', ...args], { env: { ...envOf('worker'), ...env }, timings });
      atEnd(t, async () => {
        worker.kill('SIGTERM');
        await worker.exited;
      });
      return worker;
    },
    startWorkerHere: (args = [], env = {}) => {
      const all = { ...envOf('worker'), NODE_EXTRA_CA_CERTS: '', ...env };
      const worker = startCommand(['worker', ...args], { env: all, timings });
      atEnd(t, async () => {
        worker.stop();
        await worker.exited;
      });
      return worker;
    },
    command: async (role, args, stdin = '', env = {}) => {
      running = role;
      return runCommand(args, { env: { ...envOf(role), NODE_EXTRA_CA_CERTS: '', ...env }, stdin });
    },
    run: async (role, args, stdin = '', env = {}) => {
      running = role;
      return runCli(args, { env: { ...envOf(role), ...env }, stdin });
    },
    connect,
    openProducer: () => openProducer(t, () => connect('producer'), keys.prefix),
  };
}

function openProducer(t: TestContext, connect: () => Redis, prefix: string): Producer {
  const queues = new Map<string, Queue>();
  const events = new Map<string, QueueEvents>();
  const queueOf = (lane: string) => {
    const queue = queues.get(lane) ?? new Queue(lane, { connection: connect(), prefix });
    queues.set(lane, queue);
    return queue;
  };
  const eventsOf = (lane: string) => {
    const listening = events.get(lane) ?? new QueueEvents(lane, { connection: connect(), prefix });
    events.set(lane, listening);
    return listening;
  };
  atEnd(t, async () => {
    await Promise.all([...queues.values(), ...events.values()].map((one) => one.close()));
  });
  return {
    add: async (data, options = {}, lane = 'cancel') => {
      await eventsOf(lane).waitUntilReady();
      return queueOf(lane).add('cancel', data, options);
    },
    addAll: (all) => queueOf('cancel').addBulk(all.map((data) => ({ name: 'cancel', data }))),
    read: async ({ queueName, id = '' }) => {
      const job = await queueOf(queueName).getJob(id);
      return { state: (await job?.getState()) ?? 'gone', result: job?.returnvalue ?? null };
    },
    result: async (job) => (await job.waitUntilFinished(eventsOf(job.queueName), 60_000)) as CancelResult,
  };
}

/** What a command wrote. 3, that something was not stopped, is no failure here. */
export function succeeded({ code, stdout, stderr }: Ran): string {
  assert.ok(code === 0 || code === 3, `${code}: ${stdout}${stderr}`);
  return stdout;
}
