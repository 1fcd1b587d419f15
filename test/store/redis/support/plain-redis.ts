import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { onFreePort, untilAnswers } from '../../../support/port.ts';
import { endWithUs } from '../../../support/processes.ts';
import { atEnd, endProcess, redisServer } from './machine.ts';

export interface PlainRedis {
  port: number;
  url: string;
  /** Its folder. */
  folder: string;
  child: ChildProcess;
  /** For setting things up; not the connection under test. */
  admin: Redis;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface PlainParams {
  folder: string;
  args?: readonly string[];
  /** Options of the admin connection. */
  admin?: { username?: string; password?: string; tls?: object };
  port?: number;
}

/** A redis-server on a TCP port of this machine, ended at the end of the test. */
export function startRedis(t: TestContext, params: PlainParams): Promise<PlainRedis> {
  const start = (port: number) => startOn(t, { ...params, port });
  return params.port === undefined ? onFreePort(start) : start(params.port);
}

async function startOn(
  t: TestContext,
  { folder, args = [], admin = {}, port }: PlainParams & { port: number },
): Promise<PlainRedis> {
  const { command, env } = await redisServer();
  const cwd = join(folder, String(port));
  mkdirSync(cwd, { recursive: true });
  const listen = args.includes('--tls-port')
    ? ['--port', '0', '--tls-port', String(port)]
    : ['--port', String(port)];
  const rules = args.filter((arg) => arg !== '--tls-port');
  const log = join(cwd, 'redis.log');
  const defaults = ['--bind', '127.0.0.1', '--save', '', '--dir', cwd, '--logfile', log];
  const child = spawn(command, [...configFile(rules), ...listen, ...defaults, ...rules.filter(isNoFile)], {
    cwd,
    env: { ...env, LC_ALL: 'C' },
    stdio: 'ignore',
  });
  endWithUs(child);
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    disconnectTimeout: 100,
    ...admin,
  });
  redis.on('error', () => undefined);
  const stop = async (signal?: NodeJS.Signals) => {
    redis.disconnect();
    await endProcess(child, signal);
  };
  atEnd(t, () => stop('SIGKILL'));
  try {
    await untilAnswers(child, redis, log);
  } catch (error) {
    await stop('SIGKILL');
    throw error;
  }
  return { port, url: `redis://127.0.0.1:${port}`, folder: cwd, child, admin: redis, stop };
}

/** A configuration file must come first. */
function configFile(args: readonly string[]): string[] {
  return args.filter((arg) => !isNoFile(arg));
}

function isNoFile(arg: string): boolean {
  return !arg.endsWith('.conf');
}
