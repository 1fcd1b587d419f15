import { withReader } from '../app/reader.ts';
import { plural } from '../base/words/number.ts';
import type { Order, Selection } from '../files/select/selection.ts';
import { tallyOf } from '../files/select/tally.ts';
import { actionLines, actionTable, type RowFormat, toRow } from './action-rows.ts';
import { type CommandContext, EXIT, writeJson } from './context.ts';
import { readingHooks, readSelecting, select } from './reading.ts';
import { assertCsv } from './report.ts';
import { describeTally, tallyToJson } from './tally.ts';
import { checkWritable, formatOf, writeWhole } from './whole-file.ts';

export interface SelectOptions {
  where: string;
  order: Order;
  /** At most so many. */
  limit?: string;
  /** Default: by the name of the file, else JSONL; on a terminal a table. */
  format?: RowFormat;
  output?: string;
  /** Whether a file of that name is replaced. */
  force: boolean;
  /** CSV: whether it begins with a byte-order mark. */
  bom: boolean;
  json: boolean;
}

/** Lists machine actions as `submit` takes them. */
export async function runSelect(context: CommandContext, options: SelectOptions): Promise<number> {
  const selecting = readSelecting(context, options);
  if (options.bom) assertCsv(options.format ?? formatOf<RowFormat>(options.output, ['jsonl', 'csv']));
  if (options.output !== undefined) await checkWritable(options.output, options);
  const selection = await withReader(context, readingHooks(context), (reader) =>
    select(context, reader, selecting),
  );
  await write(context, options, selection);
  return EXIT.done;
}

async function write(
  context: CommandContext,
  { output, format, force, json, bom }: SelectOptions,
  { actions, left }: Selection,
): Promise<void> {
  const { out } = context;
  const isForPerson = out.isTerminal && format === undefined && output === undefined && !json;
  const lines = isForPerson
    ? [`${actionTable(actions, out.columns)}\n\n`]
    : actionLines(actions, format ?? formatOf<RowFormat>(output, ['jsonl', 'csv']), bom);
  const tally = tallyOf(actions);
  if (output !== undefined) {
    await writeWhole(output, { force }, async (file) => {
      for (const text of lines) await file.appendFile(text);
    });
  }
  if (json) {
    const rows = output ? { output } : { actions: actions.map(toRow) };
    await writeJson(out, { ...tallyToJson(tally), left, ...rows });
  } else if (!output && actions.length > 0) {
    for (const text of lines) await out.write(text);
  }
  if (actions.length === 0) out.note('No machine action matches.');
  else for (const line of describeTally(tally)) out.note(line);
  if (output) out.note(`Wrote ${plural(actions.length, 'action')} to ${output}`);
}
