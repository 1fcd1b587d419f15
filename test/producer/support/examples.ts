import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from '../../store/redis/support/machine.ts';
import { ROOT } from '../../support/processes.ts';
import { TEST_DIR } from '../../support/redis.ts';
import { newLabel } from '../../support/tenant.ts';

interface Example {
  title: string;
  code: string;
  prints: string;
}

/** Programs of docs/producers.md, and what the document says that they print. */
async function examples(): Promise<Example[]> {
  const text = await readFile(join(ROOT, 'docs/producers.md'), 'utf8');
  const found: Example[] = [];
  for (const section of text.split(/^## /m)) {
    const blocks = section.matchAll(/^```ts\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```/gm);
    for (const [, code = '', prints = ''] of blocks)
      found.push({ title: section.split('\n')[0] ?? '', code, prints });
  }
  assert.equal(found.length, text.match(/^```ts$/gm)?.length, 'each program is followed by what it prints');
  return found;
}

/** Each program as a file in a folder that is gone at the end. */
export async function writeExamples(t: TestContext) {
  const programs = await examples();
  const folder = join(TEST_DIR, `examples-${newLabel()}`);
  await mkdir(folder, { recursive: true });
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  const file = (index: number) => join(folder, `example-${index}.ts`);
  await Promise.all(programs.map(({ code }, index) => writeFile(file(index), code)));
  return { folder, programs, file };
}
