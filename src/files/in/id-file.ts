import type { Readable } from 'node:stream';
import { StanddownError } from '../../base/errors.ts';
import { excerpt } from '../../base/foreign.ts';
import type { IdLine } from './id-line.ts';
import { createIdReader, type IdFileSummary } from './id-reader.ts';
import { readPieces } from './source.ts';

export type { IdLine } from './id-line.ts';
export type { IdFileSummary } from './id-reader.ts';

export interface ReadIdsOptions {
  /** How messages call the source. Default: the path, or `input` for a stream. */
  name?: string;
  /** Name of the CSV column or JSON key with the ids, in any case. Default: `machineActionId`, `id` or `ActionId`. */
  idColumn?: string | undefined;
  /** Called once after the last line; not when reading failed or was left early. */
  onSummary?: (summary: IdFileSummary) => void;
}

/**
 * Reads machine action ids from a file or a stream, in the order of the file, without holding it in memory.
 *
 * UTF-8 or UTF-16, any line breaks. A plain list (`#` begins a comment), a CSV with a header, or one JSON object or
 * string a line: see `format.ts`. Or a JSON document of at most 64 MiB, which is held in memory. What is wrong with one line is a problem in its place; duplicates are not looked for.
 * An empty file yields nothing.
 *
 * @throws StanddownError `INPUT_INVALID` when the source cannot be read or is no list of ids; the message is one line
 * and begins with the source's name. `USAGE` when a stream yields objects.
 */
export async function* readIds(
  source: string | Readable,
  options: ReadIdsOptions = {},
): AsyncGenerator<IdLine, void, void> {
  for await (const batch of readIdBatches(source, options)) yield* batch;
}

/**
 * As {@link readIds}, in batches as they come, never empty: what 64 KiB of input hold, about 1,770 ids of a plain list.
 * Spares an await for each id: a million ids of a plain list take about 0.5 s instead of 0.8.
 */
export async function* readIdBatches(
  source: string | Readable,
  options: ReadIdsOptions = {},
): AsyncGenerator<IdLine[], void, void> {
  const reader = createIdReader(options.idColumn);
  try {
    for await (const piece of readPieces(source)) {
      const batch = reader.push(piece);
      if (batch.length > 0) yield batch;
    }
    const { rest, summary } = reader.end();
    if (rest.length > 0) yield rest;
    options.onSummary?.(summary);
  } catch (error) {
    throw withName(error, options.name ?? (typeof source === 'string' ? source : 'input'));
  }
}

/** In one place, so that the parts that find fault with the content need not know where it came from. */
function withName(error: unknown, name: string): unknown {
  if (!(error instanceof StanddownError)) return error;
  const { code, message, cause, context } = error;
  return new StanddownError(code, `${excerpt(name, 300)}: ${message}`, {
    cause,
    context: { ...context, source: name },
  });
}
