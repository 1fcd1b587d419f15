import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RedisClient } from '../../src/store/script.ts';
import { ROOT } from '../support/processes.ts';
import { type Line, restore } from './dump.ts';

export interface Recorded {
  /** Ms since 1970. */
  recordedAt: number;
  /** Label of the tenant that was recorded. */
  tenant: string;
  lines: Line[];
}

/** What a data version left, as `record.ts` printed it. */
export async function readRecorded(version: number): Promise<Recorded> {
  const text = await readFile(join(ROOT, `test/fixtures/data-v${version}.ndjson`), 'utf8');
  const [head = '', ...lines] = text.trimEnd().split('\n');
  return { ...(JSON.parse(head) as Omit<Recorded, 'lines'>), lines: lines.map((line) => JSON.parse(line)) };
}

/**
 * Writes it under another tenant's label. Long after: what had a time to live is gone, and all times are in the past.
 */
export async function restoreRecorded(redis: RedisClient, recorded: Recorded, label: string): Promise<void> {
  for (const line of recorded.lines) {
    if (line.pttl >= 0) continue;
    const key = line.key.replace(`{standdown:${recorded.tenant}}`, `{standdown:${label}}`);
    await restore(redis, { ...line, key });
  }
}
