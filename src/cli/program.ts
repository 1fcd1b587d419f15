import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { Command, CommanderError } from 'commander';
import { messageOf, StanddownError } from '../base/errors.ts';
import { printable } from '../base/foreign.ts';
import { createLog, type LogLevel, type LogOptions } from '../base/log.ts';
import { describeMisspelt, misspelt } from '../base/misspelt.ts';
import { withoutSecrets } from '../base/secret.ts';
import { type Environment, SETTINGS } from '../config/config.ts';
import { chooseConfig } from '../config/tenants-file.ts';
import { exposureOfFile } from '../defender/credential-file.ts';
import type { Traces } from '../ops/traces/open.ts';
import { wantsTraces } from '../ops/traces/settings.ts';
import { addCommands } from './catalogue.ts';
import { type BareContext, type CommandContext, EXIT, type Output, writeJson } from './context.ts';
import { addExamples, HELP, helpHint } from './help.ts';
import { wrapLines } from './wrap.ts';

/** What the process provides; only `main.ts` touches the process itself. */
export type Process = Omit<BareContext, 'args' | 'path' | 'envFile'> & {
  /** Whether standard error is a terminal: then the log is for people. */
  isErrorTerminal: boolean;
  /** Where log lines go. Default: the process's standard error. */
  logTo?: LogOptions['destination'];
};

type Run = (context: CommandContext) => Promise<number>;
type BareRun = (context: BareContext) => Promise<number>;

/** Options that every command accepts. */
interface GlobalOptions {
  envFile?: string;
  tenant?: string;
  quiet: boolean;
}

/** How a command is run: with settings, also with traces, or without settings. */
interface Start {
  run(run: Run, options: GlobalOptions): Promise<void>;
  traced(run: Run, options: GlobalOptions): Promise<void>;
  bare(run: BareRun, options: GlobalOptions): Promise<void>;
}

/**
 * Parses the command line and runs the command.
 *
 * @returns the exit code.
 */
export async function runProgram(argv: readonly string[], { out, ...rest }: Process): Promise<number> {
  const watched = watch(out);
  const process: Process = { ...rest, out: safe(watched.out, rest.isErrorTerminal) };
  const isForProgram = argv.includes('--json');
  let code: number = EXIT.done;
  const program = createProgram(process, isForProgram, {
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
  let command = program;
  program.hook('preAction', (_, running) => {
    command = running;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    const isRefused = (code === EXIT.usage || code === EXIT.failed) && !watched.hasWritten();
    const [message, ...others] = watched.said().toReversed();
    if (isForProgram && isRefused && message !== undefined)
      await tellProgram(process, 'INPUT_INVALID', message, others.toReversed());
    if (isForProgram && code === EXIT.declined && !watched.hasWritten())
      await tellProgram(process, 'DECLINED', 'not confirmed; nothing was changed', []);
    return code;
  } catch (error) {
    // commander's own errors have no lines besides the message.
    const lines = error instanceof CommanderError ? [] : watched.said();
    const exit = explain(error, process, isForProgram ? null : helpHint(command));
    if (isForProgram && exit !== EXIT.done && !process.stop.aborted) {
      const message = (error as Error).message.replace(COMMANDER_PREFIX, '');
      await tellProgram(process, codeOf(error), printable(withoutSecrets(message)), lines);
    }
    return exit;
  }
}

/** How commander begins its errors; ours begin with the program's name. */
const COMMANDER_PREFIX = /^error: /;

/** Most lines in a JSON error. */
const MOST_LINES = 1_000;

/** Keeps the lines that report errors, and whether a result was written. */
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
      // The last line sums up the others.
      if (said.length >= MOST_LINES) said.length = MOST_LINES - 1;
      said.push(line);
      out.complain(line);
    },
  };
  return { out: watching, said: () => [...said], hasWritten: () => hasWritten };
}

/** Writes the error as JSON. `lines`: each single mistake, where they were listed one by one. */
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
 * Lines on standard error quote settings and answers, so they pass the same filter as the log. No text from outside reaches a
 * terminal as a control sequence; files and pipes get results unchanged.
 */
