import { Argument, type Command, Option } from 'commander';
import type { BareContext, CommandContext } from './context.ts';

/** What the commands are added to, and how one is run. */
export interface Catalogue {
  program: Command;
  /** Runs a command with the settings. */
  go(run: (context: CommandContext) => Promise<number>): Promise<void>;
  /** The same, of one that has its part in traces, where they are wanted. */
  traced(run: (context: CommandContext) => Promise<number>): Promise<void>;
  /** Runs one that does without right settings. */
  bare(run: (context: BareContext) => Promise<number>): Promise<void>;
  /** Writes to standard output. */
  print(text: string): Promise<void>;
}

/** Each command's parts are loaded when it is asked for: the simulator and msal would cost a submit half a second. */
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

/** Adds all commands, in the order in which one meets them. */
export function addCommands(catalogue: Catalogue): void {
  addWorker(catalogue);
  addChoosing(catalogue);
  addLooking(catalogue);
  addSteering(catalogue);
  addTools(catalogue);
  addSimulator(catalogue);
}

const yes = () => new Option('--yes', 'do not ask').default(false);
const format = () =>
  new Option('--format <format>', 'of the lines; by default as the file is called, else jsonl');
const bom = () => new Option('--bom', 'CSV only: begin with a byte-order mark, for Excel').default(false);
const json = () => new Option('--json', 'print JSON for a program').default(false);

const add = ({ program }: Catalogue, usage: string, description: string) =>
  program.command(usage).description(description);

const WHERE = 'such as "type=Isolate and status=Pending and created>=-1h"';

function addWorker(to: Catalogue): void {
  add(to, 'worker', 'drain the lanes until stopped')
    .option('--verify', 'read what became of each action once a campaign is drained', false)
    .option('--console', 'serve the console, too', false)
    .action((options) => to.traced(async (context) => (await load.worker()).runWorker(context, options)));

  add(to, 'console', 'serve pages that show how all campaigns are, and steer them')
    .option('--port <port>', '0: any free one; by default CONSOLE_PORT, or 8089')
    .option('--host <address>', 'on which it listens; by default CONSOLE_HOST, or 127.0.0.1')
    .action((options) => to.go(async (context) => (await load.console()).runConsole(context, options)));
}

/** Which ids, and into which campaign. */
function addChoosing(to: Catalogue): void {
  const order = () =>
    new Option('--order <order>', 'of those in one status; Pending goes before InProgress').choices([
      'oldest',
      'newest',
    ]);

  add(to, 'select', 'list machine actions, as submit takes them')
    .requiredOption('--where <conditions>', WHERE)
    .addOption(order().default('oldest'))
    .option('--limit <number>', 'the first so many')
    .option('--output <file>', 'write there instead of to standard output')
    .option('--force', 'replace that file if it is there', false)
    .addOption(format().choices(['jsonl', 'csv']))
    .addOption(bom())
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.select()).runSelect(context, options)));

  add(to, 'submit', 'put the ids in a file, or the actions that match, into a campaign')
    .argument(
      '[file]',
      'ids, CSV with a header, JSONL or an answer of the API; - for standard input, the default',
    )
    .requiredOption('--campaign <name>', 'the campaign; created unless it exists')
    .requiredOption('--comment <text>', "sent with every cancel and kept in Defender's action center")
    .option('--where <conditions>', `in place of a file: ${WHERE}`)
    .addOption(order())
    .option('--limit <number>', 'with --where: the first so many')
    .option('--id-column <name>', 'which CSV column or JSON key holds the ids')
    .option('--skip-invalid', 'leave out bad lines instead of submitting nothing', false)
    .option('--expect-type <types>', 'set aside what is of another type, such as Isolate,Unisolate')
    .option('--set-aside <file>', 'with --expect-type: write there what is of another type')
    .option('--force', 'replace that file if it is there', false)
    .option('--exclude <file>', 'leave out the ids in this file')
    .option('--priority <priority>', 'of a new campaign, 1 (first) to 9 (last); 5 by default')
    .option('--urgent', 'before all others, also with what URGENT_RESERVE keeps', false)
    .option('--expires-in <duration>', 'of a new campaign: what is not called by then ends as expired')
    .option('--dry-run', 'say what would happen, and submit nothing', false)
    .addOption(yes())
    .option('--wait', 'watch it to its end; exit code 3 unless all were stopped', false)
    .addOption(json())
    .action((file: string | undefined, options) =>
      to.traced(async (context) =>
        (await load.submit()).runSubmit(context, { ...options, ...(file !== undefined && { file }) }),
      ),
    );
}

