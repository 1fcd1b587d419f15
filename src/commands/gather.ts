import { addAbortSignal } from 'node:stream';
import { StanddownError } from '../errors.ts';
import { guidsToBytes } from '../guid.ts';
import { type IdLine, readIdBatches } from '../intake/id-file.ts';
import type { Spool } from '../intake/spool.ts';
import type { CommandContext } from './context.ts';
import { createNaming } from './naming.ts';
import { count } from './table.ts';

type Context = Pick<CommandContext, 'out' | 'stop' | 'stdin'>;

/** What a file holds. */
export interface Gathered {
  /** Ids in the spool. */
  ids: number;
  /** Lines that are no ids. */
  problems: number;
  excluded: number;
}

/** Reads ids from a file, or from standard input (`-`), into a spool; what is wrong with lines goes to standard error. */
export async function gatherFile(
  context: Context,
  file: string,
  excluded: ReadonlySet<string>,
  spool: Spool,
): Promise<Gathered> {
  const gathered: Gathered = { ids: 0, problems: 0, excluded: 0 };
  const naming = createNaming(context);
  // Whoever types the ids may stop at any time: nothing more need come before that is noticed.
  const source = file === '-' ? addAbortSignal(context.stop, context.stdin) : file;
  for await (const batch of readIdBatches(source, file === '-' ? { name: 'standard input' } : {})) {
    context.stop.throwIfAborted();
    const ids: string[] = [];
    for (const line of batch) {
      if (line.problem !== undefined) naming.name(describeProblem(line));
      else if (excluded.has(line.id)) gathered.excluded++;
      else ids.push(line.id);
    }
    gathered.ids += ids.length;
    if (ids.length > 0) await spool.add(guidsToBytes(ids));
  }
  return { ...gathered, problems: naming.count() };
}

/**
 * The ids that must not be submitted.
 *
 * @throws StanddownError INPUT_INVALID also for a single bad line: what it was to keep out would go in.
 */
export async function readExcluded(context: Context, file: string | undefined): Promise<ReadonlySet<string>> {
  const excluded = new Set<string>();
  if (file === undefined) return excluded;
  const naming = createNaming(context);
  for await (const batch of readIdBatches(file, { name: `--exclude ${file}` })) {
    for (const line of batch) {
      if (line.problem === undefined) excluded.add(line.id);
      else naming.name(`--exclude ${file}, ${describeProblem(line)}`);
    }
  }
  if (naming.count() > 0) {
    const words = `--exclude ${file}: ${count(naming.count())} lines are not machine action ids; nothing was submitted`;
    throw new StanddownError('INPUT_INVALID', words);
  }
  if (excluded.size === 0) context.out.note(`note: --exclude ${file} holds no machine action ids`);
  return excluded;
}

function describeProblem({ line, problem, text }: Extract<IdLine, { problem: string }>): string {
  return `line ${line}: ${problem}: ${text}`;
}
