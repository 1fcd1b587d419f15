import type { CommandContext } from './context.ts';

/** Names things on standard error, every one of them, and counts them. */
export function createNaming({ out }: Pick<CommandContext, 'out'>) {
  let count = 0;
  return {
    name: (words: string): void => {
      count++;
      out.note(words);
    },
    count: () => count,
  };
}