/** How it stands; nothing is changed but what `verify` fills in. */
function addLooking(to: Catalogue): void {
  add(to, 'status [campaign]', 'how far a campaign is, or all of them')
    .addOption(json())
    .action((campaign: string | undefined, options) =>
      to.go(async (context) =>
        (await load.status()).runStatus(context, { ...options, ...(campaign !== undefined && { campaign }) }),
      ),
    );

  add(to, 'report <campaign>', 'what became of each id')
    .addOption(format().choices(['jsonl', 'csv', 'html']))
    .addOption(bom())
    .option('--output <file>', 'write there instead of to standard output')
    .option('--force', 'replace that file if it is there', false)
    .option('--json', 'the same as --format jsonl', false)
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.report()).runReport(context, { ...options, campaign })),
    );

  add(to, 'budget', 'use of each window, the reserve, and why nothing is running')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.budget()).runBudget(context, options)));

  add(to, 'list', 'all campaigns')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.status()).runStatus(context, options)));

  add(to, 'history <campaign> [id]', 'who did what to it, and when; or of one id what its calls came to')
    .addOption(json())
    .action((campaign: string, id: string | undefined, options) =>
      to.go(async (context) =>
        (await load.history()).runHistory(context, { ...options, campaign, ...(id !== undefined && { id }) }),
      ),
    );

  add(to, 'verify <campaign>', 'read what became of each action that was called, and fill it in')
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.verify()).runVerify(context, { ...options, campaign })),
    );

  add(to, 'watch <campaign>', 'follow a campaign to its end; exit code 3 unless all were stopped')
    .option('--json', 'print events as JSON lines', false)
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.watch()).runWatch(context, { ...options, campaign })),
    );
}

function addSteering(to: Catalogue): void {
  add(to, 'pause <campaign>', 'stop calling for a campaign; what is being called is finished')
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runSteer(context, 'pause', { ...options, campaign })),
    );

  add(to, 'resume <campaign>', 'go on with a paused campaign')
    .option(
      '--accept-refusals',
      'never pause it again because of refusals; otherwise one action goes first',
      false,
    )
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runSteer(context, 'resume', { ...options, campaign })),
    );

  add(to, 'abort <campaign>', 'end a campaign: what has not been called ends as withdrawn')
    .addOption(yes())
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runAbort(context, { ...options, campaign })),
    );

  add(
    to,
    'priority <campaign> <priority>',
    'change which campaign goes first: 1 (first) to 9 (last), or urgent',
  )
    .addOption(json())
    .action((campaign: string, priority: string, options) =>
      to.go(async (context) => (await load.steer()).runPriority(context, { ...options, campaign, priority })),
    );

  add(to, 'delete <campaign>', 'forget a campaign that has ended, with its outcomes')
    .option('--force', 'also if another campaign follows ids of it', false)
    .addOption(yes())
    .addOption(json())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runDelete(context, { ...options, campaign })),
    );

  add(to, 'retry <campaign>', 'open ids again that ended in a certain way')
    .requiredOption('--outcome <outcomes>', 'such as unresolved,forbidden')
    .addOption(json())
    .addOption(yes())
    .action((campaign: string, options) =>
      to.go(async (context) => (await load.steer()).runRetry(context, { ...options, campaign })),
    );
}

function addTools(to: Catalogue): void {
  add(to, 'doctor', 'check Redis, settings, sign-in, permissions and the API; nothing is cancelled')
    .addOption(json())
    .action((options) => to.bare(async (context) => (await load.doctor()).runDoctor(context, options)));

  add(to, 'login', 'let a user log in with a code; workers then sign in with that (AZURE_LOGIN)')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.login()).runLogin(context, options)));

  add(to, 'logout', 'forget who is logged in')
    .addOption(json())
    .action((options) => to.go(async (context) => (await load.login()).runLogout(context, options)));

  add(to, 'completion', 'print a script that completes these commands in a shell')
    .addArgument(new Argument('<shell>', 'which one').choices(['bash', 'zsh']))
    .action(async (shell: 'bash' | 'zsh') =>
      to.print((await load.completion()).completionScript(to.program, shell)),
    );
}

function addSimulator(to: Catalogue): void {
  add(to, 'simulate', 'run the simulator of the Defender API alone, on this machine')
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
    .action((options) => to.go(async (context) => (await load.simulate()).runSimulate(context, options)));

  add(to, 'demo', 'a whole campaign against the simulator, on this machine')
    .option('--real-time', 'do not shorten the windows', false)
    .option('--actions <number>', 'how many machine actions', '250')
    .action((options) => to.go(async (context) => (await load.demo()).runDemo(context, options)));
}
