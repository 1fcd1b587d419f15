import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { TIMINGS, type Timings } from '../config/timings.ts';
import { runProgram } from './program.ts';

type StopSignal = 'SIGINT' | 'SIGTERM';

/**
 * The process: its arguments, streams, signals and exit code.
 *
 * @param options.timings default: those of production. No setting and no variable changes them.
 */
export async function main({ timings = TIMINGS }: { timings?: Timings } = {}): Promise<void> {
  // Reports name machines, logs say what is done about them: no file is for others, whatever part writes it.
  process.umask(0o077);
  muteEviction();
  const stop = new AbortController();
  let signal: StopSignal | null = null;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (signal) process.exit(codeOf(name));
      signal = name;
      stop.abort(new Error(name));
    });
  }
  const args = process.argv.slice(2);
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  let outputCode: number | null = null;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (outputCode !== null) return;
    // Whoever reads may have had enough (head, less): that is no failure. What was begun is ended in order.
    outputCode = error.code === 'EPIPE' ? 0 : 1;
    if (outputCode !== 0) say(`standdown: cannot write to standard output: ${error.message}`);
    stop.abort(error);
    setTimeout(() => process.exit(), OUTPUT_GRACE_MS).unref();
    process.exitCode = outputCode;
  });
  const code = await runProgram(args, {
    env: process.env,
    timings,
    stdin: process.stdin,
    stop: stop.signal,
    onHangup: hangups(args.includes('worker')),
    version: await version(),
    isErrorTerminal: process.stderr.isTTY === true,
    out: {
      write,
      note: say,
      complain: say,
      isTerminal: process.stdout.isTTY === true,
      columns: process.stdout.columns ?? process.stderr.columns ?? 80,
    },
  });
  // A worker that was told to stop has done what it should; everything else was cut off.
  process.exitCode = outputCode ?? (signal && code !== 0 ? codeOf(signal) : code);
  // Nothing should be left to wait for; if something is, it must not keep the process.
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

/**
 * BullMQ says so for each of its connections, and between the lines of the log, which may be JSON. Our own check of Redis says it once,
 * with what to do.
 */
function muteEviction(): void {
  const { warn } = console;
  console.warn = (...words: unknown[]) => {
    if (!String(words[0]).startsWith('IMPORTANT! Eviction policy is')) warn(...words);
  };
}

/** From the first moment on: one that comes while a worker starts must not end it. */
function hangups(isWorker: boolean): (listener: () => void) => void {
  let hear: (() => void) | null = null;
  let isMissed = false;
  if (isWorker) {
    process.on('SIGHUP', () => {
      if (hear) hear();
      else isMissed = true;
    });
  }
  return (listener) => {
    hear = listener;
    if (isMissed) listener();
  };
}

export const EXIT_GRACE_MS = 2_000;

/** For those that have to end processes of their own when nobody reads any more, in ms. */
const OUTPUT_GRACE_MS = 60_000;

function codeOf(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}

function write(text: string): Promise<void> {
  const { stdout } = process;
  return new Promise((resolve) => {
    // That it failed is told by the stop signal: here it must only not be waited for.
    if (stdout.write(text, (error) => error && resolve())) resolve();
    else stdout.once('drain', resolve);
  });
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  return String(Reflect.get(Object(parsed), 'version'));
}
