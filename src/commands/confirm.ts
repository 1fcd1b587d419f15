import { createInterface } from 'node:readline/promises';
import { StanddownError } from '../errors.ts';
import type { CommandContext } from './context.ts';

/** The option of every command that asks. */
export interface Asking {
  /** Do not ask. */
  yes: boolean;
}

type Context = Pick<CommandContext, 'stdin' | 'stop'>;

/** Whether there is a person who sees a question and can answer it. */
export function canAsk({ stdin }: Pick<Context, 'stdin'>): boolean {
  return 'isTTY' in stdin && stdin.isTTY === true && process.stderr.isTTY === true;
}

/**
 * Asks a person before something that cannot be undone. Anything but a yes is a no: Enter, Ctrl-C, the end of input.
 *
 * @throws StanddownError USAGE where nobody can answer and `--yes` was not given.
 */
export async function confirm(context: Context, { yes }: Asking, question: string): Promise<boolean> {
  if (yes) return true;
  if (!canAsk(context)) {
    throw new StanddownError('USAGE', `${question} Nobody is there to answer: add --yes`);
  }
  const asking = createInterface({ input: context.stdin, output: process.stderr });
  const ended = new Promise<null>((resolve) => asking.once('close', () => resolve(null)));
  try {
    const answer = await Promise.race([
      asking.question(`${question} [y/N] `, { signal: context.stop }).catch(() => null),
      ended,
    ]);
    // What follows begins a line of its own.
    if (answer === null) process.stderr.write('\n');
    return answer !== null && /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}
