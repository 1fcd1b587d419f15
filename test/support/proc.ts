import { readdirSync, readFileSync } from 'node:fs';

/** The processes that a process has started itself. */
export function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => parentOf(pid) === parent);
}

/** Null: it has ended. */
function parentOf(pid: number): number | null {
  try {
    // What stands before, in brackets, is the program's name: it may be anything.
    const [, rest = ''] = /\) \S (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return Number(rest);
  } catch {
    return null;
  }
}

/** Its command line; empty: it has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
