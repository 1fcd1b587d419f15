import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, startProgram } from '../support/processes.ts';
import { writeExamples } from './support/examples.ts';
import { openService } from './support/producers.ts';

test('the examples of docs/producers.md are right in their types', async (t) => {
  const { folder } = await writeExamples(t);
  const paths = { standdown: [join(ROOT, 'src/index.ts')] };
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: { paths }, include: ['*.ts'] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const tsc = startProgram(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  assert.equal(await tsc.exited, 0, tsc.stdout);
});

test('the examples of docs/producers.md do what it says', async (t) => {
  const { folder, programs, file } = await writeExamples(t);
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
