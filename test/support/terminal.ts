import { spawnSync } from 'node:child_process';
import { type Process, ROOT, type StartOptions, startProgram } from './processes.ts';

/** Why there is no terminal for tests on this machine; false: there is one. */
export const NO_TERMINAL: string | false =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
    ? false
    : 'no "script" of util-linux to make a terminal with';

/** What keys send. */
export const KEYS = { enter: '\r', ctrlC: '\x03', ctrlD: '\x04' } as const;

/**
 * Starts a command of Standdown on a terminal of its own: what is written to `stdin` is typed there, and `stdout` is all
 * that it shows, standard error included, unless that goes into a file. 24 rows of `columns` columns, 80 by default.
 */
export function startOnTerminal(
  args: readonly string[],
  { errorsTo, columns = 80, ...options }: StartOptions & { errorsTo?: string; columns?: number } = {},
): Process {
  const words = [process.execPath, `${ROOT}/src/cli.ts`, ...args].map(quoted).join(' ');
  const command = `stty rows 24 cols ${columns}; exec ${words}${errorsTo === undefined ? '' : ` 2> ${quoted(errorsTo)}`}`;
  return startProgram('script', ['-qec', command, '/dev/null'], options);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
