import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { Argument, Command, CommanderError, Option } from 'commander';
import { type Environment, readConfig } from '../config.ts';
import { messageOf, StanddownError } from '../errors.ts';
import { createLog, type LogLevel } from '../log.ts';
import { type BareContext, type CommandContext, EXIT } from './context.ts';
import { addExamples, HELP } from './help.ts';

/** What the process gives; `cli.ts` is the only place that touches it. */
export type Process = Omit<BareContext, 'args' | 'path'> & {
  /** Whether standard error is a terminal: then the log is for people. */
  isErrorTerminal: boolean;
};

type Run = (context: CommandContext) => Promise<number>;
type BareRun = (context: BareContext) => Promise<number>;

/** Options of every command. */
interface GlobalOptions {
  envFile?: string;
  quiet: boolean;
}

/** How a command is run: with the settings, or without. */
interface Start {
  run(run: Run, options: GlobalOptions): Promise<void>;
  bare(run: BareRun, options: GlobalOptions): Promise<void>;
}

/** Each command's parts are loaded when it is asked for: the simulator and msal would cost a submit half a second. */
const load = {
  worker: () => import('./worker.ts'),
  select: () => import('./select.ts'),
  submit: () => import('./submit.ts'),
  status: () => import('./status.ts'),
  report: () => import('./report.ts'),
  budget: () => import('./budget.ts'),
  steer: () => import('./steer.ts'),
  history: () => import('./history.ts'),
  watch: () => import('./watch.ts'),
  verify: () => import('./verify.ts'),
  doctor: () => import('./doctor.ts'),
  completion: () => import('./completion.ts'),
  simulate: () => import('./simulate.ts'),
  demo: () => import('./demo.ts'),
};

/**
 * Parses the command line and runs what it asks for.
 *
 * @returns the exit code.
 */
