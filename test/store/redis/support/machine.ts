import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { silentLog } from '../../../../src/base/log.ts';
import { findServer, type RedisServer } from '../../../../src/store/redis/server-binary.ts';
import { installServer } from '../../../../src/store/redis/server-install.ts';
import { INSTALL_DIR, TEST_DIR } from '../../../support/folders.ts';
import { eventually } from '../../../support/wait.ts';

export { eventually };

export const PATH = process.env['PATH'] ?? '';
export { INSTALL_DIR };
export const quiet = silentLog;

let server: Promise<RedisServer> | undefined;

/** The Redis server of this machine; installed if there is none. */
export function redisServer(): Promise<RedisServer> {
  server ??= findServer({ path: PATH, dataDir: INSTALL_DIR }).then(
    (found) => found ?? installServer({ path: PATH, dataDir: INSTALL_DIR, log: quiet }),
  );
  return server;
}

const endings = new WeakMap<TestContext, (() => Promise<void>)[]>();

/** Runs at the end of the test, the last one given first: what was begun last is ended first. */
export function atEnd(t: TestContext, ending: () => Promise<void>): void {
  const list = endings.get(t) ?? [];
  list.push(ending);
  if (endings.has(t)) return;
  endings.set(t, list);
  t.after(async () => {
    const failures: unknown[] = [];
    for (const end of list.reverse()) await end().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  });
}

/** A folder for one test. At its end no process may be left that works in it, and it is removed. */
export function testFolder(t: TestContext): string {
  const folder = join(TEST_DIR, `test-redis-${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true });
  atEnd(t, async () => {
    try {
      await eventually(() => assert.deepEqual(processesIn(folder), []));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  return folder;
}

export interface Found {
  pid: number;
  name: string;
}

/** The processes that work in a folder or name it on their command line; this one is left out. */
export function processesIn(folder: string): Found[] {
  const found: Found[] = [];
  for (const pid of readdirSync('/proc').map(Number)) {
    if (Number.isNaN(pid) || pid === process.pid) continue;
    try {
      const name = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      if (name !== '' && (name.includes(folder) || cwd.startsWith(folder))) found.push({ pid, name });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** Ends a process that the test started; SIGCONT lets a stopped one take it. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  child.kill('SIGCONT');
  await ended;
}

export interface Script {
  child: ChildProcess;
  /** The next line it says, as JSON. */
  next(): Promise<Record<string, unknown>>;
  say(line: string): void;
}

/** Runs one of the scripts beside this file as a process of its own; it is killed at the end of the test. */
export function runScript(t: TestContext, name: string, ...args: string[]): Script {
  const child = spawn(process.execPath, [join(import.meta.dirname, name), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  atEnd(t, () => endProcess(child, 'SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    next: async () => {
      const { value, done } = await lines.next();
      assert(done !== true, `${name} ended`);
      return JSON.parse(String(value));
    },
    say: (line) => child.stdin.write(`${line}\n`),
  };
}
