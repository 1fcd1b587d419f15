import type { CommandContext } from './context.ts';

/** Names what is wrong on standard error, every single thing, and counts them. */
export function createNaming({ out }: Pick<CommandContext, 'out'>) {
  let count = 0;
  return {
    name: (words: string): void => {
      count++;
      out.complain(words);
    },
    count: () => count,
  };
}
