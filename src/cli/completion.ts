import type { Argument, Command, Option } from 'commander';

export type Shell = 'bash' | 'zsh';

/** A script that completes commands, options and their values, made from the commands themselves. */
export function completionScript(program: Command, shell: Shell): string {
  return shell === 'bash' ? bashScript(program) : zshScript(program);
}

/** The possible values: a choice, the name of a file, or anything. */
type Values = readonly string[] | 'file' | 'any';

function valuesOf({ argChoices }: Option | Argument, name: string): Values {
  if (argChoices) return argChoices;
  return /^(file|path)$/.test(name) ? 'file' : 'any';
}

interface Flag {
  names: string[];
  description: string;
  /** Null: no value. */
  values: Values | null;
}

/** A command's options: its own, its help, and those that every command accepts. */
function flagsOf(command: Command): Flag[] {
  const own = command.createHelp().visibleOptions(command);
  const shared = command.parent?.options.filter((option) => option.long !== '--version') ?? [];
  return [...own, ...shared].map((option) => ({
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: option.description,
    values: option.required || option.optional ? valuesOf(option, valueNameOf(option)) : null,
  }));
}

/** The text in the angle brackets. */
function valueNameOf(option: Option): string {
  return /[<[]([\w-]+)/.exec(option.flags)?.[1] ?? '';
}

function argumentsOf(command: Command): Values[] {
  return command.registeredArguments.map((argument) => valuesOf(argument, argument.name()));
}

function bashScript(program: Command): string {
  const takers = flagsOf(program).filter(({ values }) => values !== null);
  const commands = program.commands.map((command) => bashCase(command)).join('\n');
  return `# bash completion for standdown: source <(standdown completion bash)
_standdown() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" command='' word=1
  local options='${bashWords(program)}' values=''
  COMPREPLY=()
  # The command is the first word that is neither a global option nor the value of one.
  while ((word < COMP_CWORD)); do
    case "\${COMP_WORDS[word]}" in
      ${takers.flatMap(({ names }) => names).join(' | ')}) ((word++)) ;;
      -*) ;;
      *)
        command="\${COMP_WORDS[word]}"
        break
        ;;
    esac
    ((word++))
  done
  if [[ -z $command ]]; then
    case "$previous" in
${bashValues(program, 6)}
      *) values='${program.commands.map((command) => command.name()).join(' ')}' ;;
    esac
  fi
  case "$command" in
${commands}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ $values == '<file>' ]]; then
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$values" -- "$current"))
  fi
}
complete -F _standdown standdown
`;
}

function bashCase(command: Command): string {
  const [first] = argumentsOf(command);
  const argument = first === undefined ? '' : bashValue(first);
  return `    ${command.name()})
      options='${bashWords(command)}'
      case "$previous" in
${bashValues(command, 8)}
        *) values='${argument}' ;;
      esac
      ;;`;
}

function bashWords(command: Command): string {
  return flagsOf(command)
    .flatMap(({ names }) => names)
    .join(' ');
}

/** A line for each option that takes a value. */
function bashValues(command: Command, indent: number): string {
  return flagsOf(command)
    .flatMap(({ names, values }) => (values === null ? [] : [{ names, values }]))
    .map(({ names, values }) => `${' '.repeat(indent)}${names.join(' | ')}) values='${bashValue(values)}' ;;`)
    .join('\n');
}

function bashValue(values: Values): string {
  if (values === 'any') return '';
  return values === 'file' ? '<file>' : values.join(' ');
}

function zshScript(program: Command): string {
  const commands = program.commands.map(
    (command) => `        ${zshQuoted(`${zshName(command.name())}:${command.description()}`)}`,
  );
  const cases = program.commands.map(
    (command) => `        ${command.name()})
          _arguments -s ${[...zshFlags(command), ...zshArguments(command)].join(' \\\n            ')}
          ;;`,
  );
  return `#compdef standdown
# zsh completion for standdown: source <(standdown completion zsh), or save it as _standdown in a folder of $fpath
_standdown() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C -s ${zshFlags(program).join(' \\\n    ')} \\
    '1:command:->command' \\
    '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${commands.join('\n')}
      )
      _describe command commands
      ;;
    argument)
      case $line[1] in
${cases.join('\n')}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _standdown ]]; then
  _standdown "$@"
else
  compdef _standdown standdown
fi
`;
}

function zshFlags(command: Command): string[] {
  return flagsOf(command).flatMap(({ names, description, values }) =>
    names.map((name) => {
      const others = names.length > 1 ? `(${names.join(' ')})` : '';
      const value = values === null ? '' : `:value:${zshAction(values)}`;
      return zshQuoted(`${others}${name}[${zshText(description)}]${value}`);
    }),
  );
}

function zshArguments(command: Command): string[] {
  return command.registeredArguments.map((argument, index) => {
    const values = argumentsOf(command)[index] ?? 'any';
    return zshQuoted(`${index + 1}:${argument.name()}:${zshAction(values)}`);
  });
}

function zshAction(values: Values): string {
  if (values === 'any') return ' ';
  return values === 'file' ? '_files' : `(${values.join(' ')})`;
}

/** A colon ends a name; a bracket ends a description. */
function zshName(name: string): string {
  return name.replaceAll(':', '\\:');
}

function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&');
}

function zshQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
