import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, startProgram } from '../support/processes.ts';
import { packageFolder, packCopy, run } from './support/package.ts';
import { openService } from './support/producers.ts';

const PROGRAM = `
import { type CancelResult, openProducer, OUTCOMES, type Producer, StanddownError } from 'standdown';
import schema from 'standdown/cancel-job.schema.json' with { type: 'json' };

const producer: Producer = await openProducer({
  redis: process.env['REDIS_URL'] ?? '',
  tenant: process.env['STANDDOWN_TENANT'] ?? '',
});
const cancel = await producer.cancel({ machineActionId: process.argv[2] ?? '', comment: 'x' });
const result: CancelResult = await cancel.outcome();
try {
  await producer.cancel({ machineActionId: 'no guid', comment: 'x' });
} catch (error) {
  if (error instanceof StanddownError) console.log(error.code);
}
await producer.close();
console.log(result.outcome, OUTCOMES.length > 0, schema.title);
`;

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    strict: true,
    exactOptionalPropertyTypes: true,
    resolveJsonModule: true,
    noEmit: true,
    // Of our own declarations nothing is let pass; those of others are not ours.
    skipLibCheck: false,
  },
  files: ['program.ts'],
};

test('the package installs into an empty project, where a program is right in its types and runs', async (t) => {
  const folder = await packageFolder(t);
  const tarball = await packCopy(folder);
  const project = join(folder, 'project');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], project);
  await writeFile(join(project, 'program.ts'), PROGRAM);
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  const tsc = startProgram(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', project]);
  assert.equal(await tsc.exited, 0, tsc.stdout);

  const { stack, place } = await openService(t);
  const [id = ''] = stack.addActions(1);
  const env = { REDIS_URL: place.redis, STANDDOWN_TENANT: place.tenant };
  const child = startProgram(process.execPath, ['program.ts', id], { cwd: project, env });
  assert.equal(await child.exited, 0, child.stderr);
  assert.equal(child.stdout, 'INPUT_INVALID\ncancelled true CancelJob\n');
  const help = await run(join(project, 'node_modules/.bin/standdown'), ['--help'], project);
  assert.match(help, /standdown/);
});
