import type { Tenant } from '../app/tenant.ts';
import { guidsToBytes } from '../base/guid.ts';
import { count } from '../base/words/number.ts';
import type { Reader } from '../defender/reader.ts';
import type { Spool } from '../files/in/spool.ts';
import { createTally, type Tally, tallyOf } from '../files/select/tally.ts';
import type { CommandContext } from './context.ts';
import { gatherFile, readExcluded } from './gather.ts';
import type { Selecting } from './reading.ts';
import { createSieve, siftSpool } from './sift.ts';
import type { SubmitOptions, SubmitWish } from './submit-wish.ts';
import type { LeftOut } from './submit-words.ts';

/** What a submit goes by. */
export interface Submission {
  context: CommandContext;
  options: SubmitOptions;
  wish: SubmitWish;
  /** A spool that is closed in the end. */
  newSpool(): Promise<Spool>;
}

/** The ids that will be submitted, in order, and what was left out. */
export interface Load extends LeftOut {
  spool: Spool;
  ids: number;
  /** What they are about; null where that was not read. */
  tally: Tally | null;
}

/**
 * Reads the ids of a file, before anything is connected to.
 *
 * @returns the load, or why nothing is submitted.
 * @throws StanddownError INPUT_INVALID
 */
export async function loadFile(submission: Submission, file: string): Promise<Load | string> {
  const { context, options } = submission;
  const excludedIds = await readExcluded(context, options.exclude);
  const spool = await submission.newSpool();
  const { ids, duplicates, problems, excluded } = await gatherFile(
    context,
    file,
    excludedIds,
    spool,
    options.idColumn,
  );
  if (problems > 0 && !options.skipInvalid) {
    const lines = count(problems + ids + duplicates + excluded);
    const advice =
      ids > 0 ? 'Correct them, or skip them with --skip-invalid.' : 'Correct them and submit again.';
    const are = problems === 1 ? 'is not a machine action id' : 'are not machine action ids';
    return `${count(problems)} of ${lines} entries ${are}. Nothing was submitted. ${advice}`;
  }
  if (ids === 0 && excluded === 0) {
    return `${file === '-' ? 'Standard input' : file} contains no machine action ids. Nothing was submitted.`;
  }
  return { spool, ids, duplicates, excluded, skipped: problems, setAside: [], tally: null };
}

/**
 * Keeps those ids whose actions are of an expected type.
 *
 * @throws StanddownError NOT_PERMITTED, UPSTREAM_FAILED, CONFIG_INVALID: then nothing is known of any.
 */
export async function expectTypes(
  submission: Submission,
  tenant: Tenant,
  load: Load,
  types: readonly string[],
): Promise<Load> {
  const { context } = submission;
  const sieve = createSieve(types);
  const spool = await submission.newSpool();
  const tally = createTally();
  const ids = await reading(context, tenant, (reader) =>
    siftSpool(context, { reader, sieve, from: load.spool, to: spool }, tally.add),
  );
  return { ...load, spool, ids, setAside: sieve.setAside, tally: tally.result() };
}

/**
 * Selects actions. Nothing that was not listed is ever submitted.
 *
 * @throws as expectTypes
 */
export async function loadSelected(
  submission: Submission,
  tenant: Tenant,
  selecting: Selecting,
): Promise<Load> {
  const { context, options, wish } = submission;
  const excluded = await readExcluded(context, options.exclude);
  const { select } = await import('./reading.ts');
  const { actions } = await reading(context, tenant, (reader) => select(context, reader, selecting));
  const wanted = actions.filter(({ id }) => !excluded.has(id));
  const sieve = createSieve(wish.types);
  const kept = wanted.filter((action) => sieve.lets(action.id, action));
  const spool = await submission.newSpool();
  await spool.add(guidsToBytes(kept.map(({ id }) => id)));
  return {
    spool,
    ids: kept.length,
    duplicates: 0,
    excluded: actions.length - wanted.length,
    skipped: 0,
    setAside: sieve.setAside,
    tally: tallyOf(kept),
  };
}

/** What only reading needs is loaded only for it. */
async function reading<T>(
  context: CommandContext,
  tenant: Tenant,
  run: (reader: Reader) => Promise<T>,
): Promise<T> {
  const [{ openReader }, { readingHooks }] = await Promise.all([
    import('../app/reader.ts'),
    import('./reading.ts'),
  ]);
  const { reader, close } = openReader(context.config, tenant, readingHooks(context));
  try {
    return await run(reader);
  } finally {
    await close();
  }
}
