import { Argument, type Command, Option } from 'commander';
import type { BareContext, CommandContext } from './context.ts';

/** What the commands are added to, and how a command is run. */
export interface Catalogue {
  program: Command;
  /** Runs a command with the settings. */
  go(run: (context: CommandContext) => Promise<number>): Promise<void>;
  /** Runs a command with the settings, and records it in traces where those are configured. */
  traced(run: (context: CommandContext) => Promise<number>): Promise<void>;
  /** Runs a command that also works with invalid settings. */
  bare(run: (context: BareContext) => Promise<number>): Promise<void>;
  /** Writes to standard output. */
  print(text: string): Promise<void>;
}

/** Each command is loaded only when it runs: the simulator and msal would cost a submit half a second. */
const load = {
  worker: () => import('./worker.ts'),
  console: () => import('./console.ts'),
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
  login: () => import('./login.ts'),
  completion: () => import('./completion.ts'),
  simulate: () => import('./simulate.ts'),
  demo: () => import('./demo.ts'),
};

/** Adds all commands, in the order in which an operator needs them. */
export function addCommands(catalogue: Catalogue): void {
  addWorker(catalogue);
  addChoosing(catalogue);
  addLooking(catalogue);
  addSteering(catalogue);
  addTools(catalogue);
  addSimulator(catalogue);
}

const yes = () => new Option('--yes', 'do not ask for confirmation').default(false);
const format = () =>
  new Option('--format <format>', 'output format (default: from the file name, otherwise jsonl)');
const bom = () => new Option('--bom', 'start CSV with a byte-order mark, for Excel').default(false);
const json = () => new Option('--json', 'print JSON').default(false);
const output = () => new Option('--output <file>', 'write to this file instead of standard output');

const add = ({ program }: Catalogue, usage: string, description: string) =>
  program.command(usage).description(description);

const WHERE = 'conditions, such as "type=Isolate and status=Pending and created>=-1h"';

function addWorker(to: Catalogue): void {
  add(to, 'worker', 'process queued cancels until stopped')
    .option('--verify', "when a campaign has finished, read each action's final status", false)
    .option('--console', 'also start the web console', false)
    .action((options) => to.traced(async (context) => (await load.worker()).runWorker(context, options)));

  add(to, 'console', 'start the web console')
    .option('--port <port>', 'port to listen on, 0 for any free port (default: CONSOLE_PORT, or 8089)')
    .option('--host <address>', 'address to listen on (default: CONSOLE_HOST, or 127.0.0.1)')
    .action((options) => to.go(async (context) => (await load.console()).runConsole(context, options)));
}

/** Which actions, and to which campaign. */
function addChoosing(to: Catalogue): void {
  const order = (when = '') =>
    new Option('--order <order>', `${when}order within each status (Pending first)`).choices([
      'oldest',
      'newest',
    ]);

  add(to, 'select', 'list the machine actions that match, in a form that submit accepts')
    .requiredOption('--where <conditions>', WHERE)
    .addOption(order().default('oldest'))
    .option('--limit <number>', 'at most N actions')
    .addOption(output())
    .option('--force', 'replace the file if it exists', false)
    .addOption(format().choices(['jsonl', 'csv']))
    .addOption(bom())
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.select()).runSelect(context, options)));

  add(to, 'submit', 'submit machine actions to be cancelled, from a file or with --where; there is no undo')
    .argument(
      '[file]',
      'machine action ids: one per line, CSV with a header, JSONL, or a response of the API (default: - for standard input)',
    )
    .requiredOption('--campaign <name>', 'campaign to submit to; created if it does not exist')
    .requiredOption('--comment <text>', "comment for each cancel, shown in Defender's action center")
    .option('--where <conditions>', `instead of a file: ${WHERE}`)
    .addOption(order('with --where: '))
    .option('--limit <number>', 'with --where: at most N actions')
    .option('--max <number>', 'refuse to submit more than N actions, also with --dry-run')
    .option('--id-column <name>', 'CSV column or JSON key that holds the ids')
    .option('--skip-invalid', 'skip invalid lines instead of submitting nothing', false)
    .option('--expect-type <types>', 'submit only actions of these types, such as Isolate,Unisolate')
    .option('--set-aside <file>', 'with --expect-type: write the actions of other types to this file')
    .option('--force', 'replace the --set-aside file if it exists', false)
    .option('--exclude <file>', 'do not submit the actions whose ids are in this file')
    .option('--priority <priority>', 'for a new campaign: 1 (first) to 9 (last) (default: 5)')
    .option('--urgent', 'for a new campaign: go first, and use calls reserved by URGENT_RESERVE', false)
    .option(
      '--expires-in <duration>',
      'for a new campaign: pending actions expire after this time, such as 4h',
    )
    .option('--dry-run', 'show what would be submitted, and submit nothing', false)
    .addOption(yes())
    .option('--wait', 'watch the campaign; exit code 3 unless every action was cancelled', false)
    .addOption(json())
    .action((file: string | undefined, options) =>
      to.traced(async (context) =>
        (await load.submit()).runSubmit(context, { ...options, ...(file !== undefined && { file }) }),
      ),
    );
}

