import { createInterface } from 'node:readline/promises';
import { StanddownError } from '../errors.ts';
import type { CommandContext } from './context.ts';

/** The option of every command that asks. */
export interface Asking {
  /** Do not ask. */
  yes: boolean;
}

/**
 * Asks a person before something that cannot be undone. Anything but a yes is a no: Enter, Ctrl-C, the end of input.
 *
 * @throws StanddownError USAGE where nobody can answer and `--yes` was not given.
 */
export async function confirm(
  context: Pick<CommandContext, 'stdin' | 'stop'>,
  { yes }: Asking,
  question: string,
): Promise<boolean> {
  if (yes) return true;
  if (!('isTTY' in context.stdin) || context.stdin.isTTY !== true) {
    throw new StanddownError('USAGE', `${question} Nobody is there to answer: add --yes`);
  }
  const asking = createInterface({ input: context.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${question} [y/N] `, { signal: context.stop });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    asking.close();
  }
}
