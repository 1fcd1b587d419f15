import { unreachable } from '../../base/errors.ts';
import type { Limits } from '../../config/limits.ts';
import { readAudit } from '../../store/campaign/audit.ts';
import type { Campaign } from '../../store/campaign/registry.ts';
import type { ReportLine } from '../../store/campaign/report.ts';
import type { Keys } from '../../store/keys.ts';
import type { RedisClient } from '../../store/script.ts';
import { toCsv, toJsonl } from './lines.ts';
import { toPage } from './page.ts';

export type ReportFormat = 'jsonl' | 'csv' | 'html';

export interface RenderOptions {
  format: ReportFormat;
  /** CSV: whether it begins with a byte-order mark. */
  hasBom: boolean;
  /** Standdown's own. */
  version: string;
}

/** A report in parts, as its lines come. */
export async function renderReport(
  deps: { redis: RedisClient; keys: Keys; limits: Limits },
  campaign: Campaign,
  lines: AsyncIterable<ReportLine>,
  { format, hasBom, version }: RenderOptions,
): Promise<AsyncIterable<string>> {
  switch (format) {
    case 'jsonl':
      return toJsonl(lines);
    case 'csv':
      return toCsv(lines, hasBom);
    case 'html': {
      const history = await readAudit(deps, campaign.number);
      const { windows } = deps.limits;
      return toPage(lines, { campaign, history, windows, madeAt: Date.now(), version });
    }
    default:
      return unreachable(format);
  }
}
