import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { StanddownError } from '../base/errors.ts';
import { printable } from '../base/foreign.ts';
import type { CommandContext } from './context.ts';
import { wrapLines } from './wrap.ts';

/** The option of every command that asks. */
export interface Asking {
  /** Do not ask. */
  yes: boolean;
}

type Context = Pick<CommandContext, 'stdin' | 'stop'>;

interface Terminal {
  input: Readable;
  output: Writable;
  stop: AbortSignal;
}

/** Whether a person types what is read. */
export function isPersonAt({ stdin }: Pick<Context, 'stdin'>): boolean {
  return 'isTTY' in stdin && stdin.isTTY === true;
}

/** Whether there is a person who sees a question and can answer it. */
export function canAsk(context: Pick<Context, 'stdin'>): boolean {
  return isPersonAt(context) && process.stderr.isTTY === true;
}

/**
 * Asks a person before something that cannot be undone. Anything but a yes is a no: Enter, Ctrl-C, the end of input.
 *
 * @param doing what is refused where no answer can be given, such as `abort campaign "a" in tenant contoso`.
 * @throws StanddownError REFUSED where no answer can be given and `--yes` was not.
 */
export async function confirm(
  context: Context,
  { yes }: Asking,
  doing: string,
  question: string,
): Promise<boolean> {
  if (yes) return true;
  if (!canAsk(context)) throw new StanddownError('REFUSED', unconfirmed(doing));
  return ask({ input: context.stdin, output: process.stderr, stop: context.stop }, question);
}

/** Why something is not done where a person cannot be asked. */
export function unconfirmed(doing: string): string {
  return `Refusing to ${doing} without confirmation (not a terminal). Run again with --yes.`;
}

/** Room is left for the answer. */
function columnsOf(output: Writable): number {
  return 'columns' in output && typeof output.columns === 'number'
    ? output.columns - 8
    : Number.POSITIVE_INFINITY;
}

/** Whether the answer that is typed into `input` is a yes. */
export async function ask({ input, output, stop }: Terminal, question: string): Promise<boolean> {
  const asking = createInterface({ input, output });
  const ended = new Promise<null>((resolve) => asking.once('close', () => resolve(null)));
  try {
    const answer = await Promise.race([
      asking
        .question(`${wrapLines([printable(question)], columnsOf(output))} [y/N] `, { signal: stop })
        .catch(() => null),
      ended,
    ]);
    // What follows begins a line of its own.
    if (answer === null) output.write('\n');
    return answer !== null && /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}
