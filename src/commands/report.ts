import { setFlagsFromString } from 'node:v8';
import { type Tenant, withTenant } from '../app.ts';
import { readAudit } from '../campaign/audit.ts';
import { type Campaign, findCampaign } from '../campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../campaign/report.ts';
import { unreachable } from '../errors.ts';
import { toCsv, toJsonl } from '../report/lines.ts';
import { toPage } from '../report/page.ts';
import { type CommandContext, EXIT } from './context.ts';
import { count } from './table.ts';
import { writeWhole } from './whole-file.ts';

export type ReportFormat = 'jsonl' | 'csv' | 'html';

export interface ReportOptions {
  campaign: string;
  format: ReportFormat;
  output?: string;
}

/** What became of each id, to standard output or a file. */
export function runReport(context: CommandContext, options: ReportOptions): Promise<number> {
  const { out, stop } = context;
  // A million lines pass by and none stays. Left alone, V8 lets a hundred MiB of them pile up before it looks.
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=30');
  return withTenant(context, async (tenant) => {
    const campaign = await findCampaign(tenant.redis, tenant.keys, options.campaign);
    let lines = 0;
    const counted = async function* () {
      for await (const line of reportCampaign(tenant, campaign)) {
        lines++;
        yield line;
      }
    };
    const parts = await render(context, tenant, campaign, counted(), options.format);
    await (options.output === undefined
      ? writeParts(parts, stop, out.write)
      : writeReport(options.output, parts, stop));
    if (options.output) out.note(`${count(lines)} lines written to ${options.output}`);
    return EXIT.done;
  });
}

/** Writes a report's parts to a file, which appears only when it is complete. */
export function writeReport(path: string, parts: AsyncIterable<string>, stop: AbortSignal): Promise<void> {
  return writeWhole(path, (file) => writeParts(parts, stop, (text) => file.appendFile(text)));
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

async function render(
  { version }: CommandContext,
  tenant: Tenant,
  campaign: Campaign,
  lines: AsyncIterable<ReportLine>,
  format: ReportFormat,
): Promise<AsyncIterable<string>> {
  switch (format) {
    case 'jsonl':
      return toJsonl(lines);
    case 'csv':
      return toCsv(lines);
    case 'html': {
      const history = await readAudit(tenant, campaign.number);
      const { windows } = tenant.limits;
      return toPage(lines, { campaign, history, windows, madeAt: Date.now(), version });
    }
    default:
      return unreachable(format);
  }
}
