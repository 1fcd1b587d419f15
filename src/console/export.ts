import { Readable } from 'node:stream';
import type { Tenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { type ReportFormat, renderReport } from '../files/report/formats.ts';
import { type Actor, appendAudit } from '../store/campaign/audit.ts';
import type { Campaign } from '../store/campaign/registry.ts';
import { reportCampaign } from '../store/campaign/report.ts';
import type { Visit } from './site.ts';

interface Exporting {
  tenant: Tenant;
  campaign: Campaign;
  actor: Actor;
  /** Standdown's own. */
  version: string;
}

const TYPES: Readonly<Record<ReportFormat, string>> = {
  csv: 'text/csv; charset=utf-8',
  jsonl: 'application/jsonl; charset=utf-8',
  html: 'text/html; charset=utf-8',
};

/** A download, never a page of the console: what it holds comes from outside. */
export async function sendReport(
  { version, tenant, campaign, actor }: Exporting,
  { fields, reply }: Visit,
): Promise<null> {
  const format = fields.get('format') ?? '';
  if (!isFormat(format)) throw new StanddownError('USAGE', 'Invalid format: use csv, jsonl or html.');
  await appendAudit(tenant, campaign.number, { ...actor, action: 'export', detail: format });
  const parts = await renderReport(tenant, campaign, reportCampaign(tenant, campaign), {
    format,
    hasBom: format === 'csv',
    version,
  });
  const name = campaign.name.replace(/[^\w.-]+/g, '-').slice(0, 80);
  reply
    .type(TYPES[format])
    .header('content-disposition', `attachment; filename="standdown-${name}.${format}"`)
    .header('cache-control', 'no-store')
    .send(Readable.from(parts));
  return null;
}

function isFormat(text: string): text is ReportFormat {
  return Object.hasOwn(TYPES, text);
}
