import { type Command, Help, type HelpConfiguration, type Option } from 'commander';

/** Examples by command. Every command has at least one, and each line fits 80 columns. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  worker: ['standdown --env-file .env worker --verify'],
  console: ['standdown --env-file .env console', 'standdown --env-file .env console --port 0'],
  select: [
    'standdown select --where "type=Isolate and status=Pending and created>=-1h"',
    'standdown select --where requestor=anna@contoso.com --output wrong.csv',
  ],
  submit: [
    'standdown submit ids.csv --campaign undo --comment "Isolated by mistake"',
    'standdown submit --where "type=Isolate and created>=-1h" --max 500 \\\n    --campaign undo --comment "Isolated by mistake" --dry-run',
  ],
  status: ['standdown status', 'standdown status undo --json'],
  report: [
    'standdown report undo --output undo.html',
    'standdown report undo | jq -r "select(.outcome == null).machineActionId"',
  ],
  budget: ['standdown budget'],
  list: ['standdown list'],
  history: ['standdown history undo', 'standdown history undo 8ecf25d1-76f2-4080-a2a0-237761784bef'],
  verify: ['standdown verify undo'],
  watch: ['standdown watch undo'],
  pause: ['standdown pause undo'],
  resume: ['standdown resume undo'],
  abort: ['standdown abort undo --yes'],
  priority: ['standdown priority undo 1', 'standdown priority undo urgent'],
  delete: ['standdown delete undo'],
  retry: ['standdown retry undo --outcome unresolved,forbidden'],
  doctor: ['standdown --env-file .env doctor'],
  login: ['standdown --env-file .env login'],
  logout: ['standdown --env-file .env logout'],
  completion: ['source <(standdown completion bash)', 'standdown completion zsh > ~/.zfunc/_standdown'],
  simulate: ['standdown simulate --actions 250 --ids ids.txt > simulator.env'],
  demo: ['standdown demo --actions 100'],
};

/** Help that fits narrow terminals, and does not mention for each flag that it is off by default. */
export const HELP: HelpConfiguration = {
  minWidthToWrap: 20,
  showGlobalOptions: true,
  /** A command's arguments are in its own help. */
  subcommandTerm: (command) => command.name(),
  commandDescription(command: Command): string {
    const text = command.description();
    return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;
  },
  optionDescription(option: Option): string {
    if (option.isBoolean() && option.defaultValue === false) return option.description;
    return Help.prototype.optionDescription.call(this, option);
  },
};

/** Ends each command's help with examples of it, and the program's help with where to begin. */
export function addExamples(program: Command): void {
  for (const command of program.commands) {
    const examples = EXAMPLES[command.name()] ?? [];
    if (examples.length > 0) command.addHelpText('after', section(examples));
  }
  program.addHelpText('after', section(['standdown demo', 'standdown submit --help']));
}

/** What follows an error of usage: where to read how the command is used. */
export function helpHint(command: Command): string {
  const path = command.parent ? `${command.parent.name()} ${command.name()}` : command.name();
  return `See "${path} --help".`;
}

function section(examples: readonly string[]): string {
  const title = examples.length === 1 ? 'Example:' : 'Examples:';
  return `\n${title}\n${examples.map((example) => `  ${example}`).join('\n')}`;
}