/** Commands that change nothing, except that `verify` records the statuses that it reads. */
function addLooking(to: Catalogue): void {
  add(
    to,
    'status [campaign]',
    "show a campaign's progress; without a name, list all campaigns (same as list)",
  )
    .addOption(json())
    .action((campaign: string | undefined, options) =>
      to.go(async (context) =>
        (await load.status()).runStatus(context, { ...options, ...(campaign !== undefined && { campaign }) }),
      ),
    );

  add(to, 'report <campaign>', 'export the outcome of every action')
    .addOption(format().choices(['jsonl', 'csv', 'html']))
    .addOption(bom())
    .addOption(output())
    .option('--force', 'replace the file if it exists', false)
    .option('--json', 'the same as --format jsonl', false)
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.report()).runReport(context, { ...options, campaign })),
    );

  add(to, 'budget', 'show how much of the rate limit is used, and what blocks calls')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.budget()).runBudget(context, options)));

  add(to, 'list', 'list all campaigns (same as status without a name)')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.status()).runStatus(context, options)));

  add(to, 'history <campaign> [id]', 'show what was done to a campaign, or the calls for one action')
    .addOption(json())
    .action((campaign: string, id: string | undefined, options) =>
      to.go(async (context) =>
        (await load.history()).runHistory(context, { ...options, campaign, ...(id !== undefined && { id }) }),
      ),
    );

  add(to, 'verify <campaign>', 'read the current status of every finished action')
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.verify()).runVerify(context, { ...options, campaign })),
    );

  add(to, 'watch <campaign>', 'watch a campaign; exit code 3 unless every action was cancelled')
    .option('--json', 'print events as JSON lines', false)
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.watch()).runWatch(context, { ...options, campaign })),
    );
}

function addSteering(to: Catalogue): void {
  add(to, 'pause <campaign>', 'pause a campaign; calls in flight are finished')
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runSteer(context, 'pause', { ...options, campaign })),
    );

  add(to, 'resume <campaign>', 'resume a paused campaign')
    .option(
      '--accept-refusals',
      'do not pause the campaign again after refusals (403); otherwise one action is tried first',
      false,
    )
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runSteer(context, 'resume', { ...options, campaign })),
    );

  add(to, 'abort <campaign>', 'end a campaign; its pending actions are not cancelled')
    .addOption(yes())
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runAbort(context, { ...options, campaign })),
    );

  add(to, 'priority <campaign> <priority>', "change a campaign's priority: 1 (first) to 9 (last), or urgent")
    .addOption(json())
    .action((campaign: string, priority: string, options) =>
      to.go(async (context) => (await load.steer()).runPriority(context, { ...options, campaign, priority })),
    );

  add(to, 'delete <campaign>', 'delete a finished campaign and its outcomes')
    .option('--force', 'delete the campaign even if other campaigns follow its actions', false)
    .addOption(yes())
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runDelete(context, { ...options, campaign })),
    );

  add(to, 'retry <campaign>', 'queue actions with certain outcomes again')
    .requiredOption('--outcome <outcomes>', 'outcomes to retry, such as unresolved,forbidden')
    .addOption(json())
    .addOption(yes())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runRetry(context, { ...options, campaign })),
    );
}

function addTools(to: Catalogue): void {
  add(to, 'doctor', 'check settings, Redis, sign-in, permissions and the API; cancels nothing')
    .addOption(json())
    .action((options) => to.bare(async (context) => (await load.doctor()).runDoctor(context, options)));

  add(to, 'login', 'log in as a user with a code; workers then sign in as that user')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.login()).runLogin(context, options)));

  add(to, 'logout', 'log the user out')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.login()).runLogout(context, options)));

  add(to, 'completion', 'print a completion script for bash or zsh')
    .addArgument(new Argument('<shell>', 'shell').choices(['bash', 'zsh']))
    .action(async (shell: 'bash' | 'zsh') =>
      to.print((await load.completion()).completionScript(to.program, shell)),
    );
}

function addSimulator(to: Catalogue): void {
  add(to, 'simulate', 'run a simulator of the Defender API on this machine')
    .option('--port <port>', 'port of the simulated API, 0 for any free port', '0')
    .option('--actions <number>', 'number of machine actions', '1000')
    .option('--seed <number>', 'random seed of the machine actions', '1')
    .addOption(
      new Option('--mode <mode>', 'how the rate limits are counted')
        .choices(['sliding', 'fixed', 'token-bucket'])
        .default('sliding'),
    )
    .option('--limits <limits>', 'rate limits', '100/1m,1500/1h')
    .option('--ids <file>', 'write the ids of the machine actions to this file')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.simulate()).runSimulate(context, options)));

  add(to, 'demo', 'run a demo campaign against a simulator on this machine')
    .option('--real-time', 'use the real rate limits instead of shortened ones', false)
    .option('--actions <number>', 'number of machine actions', '250')
    .action((options) => to.go(async (context) => (await load.demo()).runDemo(context, options)));
}
