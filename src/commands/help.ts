import { type Command, Help, type HelpConfiguration, type Option } from 'commander';

/** What somebody would type, by command. Every command has one. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  worker: ['standdown --env-file .env worker --verify'],
  select: [
    'standdown select --where "type=Isolate and status=Pending and created>=-1h"',
    'standdown select --where "requestor=anna@contoso.com" --order newest --output wrong.csv',
  ],
  submit: [
    'standdown submit ids.csv --campaign undo-isolation --comment "Isolated by mistake, ticket 4711"',
    'standdown submit --where "type=Isolate and created>=-1h" --campaign undo --comment "By mistake" --dry-run',
  ],
  status: ['standdown status', 'standdown status undo-isolation --json'],
  report: [
    'standdown report undo-isolation --format html --output undo-isolation.html',
    'standdown report undo-isolation | jq -r "select(.outcome == null).machineActionId"',
  ],
  budget: ['standdown budget'],
  list: ['standdown list'],
  pause: ['standdown pause undo-isolation'],
  resume: ['standdown resume undo-isolation'],
  abort: ['standdown abort undo-isolation --yes'],
  priority: ['standdown priority undo-isolation 1', 'standdown priority undo-isolation urgent'],
  delete: ['standdown delete undo-isolation'],
  history: [
    'standdown history undo-isolation',
    'standdown history undo-isolation 8ecf25d1-76f2-4080-a2a0-237761784bef',
  ],
  verify: ['standdown verify undo-isolation'],
  watch: ['standdown watch undo-isolation'],
  retry: ['standdown retry undo-isolation --outcome unresolved,forbidden'],
  doctor: ['standdown --env-file .env doctor'],
  console: ['standdown --env-file .env console', 'standdown --env-file .env console --port 0'],
  login: ['standdown --env-file .env login'],
  logout: ['standdown --env-file .env logout'],
  completion: ['source <(standdown completion bash)', 'standdown completion zsh > ~/.zfunc/_standdown'],
  simulate: ['standdown simulate --actions 250 --ids ids.txt > simulator.env'],
  demo: ['standdown demo --actions 100'],
};

/** Help that fits narrow terminals, and does not say of each flag that it is off by default. */
export const HELP: HelpConfiguration = {
  minWidthToWrap: 20,
  /** What a command takes is in its own help. */
  subcommandTerm: (command) => command.name(),
  optionDescription(option: Option): string {
    if (option.isBoolean() && option.defaultValue === false) return option.description;
    return Help.prototype.optionDescription.call(this, option);
  },
};

/** Ends each command's help with examples of it, and the program's with where to begin. */
export function addExamples(program: Command): void {
  for (const command of program.commands) {
    const examples = EXAMPLES[command.name()] ?? [];
    if (examples.length > 0) command.addHelpText('after', section(examples));
  }
  program.addHelpText('after', section(['standdown demo', 'standdown submit --help']));
}

function section(examples: readonly string[]): string {
  const title = examples.length === 1 ? 'Example:' : 'Examples:';
  return `\n${title}\n${examples.map((example) => `  ${example}`).join('\n')}`;
}
