import assert from 'node:assert/strict';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { atEnd } from '../redis/support/machine.ts';
import { ROOT, startProgram } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { openService } from './support/producers.ts';

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

test('the examples of docs/producers.md do what it says', async (t) => {
  const programs = await examples();
  const folder = join(TEST_DIR, `examples-${newLabel()}`);
  await mkdir(folder, { recursive: true });
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  const file = (index: number) => join(folder, `example-${index}.ts`);
  await Promise.all(programs.map(({ code }, index) => writeFile(file(index), code)));

  await t.test('and are right in their types', async () => {
    const paths = { standdown: [join(ROOT, 'src/index.ts')] };
    const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: { paths }, include: ['*.ts'] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const tsc = startProgram(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]);
    assert.equal(await tsc.exited, 0, tsc.stdout);
  });

  const { stack, place } = await openService(t);
  const ids = [
    ...programs
      .map(({ code }) => code)
      .join('')
      .matchAll(/machineActionId: '([^']+)'/g),
  ].map(([, id = '']) => id);
  const known = ids.filter((id) => !id.startsWith('00000000'));
  stack.simulator.addActions(known.map((id) => ({ id, type: 'Isolate' })));
  await writeFile(join(folder, 'ids.txt'), `${stack.addActions(30).join('\n')}\n`);
  const env = { REDIS_URL: place.redis, STANDDOWN_TENANT: place.tenant };
  for (const [index, { title, prints }] of programs.entries()) {
    await t.test(title, async () => {
      const preload = join(ROOT, 'test/producer/support/self.ts');
      const child = startProgram(process.execPath, ['--import', preload, file(index)], { env, cwd: folder });
      assert.equal(await child.exited, 0, child.stderr);
      assert.equal(child.stdout, prints);
      assert.equal(child.stderr, '');
    });
  }
});
