import type { ReadingHooks } from '../app/reader.ts';
import { StanddownError } from '../base/errors.ts';
import { count, plural } from '../base/words/number.ts';
import type { Reader } from '../defender/reader.ts';
import { toFilter, withoutEnded } from '../files/select/filter.ts';
import { type Order, type Selection, selectActions } from '../files/select/selection.ts';
import { parseWhere, strangeValues, type Where } from '../files/select/where.ts';
import { describeReadWait } from '../files/words/blocked.ts';
import type { CommandContext } from './context.ts';

type Context = Pick<CommandContext, 'out' | 'stop'>;

/**
 * Says on standard error what reading waits for.
 *
 * @param patienceMs a longer wait is not waited. Default: any is.
 */
export function readingHooks({ out, stop }: Context, patienceMs = Number.POSITIVE_INFINITY): ReadingHooks {
  return {
    signal: stop,
    onWait: (wait) => {
      const words = describeReadWait(wait, Date.now());
      if (wait.until - Date.now() > patienceMs) throw new StanddownError('UPSTREAM_FAILED', words);
      out.note(words);
    },
  };
}

/** The options of commands that select. */
export interface Selecting {
  where: Where;
  order: Order;
  limit: number;
}

/** @throws StanddownError USAGE */
export function readSelecting(
  context: Context,
  options: { where: string; order?: Order; limit?: string },
): Selecting {
  const where = parseWhere(options.where, Date.now());
  // Said before anything is connected to.
  toFilter(withoutEnded(where));
  for (const words of strangeValues(where)) context.out.note(`Note: ${words}`);
  return { where, order: options.order ?? 'oldest', limit: readLimit(options.limit) };
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new StanddownError('USAGE', `--limit: ${JSON.stringify(text)} is not a whole number above zero`);
}

/** Selects, and says on standard error how it goes. */
export async function select(context: Context, reader: Reader, selecting: Selecting): Promise<Selection> {
  const { out } = context;
  let pages = 0;
  const selection = await selectActions(reader, selecting.where, {
    ...selecting,
    onProgress: (selected) => {
      if (++pages > 1) out.note(`${count(selected)} actions found so far`);
    },
  });
  const { strangers, left } = selection;
  if (strangers > 0)
    out.note(
      `${plural(strangers, 'listed action does', 'listed actions do')} not match and ${strangers === 1 ? 'was' : 'were'} left out`,
    );
  if (left > 0)
    out.note(
      `${count(left)} more ${left === 1 ? 'matches' : 'match'} and ${left === 1 ? 'was' : 'were'} left out by --limit`,
    );
  return selection;
}
