import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReportFormat } from '../../src/files/report/formats.ts';
import { makeFinished } from '../support/finished.ts';
import { startCli } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';
import { newLabel, newTenant } from '../support/tenant.ts';
import { watchMemory } from './measure.ts';
import { emptyRedis } from './submit.ts';

export interface Reported {
  /** From the start of the process to its end. */
  seconds: number;
  /** The largest resident set of the process, in MiB. */
  peakMiB: number;
  sizeMiB: number;
}

/** `standdown report` of a campaign of so many ids, called at 1,500 an hour. */
export async function reportFinished(count: number): Promise<{ csv: Reported[]; html: Reported[] }> {
  const redis = await emptyRedis();
  const path = join(TEST_DIR, `bench-${newLabel()}`);
  try {
    const tenant = await newTenant(await redis.connect());
    const stepMs = 2_400;
    await makeFinished(tenant, { campaign: 'bench', count, startedAt: Date.now() - count * stepMs, stepMs });
    const env = { REDIS_URL: redis.url, STANDDOWN_TENANT: tenant.label, STANDDOWN_DATA_DIR: TEST_DIR };
    const report = async (format: ReportFormat): Promise<Reported> => {
      const started = performance.now();
      const child = startCli(['report', 'bench', '--format', format, '--output', path], { env });
      const peakMiB = await watchMemory(child);
      const seconds = (performance.now() - started) / 1_000;
      if ((await child.exited) !== 0) throw new Error(`report failed: ${child.stderr}`);
      return { seconds, peakMiB, sizeMiB: (await stat(path)).size / 1_048_576 };
    };
    return {
      csv: [await report('csv'), await report('csv'), await report('csv')],
      html: [await report('html')],
    };
  } finally {
    await rm(path, { force: true });
    await redis.close();
  }
}
