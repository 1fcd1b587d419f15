import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesToGuid, guidsToBytes } from '../../src/base/guid.ts';
import { readIds } from '../../src/store/campaign/ids.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { runCommand } from '../support/command.ts';
import type { Ran } from '../support/processes.ts';
import { TEST_DIR, type TestRedis } from '../support/redis.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';

/** A tenant of its own with a folder, and Standdown's commands on it, in this process. */
export interface Shell {
  tenant: TestTenant;
  env: Record<string, string>;
  /** Writes a file into the folder; returns its path. */
  write(name: string, content: string | Buffer): Promise<string>;
  path(name: string): string;
  run(
    args: readonly string[],
    options?: { stdin?: string | Buffer; env?: Record<string, string> },
  ): Promise<Ran>;
  /** Submits without a process. */
  submit(campaign: string, ids: readonly string[]): Promise<void>;
  /** The ids of a campaign's list in order; null: no such campaign. */
  listed(campaign: string): Promise<string[] | null>;
  /** What commands left behind in their data folder. */
  leftBehind(): Promise<string[]>;
  close(): Promise<void>;
}

export async function openShell(server: TestRedis, env: Record<string, string> = {}): Promise<Shell> {
  const redis = await server.connect();
  const tenant = await newTenant(redis, env);
  const { keys, label } = tenant;
  await mkdir(TEST_DIR, { recursive: true });
  const folder = await mkdtemp(join(TEST_DIR, 'shell-'));
  const dataDir = join(folder, 'data');
  const own = {
    REDIS_URL: server.url,
    STANDDOWN_TENANT: label,
    STANDDOWN_DATA_DIR: dataDir,
    ...env,
  };
  const path = (name: string) => join(folder, name);
  return {
    tenant,
    env: own,
    path,
    write: async (name, content) => {
      await writeFile(path(name), content);
      return path(name);
    },
    run: (args, options = {}) => runCommand(args, { ...options, env: { ...own, ...options.env } }),
    submit: async (campaign, ids) => {
      const parts = (async function* () {
        yield guidsToBytes(ids);
      })();
      await submitCampaign(tenant, { name: campaign, comment: 'test', now: Date.now() }, parts);
    },
    listed: async (campaign) => {
      const number = await redis.hget(keys.campaigns, campaign);
      if (number === null) return null;
      const ids = await readIds(redis, keys, Number(number), 0, 1_000_000);
      return Array.from({ length: ids.length / 16 }, (_, index) => bytesToGuid(ids, 16 * index));
    },
    leftBehind: () => readdir(dataDir).catch(() => []),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

export function newGuids(count: number): string[] {
  return Array.from({ length: count }, () => randomUUID());
}

/** The lines of a text that ends with a line break. */
export function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
