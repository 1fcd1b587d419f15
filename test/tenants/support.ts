import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeActions } from '../../src/simulator/index.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { keysFor } from '../../src/store/keys.ts';
import { atEnd, testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { type Command, runCommand, startCommand } from '../support/command.ts';
import { type Process, type Ran, startCli } from '../support/processes.ts';
import { type SimulatorProcess, startSimulatorHere, startSimulatorProcess } from '../support/simulator.ts';
import { skipGrace } from '../support/tenant.ts';
import { SHORT } from '../support/timings.ts';

export type Entry = Record<string, string | { env: string } | { file: string }>;

export interface Estate {
  labels: readonly string[];
  /** Each one's Entra tenant, in the order of the labels. */
  tenantIds: readonly string[];
  simulator: SimulatorProcess;
  redis: Awaited<ReturnType<typeof startRedis>>;
  folder: string;
  file: string;
  env: Record<string, string>;
  /** What stands for a tenant that is all right. */
  entry(index: number): Entry;
  /** Writes the worker's file. */
  write(entries: readonly Entry[]): Promise<void>;
  /** Ids of actions that exist, and a file with them. */
  idsFor(count: number): Promise<{ ids: string[]; path: string }>;
  /** Runs a command, with a file of its own that names them all. */
  cli(args: readonly string[]): Promise<Ran>;
  /** How many ids of a campaign are open. */
  openOf(index: number, campaign?: string): Promise<number>;
  /** In this process: where nothing is about signals or the process itself. */
  startWorker(env?: Record<string, string>): Command;
  startWorkerProcess(env?: Record<string, string>): Process;
}

export interface EstateOptions {
  /** Of the simulator's answers. */
  latencyMs?: { min: number; max: number };
  /** Whether the simulator has a process of its own: where limits are judged by when calls arrive. Default: false. */
  apart?: boolean;
}

/** A Redis of its own, a simulator with many tenants, and a file that names them. `limits` as in RATE_LIMITS, for each. */
export async function openEstate(
  t: TestContext,
  count: number,
  limits: string,
  { latencyMs = { min: 0, max: 0 }, apart = false }: EstateOptions = {},
): Promise<Estate> {
  const folder = testFolder(t);
  const redis = await startRedis(t, { folder, args: ['--appendonly', 'yes', '--maxclients', '4000'] });
  const tenantIds = Array.from({ length: count }, () => randomUUID());
  const labels = tenantIds.map((_, index) => `tenant-${index + 1}`);
  const [tenantId = '', ...otherTenantIds] = tenantIds;
  const start = apart ? startSimulatorProcess : startSimulatorHere;
  const simulator = await start(limits, { tenantId, otherTenantIds, latencyMs });
  atEnd(t, () => simulator.stop());
  for (const label of labels) await skipGrace(redis.admin, keysFor(label));
  const file = join(folder, 'tenants.json');
  const { AZURE_TENANT_ID: _, STANDDOWN_TENANT: __, ...shared } = simulator.settings;
  const env: Record<string, string> = {
    ...shared,
    TENANTS_FILE: file,
    REDIS_URL: redis.url,
    STANDDOWN_DATA_DIR: folder,
    URGENT_RESERVE: 'none',
    PRECHECK: 'off',
  };
  const entry = (index: number) => ({
    STANDDOWN_TENANT: labels[index] ?? '',
    AZURE_TENANT_ID: tenantIds[index] ?? '',
  });
  const all = join(folder, 'all.json');
  await writeFile(all, JSON.stringify(labels.map((_, index) => entry(index))));
  let files = 0;
  return {
    labels,
    tenantIds,
    simulator,
    redis,
    folder,
    file,
    env,
    entry,
    write: (entries) => writeFile(file, JSON.stringify(entries)),
    idsFor: async (many) => {
      const { actions, ids } = makeActions({ count: many, seed: ++files });
      await simulator.addActions(actions);
      const path = join(folder, `ids-${files}.txt`);
      await writeFile(path, `${ids.join('\n')}\n`);
      return { ids, path };
    },
    cli: (args) => runCommand(args, { env: { ...env, TENANTS_FILE: all } }),
    openOf: async (index, campaign = 'undo') =>
      (await findCampaign(redis.admin, keysFor(labels[index] ?? ''), campaign)).open,
    startWorker: (more = {}) => {
      const worker = startCommand(['worker'], { env: { ...env, ...more }, timings: SHORT });
      atEnd(t, async () => {
        worker.stop();
        await worker.exited;
      });
      return worker;
    },
    startWorkerProcess: (more = {}) => {
      const worker = startCli(['worker'], { env: { ...env, ...more }, timings: SHORT });
      atEnd(t, async () => {
        worker.kill('SIGKILL');
        await worker.exited;
      });
      return worker;
    },
  };
}
