import { readConfig } from '../../src/config.ts';
import { EXIT_GRACE_MS } from '../../src/main.ts';
import { FLUSH_MS } from '../../src/telemetry/settings.ts';
import { TIMINGS } from '../../src/timings.ts';
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