export async function runProgram(argv: readonly string[], process: Process): Promise<number> {
  let code: number = EXIT.done;
  const program = createProgram(process, {
    run: async (run, options) => {
      code = await run(await openContext(await openBare(argv, process, options), process, options));
    },
    bare: async (run, options) => {
      code = await run(await openBare(argv, process, options));
    },
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    return explain(error, process);
  }
}

function createProgram(process: Process, start: Start): Command {
  const program = new Command('standdown')
    .description(
      'Cancels Microsoft Defender for Endpoint machine actions in bulk, as fast as the API allows and never faster.',
    )
    .version(process.version)
    .option('--env-file <path>', 'read settings from this file; the environment goes first')
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

  const add = (usage: string, description: string) => program.command(usage).description(description);
  const go = (run: Run) => start.run(run, program.opts<GlobalOptions>());
  const yes = () => new Option('--yes', 'do not ask').default(false);
  const json = () => new Option('--json', 'print JSON for a program').default(false);

  add('worker', 'drain the lanes until stopped')
    .option('--verify', 'read what became of each action once a campaign is drained', false)
    .action((options) => go(async (context) => (await load.worker()).runWorker(context, options)));

  const order = () =>
    new Option('--order <order>', 'of those in one status; Pending goes before InProgress').choices([
      'oldest',
      'newest',
    ]);

  add('select', 'list machine actions, as submit takes them')
    .requiredOption('--where <conditions>', WHERE)
    .addOption(order().default('oldest'))
    .option('--limit <number>', 'the first so many')
    .option('--output <file>', 'write there instead of to standard output')
    .addOption(
      new Option('--format <format>', 'of the lines; by default as the file is called, else jsonl').choices([
        'jsonl',
        'csv',
      ]),
    )
    .addOption(json())
    .action((options) => go(async (context) => (await load.select()).runSelect(context, options)));

  add('submit', 'put the ids in a file, or the actions that match, into a campaign')
    .argument('[file]', 'one id per line, CSV with a header, or JSONL; - for standard input, the default')
    .requiredOption('--campaign <name>', 'the campaign; created unless it exists')
    .requiredOption('--comment <text>', "sent with every cancel and kept in Defender's action center")
    .option('--where <conditions>', `in place of a file: ${WHERE}`)
    .addOption(order())
    .option('--limit <number>', 'with --where: the first so many')
    .option('--skip-invalid', 'leave out bad lines instead of submitting nothing', false)
    .option('--expect-type <types>', 'set aside what is of another type, such as Isolate,Unisolate')
    .option('--exclude <file>', 'leave out the ids in this file')
    .option('--priority <priority>', 'of a new campaign, 1 (first) to 9 (last); 5 by default')
    .option('--expires-in <duration>', 'of a new campaign: what is not called by then ends as expired')
    .option('--dry-run', 'say what would happen, and submit nothing', false)
    .addOption(yes())
    .option('--wait', 'watch it to its end; exit code 3 unless all were stopped', false)
    .addOption(json())
    .action((file: string | undefined, options) =>
      go(async (context) =>
        (await load.submit()).runSubmit(context, { ...options, ...(file !== undefined && { file }) }),
      ),
    );

  add('status [campaign]', 'how far a campaign is, or all of them')
    .addOption(json())
    .action((campaign: string | undefined, options) =>
      go(async (context) =>
        (await load.status()).runStatus(context, { ...options, ...(campaign !== undefined && { campaign }) }),
      ),
    );

  add('report <campaign>', 'what became of each id')
    .addOption(
      new Option('--format <format>', 'of the lines').choices(['jsonl', 'csv', 'html']).default('jsonl'),
    )
    .option('--output <file>', 'write there instead of to standard output')
    .action((campaign: string, options) =>
      go(async (context) => (await load.report()).runReport(context, { ...options, campaign })),
    );

  add('budget', 'use of each window, the reserve, and why nothing is running')
    .addOption(json())
    .action((options) => go(async (context) => (await load.budget()).runBudget(context, options)));

  add('list', 'all campaigns')
    .addOption(json())
    .action((options) => go(async (context) => (await load.status()).runStatus(context, options)));

  for (const steering of ['pause', 'resume'] as const) {
    add(`${steering} <campaign>`, STEERING[steering])
      .addOption(json())
      .action((campaign: string, options) =>
        go(async (context) => (await load.steer()).runSteer(context, steering, { ...options, campaign })),
      );
  }

  add('abort <campaign>', 'end a campaign: what has not been called ends as withdrawn')
    .addOption(yes())
    .addOption(json())
    .action((campaign: string, options) =>
      go(async (context) => (await load.steer()).runAbort(context, { ...options, campaign })),
    );

  add('priority <campaign> <priority>', 'change which campaign goes first: 1 (first) to 9 (last)')
    .addOption(json())
    .action((campaign: string, priority: string, options) =>
      go(async (context) => (await load.steer()).runPriority(context, { ...options, campaign, priority })),
    );

  add('delete <campaign>', 'forget a campaign that has ended, with its outcomes')
    .addOption(yes())
    .addOption(json())
    .action((campaign: string, options) =>
      go(async (context) => (await load.steer()).runDelete(context, { ...options, campaign })),
    );

  add('history <campaign>', 'who submitted, paused, resumed, aborted or retried it, and when')
    .addOption(json())
    .action((campaign: string, options) =>
      go(async (context) => (await load.history()).runHistory(context, { ...options, campaign })),
    );

  add('verify <campaign>', 'read what became of each action that was called, and fill it in')
    .addOption(json())
    .action((campaign: string, options) =>
      go(async (context) => (await load.verify()).runVerify(context, { ...options, campaign })),
    );

  add('watch <campaign>', 'follow a campaign to its end; exit code 3 unless all were stopped')
    .option('--json', 'print events as JSON lines', false)
    .action((campaign: string, options) =>
      go(async (context) => (await load.watch()).runWatch(context, { ...options, campaign })),
    );

  add('retry <campaign>', 'open ids again that ended in a certain way')
    .requiredOption('--outcome <outcomes>', 'such as unresolved,forbidden')
    .addOption(json())
    .action((campaign: string, options) =>
      go(async (context) => (await load.steer()).runRetry(context, { ...options, campaign })),
    );

  add('doctor', 'check Redis, settings, sign-in, permissions and the API; nothing is cancelled')
    .addOption(json())
    .action((options) =>
      start.bare(
        async (context) => (await load.doctor()).runDoctor(context, options),
        program.opts<GlobalOptions>(),
      ),
    );

  add('completion', 'print a script that completes these commands in a shell')
    .addArgument(new Argument('<shell>', 'which one').choices(['bash', 'zsh']))
    .action(async (shell: 'bash' | 'zsh') =>
      process.out.write((await load.completion()).completionScript(program, shell)),
    );

  add('simulate', 'run the simulator of the Defender API alone, on this machine')
    .option('--port <port>', 'of the API; 0: any', '0')
    .option('--actions <number>', 'made-up machine actions to begin with', '1000')
    .option('--seed <number>', 'of what is made up', '1')
    .addOption(
      new Option('--mode <mode>', 'of its limits')
        .choices(['sliding', 'fixed', 'token-bucket'])
        .default('sliding'),
    )
    .option('--limits <limits>', 'its limits', '100/1m,1500/1h')
    .option('--ids <file>', 'write the ids of its actions there')
    .addOption(json())
    .action((options) => go(async (context) => (await load.simulate()).runSimulate(context, options)));

  add('demo', 'a whole campaign against the simulator, on this machine')
    .option('--real-time', 'do not shorten the windows', false)
    .option('--actions <number>', 'how many machine actions', '250')
    .action((options) => go(async (context) => (await load.demo()).runDemo(context, options)));

  addExamples(program);
  return program;
}

const WHERE = 'such as "type=Isolate and status=Pending and created>=-1h"';

const STEERING = {
  pause: 'stop calling for a campaign; what is being called is finished',
  resume: 'go on with a paused campaign',
} as const;

async function openBare(
  args: readonly string[],
  process: Process,
  { envFile, quiet }: GlobalOptions,
): Promise<BareContext> {
  const env = envFile === undefined ? process.env : { ...(await readEnvFile(envFile)), ...process.env };
  const out = quiet ? { ...process.out, note: () => undefined } : process.out;
  return { ...process, args, env, out, path: env['PATH'] ?? '' };
}

async function openContext(
  context: BareContext,
  { isErrorTerminal }: Process,
  { quiet }: GlobalOptions,
): Promise<CommandContext> {
  const config = readConfig(context.env);
  const level = quiet && !isSilent(config.logLevel) ? 'error' : config.logLevel;
  const log = await createLog({ level, pretty: isErrorTerminal });
  return { ...context, config, log };
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
