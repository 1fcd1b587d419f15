import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { systemClock } from '../../base/clock.ts';
import {
  AFTER_FILE,
  afterFile,
  type KeeperOrders,
  REDIS_LOG,
  SOCKET_FILE,
  START_LOCK,
} from './embedded-files.ts';
import { ask, probe } from './probe.ts';

const START_LIMIT_MS = 15_000;
const LOOK_MS = 5;

/*
 * The server must not outlive its keeper, however that ends. So a shell between the two starts the server and listens to
 * a pipe from the keeper: when the pipe closes, because the keeper stops the server or because it is no more, the server
 * gets its TERM and ends in order. When the server ends first, the shell ends too, with its code. Of these processes any
 * one may be killed and the rest goes away. What the server writes is for its user alone, like the folder it is in.
 */
const GUARD = `
umask 077
"$@" 3<&- & server=$!
{ read -r line <&3; kill "$server"; } 2>/dev/null & listener=$!
wait "$server"; code=$?
kill "$listener" 2>/dev/null
exit "$code"
`;

const SETTINGS: Readonly<Record<string, string>> = {
  port: '0',
  // Relative, for the path of a socket may not be longer than about 100 bytes.
  unixsocket: SOCKET_FILE,
  unixsocketperm: '600',
  dir: '.',
  logfile: REDIS_LOG,
  loglevel: 'warning',
  daemonize: 'no',
  appendonly: 'yes',
  // Loses a second when the machine fails, and when the server is killed what it held back during a sync.
  appendfsync: 'everysec',
  // A crash may leave half a command at the end; the rest is still good.
  'aof-load-truncated': 'yes',
  save: '',
  maxmemory: '0',
  'maxmemory-policy': 'noeviction',
};

/** A server that this process started. */
export interface ServerProcess {
  /** Whether it has ended. */
  readonly ended: boolean;
  /** Resolves when it has ended, to how. */
  readonly end: Promise<string>;
  /** Lets it write its data and end; resolves when it has. May be called again. */
  stop(): Promise<void>;
}

/**
 * The server's config file: empty, and called after the server that ended here in order. Only the next one is given it: should that be
 * killed, something may be lost.
 */
async function takeConfigFile(): Promise<{ args: string[]; before: string[] }> {
  const [name, ...others] = (await readdir('.')).filter((file) => AFTER_FILE.test(file));
  await rm('used', { recursive: true, force: true });
  // Of several nobody can say which was the last.
  for (const other of others.length > 0 ? [name ?? '', ...others] : []) await rm(other);
  if (name === undefined || others.length > 0) return { args: [], before: [] };
  await mkdir('used');
  await rename(name, join('used', name));
  return { args: [join('used', name)], before: (AFTER_FILE.exec(name)?.[1] ?? '').split('-') };
}

/** Notes that this server has ended in order. */
async function leaveConfigFile(runIds: readonly string[]): Promise<void> {
  await writeFile(afterFile(runIds), '');
}

/**
 * Starts a server in the current folder, under the start lock; returns as soon as it listens, while it may still be
 * loading its data. Throws with the last line of its log when it ends instead, and when it does not listen within 15 s;
 * this process must end then, too, for the server to do so.
 */
export async function startServer({ command, env }: KeeperOrders): Promise<ServerProcess> {
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => [`--${name}`, value]);
  const config = await takeConfigFile();
  const child = spawn(
    '/bin/sh',
    ['-c', GUARD, 'standdown-redis-guard', command, ...config.args, ...settings],
    {
      // A locale that is not installed would keep the server from starting.
      env: { ...env, LC_ALL: 'C' },
      // Not stdin: a shell may take a socket there, which it is, for a remote login.
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    },
  );
  const server = watch(child, config.before);
  const deadline = systemClock.monotonic() + START_LIMIT_MS;
  while ((await probe(SOCKET_FILE)) === 'absent') {
    if (server.ended) {
      throw new Error(`${command} ended (${await server.end}): ${await lastLineOf(REDIS_LOG)}`);
    }
    if (systemClock.monotonic() > deadline) {
      throw new Error(`${command} did not listen within ${START_LIMIT_MS / 1000} s`);
    }
    if (!existsSync(START_LOCK)) throw new Error('the folder was deleted');
    await systemClock.sleep(LOOK_MS);
  }
  return server;
}

/** @param before run ids of the servers that ended in order before it. */
function watch(child: ChildProcess, before: readonly string[]): ServerProcess {
  let ended = false;
  const end = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
  }).finally(() => {
    ended = true;
  });
  const leash = child.stdio[3];
  leash?.on('error', () => undefined); // That the other end is gone is told by the exit.
  return {
    get ended() {
      return ended;
    },
    end,
    stop: async () => {
      const commands = ['INFO server', 'INFO persistence'];
      const info = await ask({ socketPath: SOCKET_FILE, commands, timeoutMs: 1_000 }).catch(() => '');
      if (leash instanceof Writable) leash.end();
      const runId = /run_id:([0-9a-f]{40})/.exec(info)?.[1];
      const isWritten = info.includes('aof_last_write_status:ok');
      if ((await end) === 'code 0' && isWritten && runId !== undefined)
        await leaveConfigFile([runId, ...before]).catch(() => undefined);
    },
  };
}

/** The last line of a log that is not empty; an empty text when there is none. */
export async function lastLineOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim().split('\n').at(-1) ?? '';
}
