import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { childrenOf, commandOf } from '../support/proc.ts';
import { createReport, type Totals } from './report.ts';

/** Not from the tests' support: what that says of folders depends on a name that is given only here. */
const ROOT = join(import.meta.dirname, '../..');

const HELP = `usage: npm test [-- FILE|FOLDER …]
       npm run test:full [-- FILE|FOLDER …]
       npm run test:repeat -- FILE|FOLDER … [TIMES] [--load]

  --full     also what is long by nature (*.long.ts)
  --repeat   run TIMES times (default 20), and say how often it passed
  --load     keep every core busy with an endless loop meanwhile
  --at-once  files that run at the same time; default: four for each core`;

interface Options {
  full: boolean;
  load: boolean;
  times: number;
  atOnce: number;
  /** Files and folders, as they were given; none: all. */
  places: string[];
}

/** In ms. A test that hangs is ended; a busy machine must not reach it. */
const TEST_TIMEOUT_MS = { short: 300_000, full: 900_000 };

/** When a whole run is given up, in ms: a test in an endless loop cannot be ended by its own limit. */
const RUN_TIMEOUT_MS = { short: 15 * 60_000, full: 120 * 60_000 };

/** How many random inputs each fuzz test tries in a full run, unless FUZZ_RUNS says otherwise. */
const FULL_FUZZ_RUNS = '2000';

/** Folders whose files take longest: begun first, so that none of them is left to the end. */
const FIRST = [
  'test/end-to-end',
  'test/console',
  'test/worker',
  'test/store/redis',
  'test/tenants',
  'test/cli',
];

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === 'string') return refuse(options);
  const files = filesOf(options);
  if (typeof files === 'string') return refuse(files);
  const stopLoad = options.load ? startLoad() : () => undefined;
  try {
    if (options.times === 1) return exitCode(await runOnce(files, options));
    return await repeat(files, options);
  } finally {
    stopLoad();
  }
}

function readOptions(args: string[]): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        full: { type: 'boolean', default: false },
        repeat: { type: 'boolean', default: false },
        load: { type: 'boolean', default: false },
        'at-once': { type: 'string', default: String(4 * availableParallelism()) },
      },
    });
    const last = values.repeat && /^\d+$/.test(positionals.at(-1) ?? '') ? Number(positionals.pop()) : null;
    const atOnce = Number(values['at-once']);
    if (!Number.isInteger(atOnce) || atOnce < 1) return '--at-once takes a whole number from 1';
    const times = last ?? (values.repeat ? 20 : 1);
    if (times < 1) return 'TIMES must be 1 or more';
    if (values.repeat && positionals.length === 0)
      return 'say what to repeat: a FILE or a FOLDER; "test" is all of it';
    return { full: values.full, load: values.load, times, atOnce, places: positionals };
  } catch (error) {
    return (error as Error).message;
  }
}

function refuse(reason: string): number {
  process.stderr.write(`${reason}\n\n${HELP}\n`);
  return 2;
}

/** The files to run, the slowest folders first; or what is wrong with the places that were named. */
function filesOf({ full, places }: Options): string[] | string {
  const found = new Set<string>();
  for (const place of places.length > 0 ? places : ['test']) {
    const path = resolve(ROOT, place);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return `${place}: no such file or folder`;
    if (stat.isFile()) {
      found.add(relative(ROOT, path));
      continue;
    }
    const folder = relative(ROOT, path) || '.';
    const patterns = [`${folder}/**/*.test.ts`, ...(full ? [`${folder}/**/*.long.ts`] : [])];
    for (const file of globSync(patterns, { cwd: ROOT })) found.add(relative(ROOT, join(ROOT, file)));
  }
  if (found.size === 0) return `${places.join(', ')}: no tests there`;
  const rank = (file: string) => {
    const at = FIRST.findIndex((folder) => file.startsWith(`${folder}/`));
    return at === -1 ? FIRST.length : at;
  };
  return [...found].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Aborted when the run is told to stop: it ends its files, and then itself. */
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop.abort(new Error(signal)));
}
// npm passes no signal on: who ends it would leave the run behind.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) stop.abort(new Error('whoever started the run is gone'));
}, 1_000).unref();

