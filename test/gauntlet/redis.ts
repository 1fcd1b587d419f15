import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '../../src/log.ts';
import { findServer } from '../../src/redis/server-binary.ts';
import { installServer } from '../../src/redis/server-install.ts';
import type { RedisClient } from '../../src/script.ts';
import { INSTALL_DIR, plainServer, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

/** A Redis of one round, with an append-only file, that can be killed and brought back. */
export interface FragileRedis {
  url: string;
  /** A connection that waits for Redis as long as it takes. */
  connect(): Promise<RedisClient>;
  kill(): Promise<void>;
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  close(): Promise<void>;
}

export async function openFragileRedis(): Promise<FragileRedis> {
  const dir = join(TEST_DIR, 'gauntlet', newLabel());
  await mkdir(dir, { recursive: true });
  const found = await findServer({ path: process.env['PATH'] ?? '', dataDir: INSTALL_DIR });
  const { command, env } =
    found ?? (await installServer({ path: process.env['PATH'] ?? '', dataDir: INSTALL_DIR, log: silentLog }));
  const socket = join(dir, 'redis.sock');
  const settings = ['--port', '0', '--unixsocket', socket, '--appendonly', 'yes', '--save', ''];
  const server: TestRedis = plainServer({ url: `unix://${socket}` });
  let child: ChildProcess | null = null;

  const start = async () => {
    const options = { cwd: dir, env: { ...env, LC_ALL: 'C' }, stdio: 'ignore' } as const;
    child = spawn(
      command,
      [...settings, '--maxmemory-policy', 'noeviction', '--logfile', 'redis.log'],
      options,
    );
    await eventually(async () => {
      const probe = plainServer({ url: server.url });
      const redis = await probe.connect();
      await redis.ping().finally(probe.close);
    }, 20_000);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    child.kill('SIGCONT');
    await exited;
  };

  await start();
  return {
    url: server.url,
    connect: () => server.connect('worker'),
    start,
    kill: () => end('SIGKILL'),
    signal: (signal) => void child?.kill(signal),
    close: async () => {
      await server.close();
      await end('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}
