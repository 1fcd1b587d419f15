import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, startProgram } from '../support/processes.ts';
import { writeExamples } from './support/examples.ts';

test('the examples of docs/producers.md are right in their types', async (t) => {
  const { folder } = await writeExamples(t);
  const paths = { standdown: [join(ROOT, 'src/index.ts')] };
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: { paths }, include: ['*.ts'] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const tsc = startProgram(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  assert.equal(await tsc.exited, 0, tsc.stdout);
});
