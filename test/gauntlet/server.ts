import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { silentLog } from '../../src/base/log.ts';
import { findServer, type RedisServer as ServerBinary } from '../../src/store/redis/server-binary.ts';
import { installServer } from '../../src/store/redis/server-install.ts';
import { onFreePort, untilAnswers } from '../support/port.ts';
import { endWithUs } from '../support/processes.ts';
import { INSTALL_DIR } from '../support/redis.ts';

const run = promisify(execFile);

/** A redis-server in a folder of its own, on a TCP port, that can be killed, stopped and brought back. */
export interface RedisServer {
  port: number;
  /** For setting things up and looking at them: a connection that waits for the server as long as it takes. */
  admin: Redis;
  /** Resolves once it answers; `more`: settings for this time. */
  start(more?: readonly string[]): Promise<void>;
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Puts a copy of its append-only file aside … */
  keepFiles(): Promise<void>;
  /** … and puts it in place of the present one. It must be down. */
  restoreFiles(): Promise<void>;
  /** Lets no file of it grow any more, as a full disk does; `false`: they may again. */
  fillDisk(full: boolean): Promise<void>;
  close(): Promise<void>;
}

const APPEND_ONLY = 'appendonlydir';

/**
 * @param dir its folder; made if need be.
 * @param settings as on the command line of redis-server; a configuration file first.
 */
export async function openServer(
  dir: string,
  settings: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<RedisServer> {
  await mkdir(dir, { recursive: true });
  const found = await findServer({ path: process.env['PATH'] ?? '', dataDir: INSTALL_DIR });
  const server =
    found ?? (await installServer({ path: process.env['PATH'] ?? '', dataDir: INSTALL_DIR, log: silentLog }));
  return onFreePort((port) => startServer({ dir, settings, env, server, port }));
}

interface ServerParams {
  dir: string;
  settings: readonly string[];
  env: Record<string, string>;
  server: ServerBinary;
  port: number;
}

async function startServer({ dir, settings, env, server, port }: ServerParams): Promise<RedisServer> {
  const log = join(dir, 'redis.log');
  const own = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--logfile', log];
  const admin = new Redis({
    port,
    host: '127.0.0.1',
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
    lazyConnect: true,
  });
  admin.on('error', () => undefined);
  let child: ChildProcess | null = null;

  const isUp = () => child !== null && child.exitCode === null && child.signalCode === null;
  const kill = async () => {
    if (!child || !isUp()) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    child.kill('SIGCONT');
    await exited;
  };
  const start = async (more: readonly string[] = []) => {
    // Where no file may grow a signal comes first, which ends the process unless that is ignored.
    const command = ['-c', 'trap "" XFSZ; exec "$0" "$@"', server.command, ...settings, ...own, ...more];
    child = spawn('sh', command, { cwd: dir, env: { ...server.env, LC_ALL: 'C', ...env }, stdio: 'ignore' });
    endWithUs(child);
    await untilAnswers(child, admin, log);
  };
  const kept = join(dir, 'kept');

  try {
    await start();
  } catch (error) {
    admin.disconnect();
    await kill();
    throw error;
  }
  return {
    port,
    admin,
    start,
    kill,
    signal: (signal) => void child?.kill(signal),
    keepFiles: async () => {
      await rm(kept, { recursive: true, force: true });
      await cp(join(dir, APPEND_ONLY), kept, { recursive: true });
    },
    restoreFiles: async () => {
      await rm(join(dir, APPEND_ONLY), { recursive: true });
      await cp(kept, join(dir, APPEND_ONLY), { recursive: true });
    },
    fillDisk: async (full) => {
      const most = full ? await largestFile(join(dir, APPEND_ONLY)) : 'unlimited';
      // Of the soft limit only: the other can not be lifted again.
      await run('prlimit', ['--pid', String(child?.pid), `--fsize=${most}:`]);
    },
    close: async () => {
      admin.disconnect();
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function largestFile(dir: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(dir)).map(async (name) => (await stat(join(dir, name))).size),
  );
  return Math.max(...sizes);
}
