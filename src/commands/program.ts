import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { Command, CommanderError } from 'commander';
import { type Environment, SETTINGS } from '../config.ts';
import { messageOf, StanddownError } from '../errors.ts';
import { printable } from '../foreign.ts';
import { createLog, type LogLevel, type LogOptions } from '../log.ts';
import { describeMisspelt, misspelt } from '../misspelt.ts';
import { withoutSecrets } from '../secret.ts';
import type { Traces } from '../telemetry/open.ts';
import { wantsTraces } from '../telemetry/settings.ts';
import { chooseConfig } from '../tenants-file.ts';
import { addCommands } from './catalogue.ts';
import { type BareContext, type CommandContext, EXIT, type Output, writeJson } from './context.ts';
import { addExamples, HELP } from './help.ts';

/** What the process gives; `cli.ts` is the only place that touches it. */
export type Process = Omit<BareContext, 'args' | 'path'> & {
  /** Whether standard error is a terminal: then the log is for people. */
  isErrorTerminal: boolean;
  /** Where log lines go. Default: the process's standard error. */
  logTo?: LogOptions['destination'];
};

type Run = (context: CommandContext) => Promise<number>;
type BareRun = (context: BareContext) => Promise<number>;

/** Options of every command. */
interface GlobalOptions {
  envFile?: string;
  tenant?: string;
  quiet: boolean;
}

/** How a command is run: with the settings, or without. */
interface Start {
  run(run: Run, options: GlobalOptions): Promise<void>;
  traced(run: Run, options: GlobalOptions): Promise<void>;
  bare(run: BareRun, options: GlobalOptions): Promise<void>;
}

/**
 * Parses the command line and runs what it asks for.
 *
 * @returns the exit code.
 */
