import { EXIT_GRACE_MS } from '../../src/cli/main.ts';
import { readConfig } from '../../src/config/config.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { FLUSH_MS } from '../../src/ops/traces/settings.ts';
import { blocksIn, readPage } from './markdown.ts';

/** The code blocks of a language in a page of docs/. */
export async function blocksOf(page: string, language: string): Promise<string[]> {
  const blocks = blocksIn(await readPage(`docs/${page}`));
  return blocks.filter((block) => block.language === language).map(({ text }) => text);
}

/** The longest that a worker takes to end after it was told to, in ms. @param callTimeout as in CALL_TIMEOUT. */
export function longestStopMs(callTimeout?: string): number {
  return (
    readConfig({ CALL_TIMEOUT: callTimeout }).callTimeoutMs + TIMINGS.stopGraceMs + FLUSH_MS + EXIT_GRACE_MS
  );
}
