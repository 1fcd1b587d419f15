import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../../src/config.ts';
import { EXIT_GRACE_MS } from '../../src/main.ts';
import { FLUSH_MS } from '../../src/telemetry/settings.ts';
import { TIMINGS } from '../../src/timings.ts';
import { ROOT } from '../support/processes.ts';

/** The code blocks of a language in a page of docs/. */
export async function blocksOf(page: string, language: string): Promise<string[]> {
  const text = await readFile(join(ROOT, 'docs', page), 'utf8');
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return [...text.matchAll(fence)].map(([, block = '']) => block);
}

/** The longest that a worker takes to end after it was told to, in ms. @param callTimeout as in CALL_TIMEOUT. */
export function longestStopMs(callTimeout?: string): number {
  return (
    readConfig({ CALL_TIMEOUT: callTimeout }).callTimeoutMs + TIMINGS.stopGraceMs + FLUSH_MS + EXIT_GRACE_MS
  );
}
