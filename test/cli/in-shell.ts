import { type Ran, ROOT, startProgram } from '../support/processes.ts';

/** A shell line in which `standdown` stands for the command. */
export async function inShell(line: string): Promise<Ran> {
  const script = `standdown() { "${process.execPath}" src/cli.ts "$@"; }; ${line}`;
  const child = startProgram('bash', ['-c', script], { cwd: ROOT });
  child.stdin.end();
  return { code: await child.exited, stdout: child.stdout, stderr: child.stderr };
}
