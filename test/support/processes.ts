import assert from 'node:assert/strict';
import { type ChildProcess, type ChildProcessWithoutNullStreams, fork, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';

import { TIMINGS, type Timings } from '../../src/config/timings.ts';
import { ROOT } from './folders.ts';
import { TIMINGS_VARIABLE } from './timings.ts';

export { ROOT };

/**
 * What still runs when a file's tests are over was left by one that failed: it would keep the file from ending. Nor may it
 * outlive a program that is told to stop.
 */
const living = new Set<ChildProcess>();
const killAll = () => {
  for (const child of living) child.kill('SIGKILL');
};
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  after(killAll);
  // A run that is told to stop tells its files so: without this they would end at once, and leave what they started.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
}
process.once('exit', killAll);

/** Lets a process not outlive this one. */
export function endWithUs(child: ChildProcess): void {
  living.add(child);
  child.once('exit', () => living.delete(child));
}

/** Of the environment, all that a child process gets; the compile cache spares it most of its start. */
const KEPT_ENV: Record<string, string> = Object.fromEntries(
  ['PATH', 'HOME', 'NODE_COMPILE_CACHE'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);

/** A process that a test started, with what it said. */
export interface Process {
  pid: number;
  stdin: NodeJS.WritableStream;
  /** Everything on standard output and standard error so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** The first line of standard output that has not been asked for. */
  line(): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
}

export interface StartOptions {
  env?: Record<string, string>;
  cwd?: string;
}

export interface CliOptions extends StartOptions {
  /** Then it is started by `standdown.ts`, and otherwise, with production's, as in the package. */
  timings?: Timings | undefined;
}

/** Starts `node <script> …` in the project's folder. */
export function startNode(script: string, args: readonly string[], options: StartOptions = {}): Process {
  return startProgram(process.execPath, [script, ...args], options);
}

/** Starts a program in the project's folder. */
export function startProgram(program: string, args: readonly string[], options: StartOptions = {}): Process {
  const child = spawn(program, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...KEPT_ENV, ...options.env },
  });
  return watch(child);
}

/** Starts a command of Standdown. */
export function startCli(args: readonly string[], { timings, ...options }: CliOptions = {}): Process {
  if (!timings || timings === TIMINGS) return startNode(`${ROOT}/src/cli.ts`, args, options);
  const env = { ...options.env, [TIMINGS_VARIABLE]: JSON.stringify(timings) };
  return startNode(`${ROOT}/test/support/standdown.ts`, args, { ...options, env });
}

export interface Ran {
  code: number | NodeJS.Signals;
  stdout: string;
  stderr: string;
}

/** Runs a command of Standdown to its end. */
export async function runCli(
  args: readonly string[],
  options: CliOptions & { stdin?: string | Buffer } = {},
): Promise<Ran> {
  const child = startCli(args, options);
  child.stdin.end(options.stdin ?? '');
  const code = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** A process that runs command after command: for libraries that keep what they find in the environment. */
export interface CommandsProcess {
  /** One at a time. `env` is what the commands see; libraries see the process's own. */
  run(args: readonly string[], env: Record<string, string>): Promise<Ran>;
  stop(): Promise<void>;
}

export function startCommandsProcess(env: Record<string, string>): CommandsProcess {
  const child = fork(`${ROOT}/test/support/commands-process.ts`, { cwd: ROOT, env: { ...KEPT_ENV, ...env } });
  endWithUs(child);
  const exited = once(child, 'exit');
  const died = exited.then(() => {
    throw new Error('the process ended before its command');
  });
  died.catch(() => undefined);
  return {
    run: async (args, more) => {
      const answer = once(child, 'message');
      child.send({ args, env: { ...env, ...more } });
      const [ran] = (await Promise.race([answer, died])) as [Ran];
      return ran;
    },
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function watch(child: ChildProcessWithoutNullStreams): Process {
  assert(child.pid !== undefined, 'the process did not start');
  endWithUs(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // What is written to a process that has ended is lost on purpose.
  child.stdin.on('error', () => undefined);
  // Its own iterator would stop reading while nobody asks for lines.
  const lines = on(createInterface({ input: child.stdout }), 'line', { close: ['close'] });
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  return {
    pid: child.pid,
    stdin: child.stdin,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    line: async () => {
      const next = await lines.next();
      if (next.done) throw new Error(`the process ended without another line: ${stderr}`);
      const [line] = next.value as [string];
      return line;
    },
    kill: (signal) => void child.kill(signal),
    exited,
  };
}
