import { addAbortSignal } from 'node:stream';
import { StanddownError } from '../base/errors.ts';
import { guidsToBytes } from '../base/guid.ts';
import { plural } from '../base/words/number.ts';
import { type IdLine, readIdBatches } from '../files/in/id-file.ts';
import type { Spool } from '../files/in/spool.ts';
import { ID_BYTES } from '../store/ledger/batch.ts';
import { createIdSet } from '../store/ledger/id-set.ts';
import type { CommandContext } from './context.ts';
import { createNaming } from './naming.ts';

type Context = Pick<CommandContext, 'out' | 'stop' | 'stdin'>;

/** Counts of a file's lines. */
export interface Gathered {
  /** Ids in the spool, each one once. */
  ids: number;
  /** Ids that occurred before. */
  duplicates: number;
  /** Invalid lines. */
  problems: number;
  excluded: number;
}

/** Reads ids from a file, or from standard input (`-`), into a spool. Reports invalid lines on standard error. */
export async function gatherFile(
  context: Context,
  file: string,
  excluded: ReadonlySet<string>,
  spool: Spool,
  idColumn?: string,
): Promise<Gathered> {
  const gathered: Gathered = { ids: 0, duplicates: 0, problems: 0, excluded: 0 };
  const seen = createIdSet();
  const naming = createNaming(context);
  // A person who types the ids may press Ctrl-C at any time, and must not have to enter another line first.
  const source = file === '-' ? addAbortSignal(context.stop, context.stdin) : file;
  const batches = readIdBatches(source, { idColumn, ...(file === '-' && { name: 'standard input' }) });
  for await (const batch of withHint(batches, idColumn)) {
    context.stop.throwIfAborted();
    const ids: string[] = [];
    for (const line of batch) {
      if (line.problem !== undefined) naming.name(describeProblem(line));
      else if (excluded.has(line.id)) gathered.excluded++;
      else ids.push(line.id);
    }
    const fresh = seen.fresh(guidsToBytes(ids));
    const found = fresh.length / ID_BYTES;
    gathered.ids += found;
    gathered.duplicates += ids.length - found;
    if (found > 0) await spool.add(fresh);
  }
  return { ...gathered, problems: naming.count() };
}

/** Adds the option to use to the error that no column is known to hold ids. */
async function* withHint<T>(batches: AsyncGenerator<T>, idColumn: string | undefined): AsyncGenerator<T> {
  try {
    yield* batches;
  } catch (error) {
    if (!(error instanceof StanddownError) || !error.context['columns'] || idColumn !== undefined)
      throw error;
    const { code, message, context } = error;
    throw new StanddownError(code, `${message}; name the column with --id-column`, { context });
  }
}

/**
 * Reads the ids that must not be submitted.
 *
 * @throws StanddownError INPUT_INVALID even for a single invalid line: skipping it would submit the action that it excludes.
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
    const words = `--exclude ${file}: ${plural(naming.count(), 'line is not a machine action id', 'lines are not machine action ids')}. Nothing was submitted.`;
    throw new StanddownError('INPUT_INVALID', words);
  }
  if (excluded.size === 0) context.out.note(`Note: --exclude ${file} contains no machine action ids`);
  return excluded;
}

function describeProblem({ line, problem, text }: Extract<IdLine, { problem: string }>): string {
  return `line ${line}: ${problem}: ${text}`;
}
