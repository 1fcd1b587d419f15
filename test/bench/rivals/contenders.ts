import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { guidsToBytes } from '../../../src/base/guid.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { type Process, ROOT, startCli, startNode } from '../../support/processes.ts';
import { quotas } from '../../support/stack.ts';
import { newLabel, newTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';
import { addAll, tokenFor } from '../drain.ts';
import type { Contender, Crew, Field } from './contender.ts';
import { CONCURRENCY, LIMITS } from './set-up.ts';

const START_MS = 60_000;

export async function listContenders(): Promise<[Contender, ...Contender[]]> {
  return [
    { name: 'Standdown', version: await versionOf(), shares: true, start: startStanddown },
    { name: 'BullMQ + counter', version: await versionOf('bullmq'), shares: true, start: startBullmq },
    inMemory('Bottleneck', await versionOf('bottleneck'), ['bottleneck.ts']),
    inMemory('Bottleneck, evenly', await versionOf('bottleneck'), ['bottleneck.ts', 'evenly']),
    inMemory('rate-limiter-flexible', await versionOf('rate-limiter-flexible'), ['rate-limiter-flexible.ts']),
    { ...inMemory('fixed pause', '', ['fixed-pause.ts']), shares: false },
  ];
}

/** Workers with the settings they come with, but the limits: also the log, a line for each decision. */
async function startStanddown({ setUp, redis, client, simulator, ids }: Field): Promise<Crew> {
  const limits = LIMITS[setUp.scale];
  const tenant = await newTenant(client, { RATE_LIMITS: limits, URGENT_RESERVE: 'none' });
  const env = {
    ...simulator.settings,
    REDIS_URL: redis.url,
    STANDDOWN_TENANT: tenant.label,
    RATE_LIMITS: limits,
    URGENT_RESERVE: 'none',
    CONCURRENCY: String(CONCURRENCY),
    PRECHECK: 'off',
  };
  const workers = createStaff(setUp.processes, async () => {
    const worker = startCli(['worker'], { env });
    await eventually(() => assert.match(worker.stderr, /worker started/), START_MS);
    return worker;
  });
  await workers.start();
  return {
    ...workers,
    go: async () => {
      const parts = (async function* () {
        yield guidsToBytes(ids);
      })();
      await submitCampaign(tenant, { name: 'bench', comment: 'bench', now: Date.now() }, parts);
    },
    untilIdle: async () => assert.equal(await client.hget(tenant.keys.campaign(1), 'open'), '0'),
  };
}

async function startBullmq(field: Field): Promise<Crew> {
  const label = newLabel();
  const queue = new Queue(label, { connection: field.client });
  const options = await optionsFor(field, label);
  const workers = createStaff(field.setUp.processes, async () => {
    const worker = startNode(join(import.meta.dirname, 'bullmq.ts'), [options]);
    await untilReady(worker);
    return worker;
  });
  await workers.start();
  return {
    ...workers,
    go: () => addAll(queue, field.ids),
    untilIdle: async () => {
      const counts = await queue.getJobCounts('wait', 'active', 'delayed');
      assert.deepEqual(counts, { wait: 0, active: 0, delayed: 0 });
    },
    close: async () => {
      await workers.close();
      await queue.close();
    },
  };
}

/** A program that holds its ids in memory: each process is given its share of them, and none finds what another had. */
function inMemory(name: string, version: string, [program, ...more]: [string, ...string[]]): Contender {
  return {
    name,
    version,
    shares: true,
    start: async (field) => {
      const options = await optionsFor(field, newLabel());
      const { processes } = field.setUp;
      const all = Array.from({ length: processes }, () =>
        startNode(join(import.meta.dirname, program), [options, ...more]),
      );
      await Promise.all(all.map(untilReady));
      const over = new Set<Process>();
      for (const its of all) void its.exited.then(() => over.add(its));
      return {
        go: async () => {
          for (const [at, its] of all.entries()) {
            its.stdin.end(field.ids.filter((_id, index) => index % processes === at).join('\n'));
          }
        },
        untilIdle: async () => assert.equal(over.size, processes),
        kill: async () => all[0]?.kill('SIGKILL'),
        said: () => all.map(({ stderr }) => stderr).join(''),
        close: async () => {
          for (const its of all) its.kill('SIGKILL');
          await Promise.all(all.map((its) => its.exited));
        },
      };
    },
  };
}

function untilReady(its: Process): Promise<void> {
  return eventually(() => assert.match(its.stdout, /^ready/, its.stderr), START_MS);
}

/** Workers that take their work from Redis; one that was killed is started again. */
function createStaff(size: number, startOne: () => Promise<Process>) {
  const all: Process[] = [];
  const add = async () => void all.push(await startOne());
  return {
    start: async () => void (await Promise.all(Array.from({ length: size }, add))),
    kill: async () => {
      all[0]?.kill('SIGKILL');
      await add();
    },
    said: () => all.map(({ stderr }) => stderr).join(''),
    close: async () => {
      for (const worker of all) worker.kill('SIGTERM');
      await Promise.all(all.map((worker) => worker.exited));
    },
  };
}

async function optionsFor({ setUp, redis, simulator }: Field, label: string): Promise<string> {
  return JSON.stringify({
    socket: redis.url.slice('unix://'.length),
    label,
    apiUrl: simulator.apiUrl,
    token: await tokenFor(simulator),
    concurrency: CONCURRENCY,
    processes: setUp.processes,
    quotas: quotas(LIMITS[setUp.scale]),
  });
}

/** The installed version; without a name the project's own. */
async function versionOf(name?: string): Promise<string> {
  const folder = name === undefined ? ROOT : join(ROOT, 'node_modules', name);
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  return version;
}