function safe(out: Output, isErrorTerminal: boolean): Output {
  const shown = (text: string) => {
    const clean = printable(withoutSecrets(text));
    // A caret points at a place in the line above it.
    return isErrorTerminal && !/^ *\^/m.test(clean) ? wrapLines(clean.split('\n'), out.columns) : clean;
  };
  return {
    ...out,
    write: (text) => out.write(out.isTerminal ? printable(text) : text),
    note: (line) => out.note(shown(line)),
    complain: (line) => out.complain(shown(line)),
  };
}

function createProgram(process: Process, isForProgram: boolean, start: Start): Command {
  const program = new Command('standdown')
    .description(
      "Cancels Microsoft Defender for Endpoint machine actions in bulk, as fast as the API's rate limits allow.",
    )
    .version(process.version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .option('--env-file <path>', 'read settings from this file; environment variables take precedence')
    .option('--tenant <label>', 'tenant to work on, of those in TENANTS_FILE (default: STANDDOWN_TENANT)')
    .option('--quiet', 'write only errors to standard error', false)
    .exitOverride()
    .configureHelp(HELP)
    .configureOutput({
      writeOut: (text) => void process.out.write(text),
      writeErr: (text) => process.out.complain(text.trimEnd()),
      outputError: (text, write) => write(text.replace(COMMANDER_PREFIX, 'standdown: ')),
      getOutHelpWidth: () => process.out.columns,
      getErrHelpWidth: () => process.out.columns,
    });

  const options = () => program.opts<GlobalOptions>();
  addCommands({
    program,
    go: (run) => start.run(run, options()),
    traced: (run) => start.traced(run, options()),
    bare: (run) => start.bare(run, options()),
    print: process.out.write,
  });
  addExamples(program);
  if (!isForProgram)
    for (const command of [program, ...program.commands]) command.showHelpAfterError(helpHint(command));
  return program;
}

async function openBare(
  args: readonly string[],
  process: Process,
  { envFile, tenant, quiet }: GlobalOptions,
): Promise<BareContext> {
  // A shell variable that is not set: one tenant was meant, not all of them.
  if (tenant === '') throw new StanddownError('USAGE', '--tenant is empty: give the label of a tenant');
  const file = envFile === undefined ? {} : await readEnvFile(envFile);
  const env: Environment = {
    ...file,
    ...process.env,
    ...(tenant !== undefined && { STANDDOWN_TENANT: tenant }),
  };
  const out = quiet ? { ...process.out, note: () => undefined } : process.out;
  return { ...process, args, env, envFile: envFile ?? null, out, path: env['PATH'] ?? '' };
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
  const exposed = context.envFile === null ? null : await exposureOfFile(context.envFile, 'the settings');
  if (exposed) log.warn(`${exposed.finding}; run ${exposed.advice}`);
  for (const one of misspelt(context.env, SETTINGS)) log.warn(describeMisspelt(one));
  return { ...context, config, log, traces };
}

/** Loads OpenTelemetry only where traces are configured. */
async function openTraces({ env, version }: BareContext): Promise<Traces | null> {
  return wantsTraces(env) ? (await import('../ops/traces/open.ts')).openTraces(env, version) : null;
}

/** Whether even errors are not logged. */
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

/** Reports an error to a person, and returns its exit code. */
function explain(error: unknown, process: Process, hint: string | null): number {
  // commander has reported it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (process.stop.aborted) return EXIT.failed;
  if (error instanceof StanddownError && error.code !== 'INTERNAL') {
    process.out.complain(`standdown: ${error.message}`);
    if (hint !== null && error.code === 'USAGE') process.out.complain(hint);
    return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.failed;
  }
  process.out.complain(
    `standdown: internal error, a bug in Standdown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  return EXIT.failed;
}

/** What the person who runs the command can put right: another exit code. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'USAGE',
  'REFUSED',
  'CONFIG_INVALID',
  'INPUT_INVALID',
  'CAMPAIGN_UNKNOWN',
  'CAMPAIGN_CLOSED',
]);
