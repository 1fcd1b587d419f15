import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { runProgram } from '../../src/cli/program.ts';
import { TIMINGS, type Timings } from '../../src/config/timings.ts';
import { trust } from './certificate.ts';
import type { Ran } from './processes.ts';

export interface CommandOptions {
  /** All settings: nothing of this process's environment is added but PATH and HOME. */
  env?: Record<string, string>;
  /** What it reads on standard input, which is no terminal. Default: nothing. */
  stdin?: string | Buffer | Readable;
  /** Default: production's. */
  timings?: Timings;
  /** The width of the terminal on standard output. Default: there is none. */
  columns?: number;
}

/** A command that runs in this process, with what it said. */
export interface Command {
  readonly stdout: string;
  readonly stderr: string;
  /** The first line of standard output that has not been asked for. */
  line(): Promise<string>;
  /** Does what the first signal does. */
  stop(): void;
  /** Does what SIGHUP does. */
  hangUp(): void;
  /** The code that the program returns; after a signal, a process exits with the signal's own instead. */
  exited: Promise<number>;
}

/**
 * Starts a command of Standdown in this process: everything but what the process adds (signals, its exit, its umask, its
 * streams). A certificate that NODE_EXTRA_CA_CERTS names is trusted by the whole process until the command ends.
 */
export function startCommand(args: readonly string[], options: CommandOptions = {}): Command {
  const { PATH = '', HOME = '' } = process.env;
  const env: Record<string, string> = { PATH, HOME, ...options.env };
  const { stdin = '', timings = TIMINGS, columns } = options;
  const said = { stdout: '', stderr: '' };
  const stop = new AbortController();
  const news = new EventEmitter();
  let isOver = false;
  let read = 0;

  const complain = (line: string) => {
    said.stderr += `${line}\n`;
  };
  async function run(): Promise<number> {
    const { NODE_EXTRA_CA_CERTS: file = '' } = env;
    const distrust = file ? trust(await readFile(file, 'utf8')) : null;
    try {
      return await runHere();
    } finally {
      distrust?.();
    }
  }
  function runHere(): Promise<number> {
    return runProgram(args, {
      env,
      timings,
      stdin: stdin instanceof Readable ? stdin : Readable.from(stdin.length > 0 ? [Buffer.from(stdin)] : []),
      stop: stop.signal,
      onHangup: (listener) => void news.on('hangup', listener),
      version: '0.0.0',
      isErrorTerminal: false,
      logTo: {
        write: (line) => {
          said.stderr += line;
        },
      },
      out: {
        write: async (text) => {
          said.stdout += text;
          news.emit('more');
        },
        note: complain,
        complain,
        isTerminal: columns !== undefined,
        columns: columns ?? 80,
      },
    });
  }
  const exited = run().finally(() => {
    isOver = true;
    news.emit('more');
  });

  return {
    get stdout() {
      return said.stdout;
    },
    get stderr() {
      return said.stderr;
    },
    line: async () => {
      for (;;) {
        const end = said.stdout.indexOf('\n', read);
        if (end >= 0) {
          const line = said.stdout.slice(read, end);
          read = end + 1;
          return line;
        }
        if (isOver) throw new Error(`the command ended without another line: ${said.stderr}`);
        await once(news, 'more');
      }
    },
    stop: () => stop.abort(new Error('stopped')),
    hangUp: () => void news.emit('hangup'),
    exited,
  };
}

/** Runs a command of Standdown to its end, in this process. */
export async function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<Ran> {
  const command = startCommand(args, options);
  const code = await command.exited;
  return { code, stdout: command.stdout, stderr: command.stderr };
}
