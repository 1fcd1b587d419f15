import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { parseDuration } from '../base/duration.ts';
import { StanddownError } from '../base/errors.ts';
import { excerpt } from '../base/foreign.ts';
import { guidsToBytes } from '../base/guid.ts';
import { count } from '../base/words/number.ts';
import { readIdBatches } from '../files/in/id-file.ts';
import type { IdLine } from '../files/in/id-line.ts';
import type { Spool } from '../files/in/spool.ts';
import { checkWanted } from '../store/campaign/submit.ts';
import { ID_BYTES } from '../store/ledger/batch.ts';
import { createIdSet } from '../store/ledger/id-set.ts';
import { INVALID_PRIORITY } from './actions.ts';
import type { DraftWish } from './drafts.ts';

/** What a form brought: who fills it in is known before anything of it is read. */
export interface HandedIn {
  wish: DraftWish;
  spool: Spool;
  source: string;
  pasted: string | null;
  /** Each once. */
  ids: number;
  /** Named before. */
  duplicates: number;
  problems: number;
  lines: IdLine[];
}

/** Lines that are shown: so many good ones from the beginning, and so many bad ones. */
const MOST_GOOD = 20;
const MOST_BAD = 500;

/** Each is remembered while they are read, to find those that come twice. */
const MOST_IDS = 1_000_000;

/** Characters of what was pasted that are kept, for whoever wants to change it. */
const MOST_PASTED = 100_000;

/** What ids are said to come from where no file has a name. */
const PASTED = 'pasted text';

/** A file's name goes into the history, which terminals show: no more of it, and nothing that could move a cursor. */
const MOST_NAME = 100;

/**
 * Reads a form with a file or a pasted text, as it comes: no file is held in memory. Its fields stand before the file.
 *
 * @param check is given the fields before the ids are read. May throw.
 * @throws StanddownError USAGE, INPUT_INVALID
 */
export async function readHandedIn(
  request: FastifyRequest,
  openSpool: () => Promise<Spool>,
  check: (fields: URLSearchParams) => void,
): Promise<HandedIn> {
  const fields = new URLSearchParams();
  let spool: Spool | null = null;
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') {
        if (part.valueTruncated) throw tooLarge('The pasted text is too long. Upload it as a file.');
        fields.append(part.fieldname, String(part.value));
        // The key stands first.
        check(fields);
        continue;
      }
      // A file field that was left empty comes all the same.
      if (part.filename === '') {
        part.file.resume();
        continue;
      }
      check(fields);
      if ((fields.get('ids') ?? '').trim() !== '')
        throw new StanddownError('USAGE', 'You pasted ids and chose a file. Remove one of them.');
      const wish = readWish(fields);
      spool = await openSpool();
      const handed = {
        wish,
        spool,
        source: excerpt(part.filename, MOST_NAME),
        pasted: null,
        ...(await gather(part.file, part.filename, spool)),
      };
      if (part.file.truncated)
        throw tooLarge('The file is too large for the console. Submit it with "standdown submit".');
      return handed;
    }
    check(fields);
    const wish = readWish(fields);
    const text = fields.get('ids') ?? '';
    if (text.trim() === '') throw new StanddownError('USAGE', 'No ids given. Choose a file or paste ids.');
    spool = await openSpool();
    return {
      wish,
      spool,
      source: PASTED,
      pasted: text.length <= MOST_PASTED ? text : null,
      ...(await gather(Readable.from([Buffer.from(text)]), PASTED, spool)),
    };
  } catch (error) {
    await spool?.close();
    throw error;
  }
}

function tooLarge(words: string): StanddownError {
  return new StanddownError('INPUT_INVALID', words, { context: { httpStatus: 413 } });
}

/** @throws StanddownError USAGE */
function readWish(fields: URLSearchParams): DraftWish {
  const of = (name: string) => (fields.get(name) ?? '').trim();
  const wish = { name: of('campaign'), comment: of('comment') };
  checkWanted(wish);
  if (!/^\d$/.test(of('priority'))) throw new StanddownError('USAGE', INVALID_PRIORITY);
  const expiresInMs = of('expires') === '' ? null : parseDuration(of('expires'));
  if (expiresInMs === null && of('expires') !== '')
    throw new StanddownError('USAGE', 'Invalid expiry: use a duration such as 90m or 4h.');
  return { ...wish, priority: Number(of('priority')), expiresInMs };
}

/** By the product's own reader, as the command reads a file. */
async function gather(
  source: Readable,
  name: string,
  spool: Spool,
): Promise<Pick<HandedIn, 'ids' | 'duplicates' | 'problems' | 'lines'>> {
  const gathered = { ids: 0, duplicates: 0, problems: 0 };
  const known = createIdSet();
  let good = 0;
  const lines: IdLine[] = [];
  for await (const batch of readIdBatches(source, { name })) {
    const ids: string[] = [];
    for (const line of batch) {
      if (line.problem === undefined) ids.push(line.id);
      const seen = line.problem === undefined ? ++good : ++gathered.problems;
      if (seen <= (line.problem === undefined ? MOST_GOOD : MOST_BAD)) lines.push(line);
    }
    const fresh = known.fresh(guidsToBytes(ids));
    const found = fresh.length / ID_BYTES;
    gathered.ids += found;
    if (gathered.ids > MOST_IDS)
      throw tooLarge(
        `The console takes at most ${count(MOST_IDS)} actions at once. Submit the file with "standdown submit".`,
      );
    gathered.duplicates += ids.length - found;
    if (found > 0) await spool.add(fresh);
  }
  return { ...gathered, lines };
}