async function runOnce(names: string[], options: Options): Promise<Totals> {
  const { openTestRedis, remove } = await openPlace(options);
  const length = options.full ? 'full' : 'short';
  const server = await openTestRedis();
  const files = names.map((file) => join(ROOT, file));
  const limit = createLimit(1.4 * TEST_TIMEOUT_MS[length]);
  const report = createReport({ out: process.stdout, root: ROOT, files, stop: stop.signal });
  try {
    await server.connect();
    const events = run({
      files,
      cwd: ROOT,
      concurrency: options.atOnce,
      timeout: TEST_TIMEOUT_MS[length],
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(RUN_TIMEOUT_MS[length])]),
    });
    for await (const event of events) {
      limit.take(event);
      report.take(event);
    }
  } finally {
    limit.stop();
    await server.close();
    // Its keeper ends the server as soon as it misses the socket.
    remove();
  }
  return report.finish();
}

/**
 * Kills the process of a file that takes far too long: what never lets go of its thread, or leaves something open after its tests,
 * ends by no limit of a test. On Linux; elsewhere only the run's own limit ends it.
 */
function createLimit(mostMs: number) {
  const begun = new Map<string, number>();
  const look = () => {
    for (const [file, at] of begun) if (performance.now() - at > mostMs) kill(file);
  };
  const timer = setInterval(look, 5_000).unref();
  return {
    take: ({ type, data }: TestEvent) => {
      if (type !== 'test:dequeue' && type !== 'test:complete') return;
      if (data.nesting !== 0 || data.file === undefined || data.name !== data.file) return;
      if (type === 'test:dequeue') begun.set(data.file, performance.now());
      else begun.delete(data.file);
    },
    stop: () => clearInterval(timer),
  };
}

function kill(file: string): void {
  for (const pid of existsSync('/proc') ? childrenOf(process.pid) : []) {
    if (!commandOf(pid).includes(file)) continue;
    process.stdout.write(`${relative(ROOT, file)} takes too long: its process is killed\n`);
    process.kill(pid, 'SIGKILL');
  }
}

/**
 * A folder for all that this run's tests write, and the Redis that most of them share: it would end whenever nobody is
 * connected. All processes share a cache of compiled sources: with it they start in half the time.
 */
async function openPlace({ full }: Options) {
  const installDir = join(ROOT, '.standdown');
  mkdirSync(installDir, { recursive: true, mode: 0o700 });
  removeLeftOver(installDir);
  process.env['TEST_RUN'] ??= basename(mkdtempSync(join(installDir, `run-${process.pid}-`)));
  if (full) process.env['FUZZ_RUNS'] ??= FULL_FUZZ_RUNS;
  process.env['NODE_COMPILE_CACHE'] = join(installDir, 'compile-cache');
  // Only now: it reads the folder's name.
  const { openTestRedis, TEST_DIR } = await import('../support/redis.ts');
  const remove = () => rmSync(TEST_DIR, { recursive: true, force: true, maxRetries: 5 });
  return { openTestRedis, remove };
}

/** What runs left that were killed. */
function removeLeftOver(installDir: string): void {
  for (const name of readdirSync(installDir)) {
    const pid = /^run-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(installDir, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function repeat(files: string[], options: Options): Promise<number> {
  const failed: number[] = [];
  const seconds: number[] = [];
  for (let round = 1; round <= options.times; round++) {
    const began = performance.now();
    const code = exitCode(await runOnce(files, options));
    if (stop.signal.aborted) {
      process.stdout.write(
        `\nstopped in round ${round} of ${options.times}: ${failed.length} failed before it\n`,
      );
      return 130;
    }
    if (code !== 0) failed.push(round);
    seconds.push((performance.now() - began) / 1_000);
    process.stdout.write(`\nround ${round} of ${options.times}: ${failed.length} failed so far\n\n`);
  }
  const times = `${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s`;
  const which = failed.length > 0 ? ` (failed: ${failed.join(', ')})` : '';
  process.stdout.write(
    `${options.times - failed.length} of ${options.times} rounds passed${which}; ${times} each\n`,
  );
  return failed.length === 0 ? 0 : 1;
}

function exitCode({ passed, failed }: Totals): number {
  if (stop.signal.aborted) return 130;
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** An endless loop on every core, at normal priority. They end with this process, however it ends. */
function startLoad(): () => void {
  const loop =
    'process.stdin.resume().on("end", () => process.exit()); setImmediate(function spin() { for (let i = 0; i < 1e7; i++); setImmediate(spin); });';
  const loops: ChildProcess[] = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', loop], { stdio: ['pipe', 'ignore', 'ignore'] }),
  );
  return () => {
    for (const child of loops) child.kill('SIGKILL');
  };
}

process.exitCode = await main();
