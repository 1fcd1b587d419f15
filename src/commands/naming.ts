import type { CommandContext } from './context.ts';

/** What is named one by one; of more only that there is more. */
const NAMED = 50;

/** Names things on standard error, a bounded number of them. Counts all. */
export function createNaming({ out }: Pick<CommandContext, 'out'>) {
  let count = 0;
  return {
    name: (words: string): void => {
      count++;
      if (count <= NAMED) out.note(words);
      else if (count === NAMED + 1) out.note('… and more');
    },
    count: () => count,
  };
}