export async function runProgram(argv: readonly string[], { out, ...rest }: Process): Promise<number> {
  const watched = watch(out);
  const process: Process = { ...rest, out: safe(watched.out) };
  const isForProgram = argv.includes('--json');
  let code: number = EXIT.done;
  const program = createProgram(process, {
    run: async (run, options) => {
      code = await run(await openContext(await openBare(argv, process, options), process, options));
    },
    traced: async (run, options) => {
      const bare = await openBare(argv, process, options);
      const traces = await openTraces(bare);
      try {
        code = await run(await openContext(bare, process, options, traces));
      } finally {
        await traces?.stop();
      }
    },
    bare: async (run, options) => {
      code = await run(await openBare(argv, process, options));
    },
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    const isRefused = (code === EXIT.usage || code === EXIT.failed) && !watched.hasWritten();
    const [message, ...others] = watched.said().toReversed();
    if (isForProgram && isRefused && message !== undefined)
      await tellProgram(process, 'INPUT_INVALID', message, others.toReversed());
    if (isForProgram && code === EXIT.declined && !watched.hasWritten())
      await tellProgram(process, 'DECLINED', 'the question was not answered with yes; nothing was done', []);
    return code;
  } catch (error) {
    // commander has put the same into words of its own.
    const lines = error instanceof CommanderError ? [] : watched.said();
    const exit = explain(error, process);
    if (isForProgram && exit !== EXIT.done && !process.stop.aborted) {
      const { message } = error as Error;
      await tellProgram(process, codeOf(error), printable(withoutSecrets(message)), lines);
    }
    return exit;
  }
}

/** So many things that are wrong are told a program one by one. */
const MOST_LINES = 1_000;

/** Keeps what is said to be wrong, and whether there was a result. */
function watch(out: Output) {
  const said: string[] = [];
  let hasWritten = false;
  const watching: Output = {
    ...out,
    write: (text) => {
      hasWritten = true;
      return out.write(text);
    },
    complain: (line) => {
      // The last one says what came of the others.
      if (said.length >= MOST_LINES) said.length = MOST_LINES - 1;
      said.push(line);
      out.complain(line);
    },
  };
  return { out: watching, said: () => [...said], hasWritten: () => hasWritten };
}

/** What went wrong, for whoever asked for JSON. `lines`: each thing that is wrong, where they were named one by one. */
function tellProgram(
  { out }: Process,
  code: string,
  message: string,
  lines: readonly string[],
): Promise<void> {
  return writeJson(out, { error: { code, message, ...(lines.length > 0 && { lines }) } });
}

function codeOf(error: unknown): string {
  if (error instanceof CommanderError) return 'USAGE';
  return error instanceof StanddownError ? error.code : 'INTERNAL';
}

/**
 * Lines on standard error quote settings and answers, so they pass the same filter as the log. Nothing that was written by others
 * reaches a terminal as an order to it; into a file or a pipe results go as they are.
 */
function safe(out: Output): Output {
  return {
    ...out,
    write: (text) => out.write(out.isTerminal ? printable(text) : text),
    note: (line) => out.note(printable(withoutSecrets(line))),
    complain: (line) => out.complain(printable(withoutSecrets(line))),
  };
}

function createProgram(process: Process, start: Start): Command {
  const program = new Command('standdown')
    .description(
      'Cancels Microsoft Defender for Endpoint machine actions in bulk, as fast as the API allows and never faster.',
    )
    .version(process.version)
    .option('--env-file <path>', 'read settings from this file; the environment goes first')
    .option('--tenant <label>', 'which tenant, of those in TENANTS_FILE; by default STANDDOWN_TENANT')
    .option('--quiet', 'say nothing on standard error but what is wrong', false)
    .exitOverride()
    .configureHelp(HELP)
    .configureOutput({
      writeOut: (text) => void process.out.write(text),
      writeErr: (text) => process.out.complain(text.trimEnd()),
      getOutHelpWidth: () => process.out.columns,
      getErrHelpWidth: () => process.out.columns,
    })
    .showHelpAfterError('(see --help)');

  const options = () => program.opts<GlobalOptions>();
  addCommands({
    program,
    go: (run) => start.run(run, options()),
    traced: (run) => start.traced(run, options()),
    bare: (run) => start.bare(run, options()),
    print: process.out.write,
  });
  addExamples(program);
  return program;
}

async function openBare(
  args: readonly string[],
  process: Process,
  { envFile, tenant, quiet }: GlobalOptions,
): Promise<BareContext> {
  // A shell's variable that is not set: meant was one tenant, not all of them.
  if (tenant === '') throw new StanddownError('USAGE', '--tenant: is empty; name one');
  const file = envFile === undefined ? {} : await readEnvFile(envFile);
  const env: Environment = {
    ...file,
    ...process.env,
    ...(tenant !== undefined && { STANDDOWN_TENANT: tenant }),
  };
  const out = quiet ? { ...process.out, note: () => undefined } : process.out;
  return { ...process, args, env, out, path: env['PATH'] ?? '' };
}

async function openContext(
  context: BareContext,
  { isErrorTerminal, logTo }: Process,
  { quiet }: GlobalOptions,
  traces: Traces | null = null,
): Promise<CommandContext> {
  const config = await chooseConfig(context.env);
  const level = quiet && !isSilent(config.logLevel) ? 'error' : config.logLevel;
  const log = await createLog({
    level,
    pretty: isErrorTerminal,
    ...(logTo && { destination: logTo }),
    ...(traces && { more: traces.ids }),
  });
  traces?.reportTo(log);
  for (const one of misspelt(context.env, SETTINGS)) log.warn(describeMisspelt(one));
  return { ...context, config, log, traces };
}

/** OpenTelemetry is loaded only where traces are wanted. */
async function openTraces({ env, version }: BareContext): Promise<Traces | null> {
  return wantsTraces(env) ? (await import('../telemetry/open.ts')).openTraces(env, version) : null;
}

/** Whether less is logged than errors. */
function isSilent(level: LogLevel): boolean {
  return level === 'fatal' || level === 'silent';
}

async function readEnvFile(path: string): Promise<Environment> {
  try {
    return parseEnv(await readFile(path, 'utf8')) as Environment;
  } catch (cause) {
    throw new StanddownError('CONFIG_INVALID', `--env-file ${path} cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Says what went wrong in words, and returns the exit code for it. */
function explain(error: unknown, process: Process): number {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (process.stop.aborted) return EXIT.failed;
  if (error instanceof StanddownError && error.code !== 'INTERNAL') {
    process.out.complain(`standdown: ${error.message}`);
    return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.failed;
  }
  process.out.complain(
    `standdown: a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  return EXIT.failed;
}

const USAGE_CODES: ReadonlySet<string> = new Set([
  'USAGE',
  'CONFIG_INVALID',
  'INPUT_INVALID',
  'CAMPAIGN_UNKNOWN',
  'CAMPAIGN_CLOSED',
]);
