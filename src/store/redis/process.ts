import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * When a process started, as an opaque word of letters and digits; `undefined` when no such process runs. A pid alone
 * says little about a process that may have died: its number is given to another sooner or later.
 */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return startTimeFromProc(pid);
  try {
    const { stdout } = await run('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
    return startTimeFromPs(stdout);
  } catch {
    return undefined; // ps ends with 1 when there is no such process.
  }
}

/** Reads a line of `ps -o stat=,lstart=`; a zombie counts as gone, for it can do nothing any more. */
export function startTimeFromPs(line: string): string | undefined {
  const [state = '', ...started] = line.trim().split(/\s+/);
  if (state === '' || state.startsWith('Z')) return undefined;
  return started.join('').replaceAll(/\W/g, '');
}

async function startTimeFromProc(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in brackets, which may itself hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = '', started] = [fields[0], fields[19]];
  return ['', 'Z', 'X'].includes(state) ? undefined : started;
}
