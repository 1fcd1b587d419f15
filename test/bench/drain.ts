import { Queue } from 'bullmq';
import { guidToBytes } from '../../src/base/guid.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { type Process, ROOT, startCli, startNode } from '../support/processes.ts';
import type { TestRedis } from '../support/redis.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { quotas } from '../support/stack.ts';
import { newLabel, newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { bytesMoved, commandsProcessed, cpuMs, redisCpuMs } from './measure.ts';

/** One drained set of ids, as the server and Redis saw it. */
export interface Drained {
  calls: number;
  refused: number;
  /** From the first call's arrival to the last one's, in ms. */
  makespanMs: number;
  /** The most calls in any window of each limit, as the server counted. */
  peaks: number[];
  /** Redis commands per id, from submitting to the last outcome, those inside scripts included. */
  commandsPerId: number;
  /** Bytes between Redis and everybody else, per id. */
  bytesPerId: number;
  /** CPU time of the worker per id, in ms. */
  workerCpuMsPerId: number;
  /** CPU time of Redis per id, in ms. */
  redisCpuMsPerId: number;
}

export interface DrainOptions {
  redis: TestRedis;
  ids: number;
  /** As in RATE_LIMITS. */
  limits: string;
  /** As in RATE_LIMITS; what the simulator enforces. Default: `limits`. */
  serverLimits?: string;
  concurrency: number;
  latencyMs: { min: number; max: number };
  /** How long it may take, in ms. Default: two minutes. */
  patienceMs?: number;
  /** Of the worker, besides. */
  env?: Record<string, string>;
}

const PATIENCE_MS = 120_000;

/** Standdown: a worker process drains a campaign. */
export async function drainWithStanddown(options: DrainOptions): Promise<Drained> {
  const { redis, ids, limits, latencyMs } = options;
  const made = makeActions({ count: ids });
  const simulator = await startSimulatorProcess(options.serverLimits ?? limits, { latencyMs, actions: [] });
  await simulator.addActions(made.actions);
  const client = await redis.connect();
  const tenant = await newTenant(client, { RATE_LIMITS: limits, URGENT_RESERVE: 'none' });
  const worker = startCli(['worker'], {
    env: {
      ...simulator.settings,
      REDIS_URL: redis.url,
      STANDDOWN_TENANT: tenant.label,
      RATE_LIMITS: limits,
      URGENT_RESERVE: 'none',
      CONCURRENCY: String(options.concurrency),
      PRECHECK: 'off',
      LOG_LEVEL: 'warn',
      // To profile: WORKER_NODE_OPTIONS=--cpu-prof npm run bench
      NODE_OPTIONS: process.env['WORKER_NODE_OPTIONS'] ?? '',
      ...options.env,
    },
  });
  try {
    await eventually(async () => {
      if (!(await client.exists(tenant.keys.lane('cancel-campaign', 'meta'))))
        throw new Error(`no worker: ${worker.stderr}`);
    });
    const before = await commandsProcessed(client);
    const cpuBefore = await cpuMs(worker.pid);
    const redisBefore = await redisCpuMs(client);
    const bytesBefore = await bytesMoved(client);
    const bytes = Buffer.concat(made.ids.map(guidToBytes));
    await submitCampaign(
      tenant,
      { name: 'bench', comment: 'bench', now: Date.now() },
      (async function* () {
        yield bytes;
      })(),
    );
    let looks = 0;
    await eventually(async () => {
      looks++;
      const open = await client.hget(tenant.keys.campaign(1), 'open');
      if (open !== '0') throw new Error(`${open} still open`);
    }, options.patienceMs ?? PATIENCE_MS);
    const cost = {
      workerCpuMsPerId: ((await cpuMs(worker.pid)) - cpuBefore) / ids,
      redisCpuMsPerId: ((await redisCpuMs(client)) - redisBefore) / ids,
      bytesPerId: ((await bytesMoved(client)) - bytesBefore) / ids,
    };
    const commands = (await commandsProcessed(client)) - before - looks;
    const status = await campaignStatus(tenant, 'bench');
    if (status.outcomes.cancelled !== ids) throw new Error(`not all cancelled: ${JSON.stringify(status)}`);
    return { ...(await seenBy(simulator, limits)), commandsPerId: commands / ids, ...cost };
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
    await simulator.stop();
  }
}

/** BullMQ alone: a worker process with BullMQ's limiter. */
export async function drainWithBullmq(options: DrainOptions): Promise<Drained> {
  const { redis, ids, limits, latencyMs } = options;
  const made = makeActions({ count: ids });
  const simulator = await startSimulatorProcess(options.serverLimits ?? limits, { latencyMs, actions: [] });
  await simulator.addActions(made.actions);
  const client = await redis.connect();
  const name = newLabel();
  const queue = new Queue(name, { connection: client });
  const worker = await startPlainWorker(options, name, simulator);
  try {
    const before = await commandsProcessed(client);
    const cpuBefore = await cpuMs(worker.pid);
    const redisBefore = await redisCpuMs(client);
    const bytesBefore = await bytesMoved(client);
    await addAll(queue, made.ids);
    let looks = 0;
    await eventually(async () => {
      looks++;
      const left = await queue.getJobCounts('wait', 'active', 'delayed');
      if ((left['wait'] ?? 0) + (left['active'] ?? 0) + (left['delayed'] ?? 0) > 0)
        throw new Error('not drained');
    }, PATIENCE_MS);
    // A look is one script with three counts.
    const cost = {
      workerCpuMsPerId: ((await cpuMs(worker.pid)) - cpuBefore) / ids,
      redisCpuMsPerId: ((await redisCpuMs(client)) - redisBefore) / ids,
      bytesPerId: ((await bytesMoved(client)) - bytesBefore) / ids,
    };
    const commands = (await commandsProcessed(client)) - before - 4 * looks;
    return { ...(await seenBy(simulator, limits)), commandsPerId: commands / ids, ...cost };
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
    await queue.close();
    await simulator.stop();
  }
}

/** Resolves once it runs. */
export async function startPlainWorker(
  { redis, limits, concurrency }: Pick<DrainOptions, 'redis' | 'limits' | 'concurrency'>,
  queue: string,
  simulator: Simulator,
): Promise<Process> {
  const [max, length] = (limits.split(',')[0] ?? '').split('/');
  const worker = startNode(`${ROOT}/test/bench/plain-worker.ts`, [
    JSON.stringify({
      socket: redis.url.slice('unix://'.length),
      queue,
      apiUrl: simulator.apiUrl,
      token: await tokenFor(simulator),
      concurrency,
      limiter: { max: Number(max), duration: Number.parseInt(length ?? '', 10) * 1_000 },
    }),
  ]);
  await worker.line();
  return worker;
}

export async function addAll(queue: Queue, ids: readonly string[]): Promise<void> {
  for (let at = 0; at < ids.length; at += 1_000) {
    await queue.addBulk(
      ids.slice(at, at + 1_000).map((id) => ({ name: 'cancel', data: { id, comment: 'bench' } })),
    );
  }
}

type Simulator = Awaited<ReturnType<typeof startSimulatorProcess>>;

async function seenBy(
  simulator: Simulator,
  limits: string,
): Promise<Pick<Drained, 'calls' | 'refused' | 'makespanMs' | 'peaks'>> {
  const calls = (await simulator.calls()).filter((call) => call.operation === 'cancel');
  const arrivals = calls.map((call) => call.arrivedAtMs);
  return {
    calls: calls.length,
    refused: calls.filter((call) => call.verdict === 'refused').length,
    makespanMs: Math.max(...arrivals) - Math.min(...arrivals),
    peaks: await Promise.all(quotas(limits).map(({ windowMs }) => simulator.peak('cancel', windowMs))),
  };
}

/** A token for the plain worker, whose author would sign in with msal too: signing in is not what is compared. */
export async function tokenFor(simulator: Simulator): Promise<string> {
  const { Agent, request } = await import('undici');
  const { readFile } = await import('node:fs/promises');
  const dispatcher = new Agent({ connect: { ca: await readFile(simulator.caFile, 'utf8') } });
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: simulator.clientId,
    client_secret: simulator.clientSecret,
    scope: simulator.scope,
  });
  const response = await request(`${simulator.authorityUrl}/${simulator.tenantId}/oauth2/v2.0/token`, {
    dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  });
  const body = (await response.body.json()) as { access_token: string };
  await dispatcher.close();
  return body.access_token;
}
