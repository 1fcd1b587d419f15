import { setFlagsFromString } from 'node:v8';
import { withTenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { plural } from '../base/words/number.ts';
import { type ReportFormat, renderReport } from '../files/report/formats.ts';
import { findCampaign } from '../store/campaign/registry.ts';
import { reportCampaign } from '../store/campaign/report.ts';
import { type CommandContext, EXIT } from './context.ts';
import { checkWritable, formatOf, type Overwriting, writeWhole } from './whole-file.ts';

export interface ReportOptions {
  campaign: string;
  /** Default: by the name of the file, else JSONL. */
  format?: ReportFormat;
  output?: string;
  /** Whether a file of that name is replaced. */
  force: boolean;
  /** CSV: whether it begins with a byte-order mark. */
  bom: boolean;
  /** As `format: 'jsonl'`. */
  json: boolean;
}

/** What became of each id, to standard output or a file. */
export function runReport(context: CommandContext, options: ReportOptions): Promise<number> {
  const { out, stop } = context;
  const wanted = options.json ? 'jsonl' : options.format;
  if (options.format !== undefined && options.format !== wanted)
    throw new StanddownError(
      'USAGE',
      `--json means --format jsonl; it cannot be combined with --format ${options.format}`,
    );
  // A million lines pass by and none stays. Left alone, V8 lets a hundred MiB of them pile up before it looks.
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=30');
  return withTenant(context, async (tenant) => {
    if (options.output !== undefined) await checkWritable(options.output, options);
    const campaign = await findCampaign(tenant.redis, tenant.keys, options.campaign);
    const format = wanted ?? formatOf<ReportFormat>(options.output, ['jsonl', 'csv', 'html']);
    if (options.bom) assertCsv(format);
    let lines = 0;
    const counted = async function* () {
      for await (const line of reportCampaign(tenant, campaign)) {
        lines++;
        yield line;
      }
    };
    const parts = await renderReport(tenant, campaign, counted(), {
      format,
      hasBom: options.bom,
      version: context.version,
    });
    await (options.output === undefined
      ? writeParts(parts, stop, out.write)
      : writeReport(options.output, options, parts, stop));
    if (options.output) out.note(`Wrote the outcomes of ${plural(lines, 'action')} to ${options.output}`);
    return EXIT.done;
  });
}

/** @throws StanddownError USAGE */
export function assertCsv(format: string): void {
  if (format !== 'csv') throw new StanddownError('USAGE', `--bom works with CSV only, not with ${format}`);
}

/** Writes a report's parts to a file, which appears only when it is complete. */
export function writeReport(
  path: string,
  overwriting: Overwriting,
  parts: AsyncIterable<string>,
  stop: AbortSignal,
): Promise<void> {
  return writeWhole(path, overwriting, (file) => writeParts(parts, stop, (text) => file.appendFile(text)));
}

async function writeParts(
  parts: AsyncIterable<string>,
  stop: AbortSignal,
  write: (text: string) => Promise<void>,
): Promise<void> {
  for await (const part of parts) {
    stop.throwIfAborted();
    await write(part);
  }
}
