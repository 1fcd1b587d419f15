import { open, rename, rm } from 'node:fs/promises';
import { stringify } from 'csv-stringify/sync';
import { withTenant } from '../app.ts';
import { findCampaign } from '../campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../campaign/report.ts';
import { messageOf, StanddownError } from '../errors.ts';
import { type CommandContext, EXIT, type Output } from './context.ts';

export type ReportFormat = 'jsonl' | 'csv';

export interface ReportOptions {
  campaign: string;
  format: ReportFormat;
  output?: string;
}

/** Lines written at once. */
const BATCH = 500;

/** A line per id, to standard output or a file. */
export function runReport(context: CommandContext, options: ReportOptions): Promise<number> {
  return withTenant(context, async (tenant) => {
    const campaign = await findCampaign(tenant.redis, tenant.keys, options.campaign);
    const lines = reportCampaign(tenant, campaign);
    const written = options.output
      ? await writeFile(options.output, lines, options.format)
      : await writeLines((text) => context.out.write(text), lines, options.format);
    if (options.output) context.out.note(`${written} lines written to ${options.output}`);
    return EXIT.done;
  });
}

/** A file appears only when it is complete: a report that was cut off must not pass for one. */
export async function writeFile(
  path: string,
  lines: AsyncIterable<ReportLine>,
  format: ReportFormat,
): Promise<number> {
  const temporary = `${path}.part`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      const written = await writeLines((text) => file.appendFile(text), lines, format);
      await file.sync();
      await rename(temporary, path);
      return written;
    } finally {
      await file.close();
    }
  } catch (cause) {
    await rm(temporary, { force: true });
    if (cause instanceof StanddownError) throw cause;
    throw new StanddownError('INPUT_INVALID', `${path} cannot be written: ${messageOf(cause)}`, { cause });
  }
}

async function writeLines(
  write: Output['write'],
  lines: AsyncIterable<ReportLine>,
  format: ReportFormat,
): Promise<number> {
  let written = 0;
  let batch: ReportLine[] = [];
  const flush = async () => {
    if (batch.length > 0) await write(format === 'csv' ? toCsv(batch.map(flatten)) : toJsonl(batch));
    batch = [];
  };
  if (format === 'csv') await write(toCsv([COLUMNS]));
  for await (const line of lines) {
    batch.push(line);
    written++;
    if (batch.length >= BATCH) await flush();
  }
  await flush();
  return written;
}

const COLUMNS = [
  'machineActionId',
  'outcome',
  'httpStatus',
  'errorCode',
  'errorMessage',
  'correlationId',
  'actionStatus',
  'actionType',
  'machineId',
  'computerDnsName',
  'actionCreatedAt',
  'actionUpdatedAt',
  'attempts',
  'uncertain',
  'campaign',
  'requestedBy',
  'requestedAt',
  'decidedAt',
];

function flatten(line: ReportLine): (string | number | boolean | null | undefined)[] {
  const { action } = line;
  return [
    line.machineActionId,
    line.outcome ?? 'open',
    line.httpStatus,
    line.errorCode,
    line.errorMessage,
    line.correlationId,
    action?.status,
    action?.type,
    action?.machineId,
    action?.computerDnsName,
    action?.createdAt,
    action?.updatedAt,
    line.attempts,
    line.uncertain,
    line.campaign,
    line.requestedBy,
    line.requestedAt,
    line.decidedAt,
  ];
}

function toJsonl(lines: readonly ReportLine[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** Texts that a spreadsheet would take for a formula are made harmless: error messages come from outside. */
function toCsv(rows: readonly (readonly unknown[])[]): string {
  return stringify(
    rows.map((row) => [...row]),
    { escape_formulas: true, cast: { boolean: String } },
  );
}
