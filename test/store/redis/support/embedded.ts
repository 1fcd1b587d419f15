import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { closeRedis, openRedis } from '../../../../src/store/redis/connect.ts';
import {
  type EmbeddedParams,
  type EmbeddedRedis,
  startEmbedded,
} from '../../../../src/store/redis/embedded.ts';
import type { RedisRole } from '../../../../src/store/redis/options.ts';
import type { RedisClient } from '../../../../src/store/script.ts';
import {
  atEnd,
  eventually,
  INSTALL_DIR,
  PATH,
  processesIn,
  quiet,
  runScript,
  type Script,
} from './machine.ts';

/** Short, so that the tests are. */
export const GRACE_MS = 500;

export function embedded(dataDir: string, rest: Partial<EmbeddedParams> = {}): Promise<EmbeddedRedis> {
  return startEmbedded({
    dataDir,
    installDir: INSTALL_DIR,
    path: PATH,
    log: quiet,
    graceMs: GRACE_MS,
    ...rest,
  });
}

/** A connection of this process, closed at the end of the test. */
export async function connect(
  t: TestContext,
  { target, ensure }: EmbeddedRedis,
  role: RedisRole = 'worker',
): Promise<RedisClient> {
  const redis = await openRedis({ target, role, connectionName: 'test', log: quiet, ensure });
  atEnd(t, () => closeRedis(redis));
  return redis;
}

/** A client of the embedded Redis in a process of its own. */
export function client(t: TestContext, dataDir: string, graceMs = GRACE_MS): Script {
  return runScript(t, 'use-embedded.ts', dataDir, INSTALL_DIR, String(graceMs));
}

export function servers(dataDir: string): number[] {
  return processesIn(dataDir)
    .filter(({ name }) => /(redis|valkey)-server unixsocket:/.test(name))
    .map(({ pid }) => pid);
}

export function keepers(dataDir: string): number[] {
  return processesIn(dataDir)
    .filter(({ name }) => name.startsWith('standdown-redis-keeper '))
    .map(({ pid }) => pid);
}

export function guards(dataDir: string): number[] {
  return processesIn(dataDir)
    .filter(({ name }) => name.startsWith('/bin/sh') && name.includes('standdown-redis-guard'))
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);
}

export function only(pids: number[]): number {
  const [pid] = pids;
  assert(pid !== undefined && pids.length === 1, `one process expected, not ${pids.length}`);
  return pid;
}

/**
 * Resolves when what was answered so far is in the file. With `everysec` Redis holds a write back while an earlier one is
 * being synced, and answers all the same: a server killed just then loses it.
 */
export async function written(redis: RedisClient): Promise<void> {
  await eventually(async () => assert.match(await redis.info('persistence'), /aof_buffer_length:0\r/));
}
