import type { OpenReader } from '../app/reader.ts';
import type { Tenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { count, plural } from '../base/words/number.ts';
import type { Spool } from '../files/in/spool.ts';
import { createTally } from '../files/select/tally.ts';
import type { CommandContext } from './context.ts';
import { readingHooks } from './reading.ts';
import { idsOf } from './sift.ts';
import { describeTally } from './tally.ts';

/** A preview is for a person who waits for it: it costs a minute's calls of the list at most. */
const MOST_IDS = 10_000;
const PATIENCE_MS = 60_000;

/**
 * Shows on standard error what a file's ids are about, where the application may read. Where it may not, or cannot, one
 * line says why, and that is all: a preview is no condition.
 */
export async function previewSpool(
  context: Pick<CommandContext, 'out' | 'stop' | 'config'>,
  tenant: Tenant,
  spool: Spool,
): Promise<void> {
  const { out, config } = context;
  if (!config.signIn) {
    out.note('No preview: the settings for sign-in are missing.');
    return;
  }
  const { openReader } = await import('../app/reader.ts');
  let opened: OpenReader;
  try {
    opened = openReader(config, tenant, readingHooks(context, PATIENCE_MS));
  } catch (error) {
    if (!(error instanceof StanddownError)) throw error;
    out.note(`No preview: ${error.message}`);
    return;
  }
  const { reader, close } = opened;
  const tally = createTally();
  let read = 0;
  try {
    for await (const ids of idsOf(spool)) {
      for (const action of await reader.byIds(ids)) tally.add(action);
      read += ids.length;
      if (read >= MOST_IDS) break;
    }
  } catch (error) {
    if (!(error instanceof StanddownError)) throw error;
    out.note(`No ${read > 0 ? 'further ' : ''}preview: ${error.message}`);
  } finally {
    await close();
  }
  if (read === 0) return;
  const result = tally.result();
  if (read >= MOST_IDS) out.note(`Preview of the first ${count(read)} actions:`);
  for (const line of describeTally(result)) out.note(line);
  if (result.total < read)
    out.note(`  ${plural(read - result.total, 'id is', 'ids are')} unknown to Defender`);
}
