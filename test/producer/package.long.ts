import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { bytesOf, packageFolder, packCopy, run } from './support/package.ts';

test('the package is built, is complete, and is right for publint and "are the types wrong"', async (t) => {
  const folder = await packageFolder(t);
  const tarball = await packCopy(folder);
  const files = (await run('tar', ['-tzf', tarball], folder)).trim().split('\n');
  for (const name of [
    'docs/cancel-job.schema.json',
    'docs/cancel-result.schema.json',
    'dist/index.d.ts',
    'dist/cli.js',
  ]) {
    assert.ok(files.includes(`package/${name}`), name);
  }
  assert.deepEqual(
    files.filter((name) => /\/(?:test|src|node_modules)\//.test(name)),
    [],
  );

  const unpacked = join(folder, 'unpacked');
  await mkdir(unpacked);
  await run('tar', ['-xzf', tarball, '-C', unpacked], folder);
  const { messages } = await publint({ pkgDir: join(unpacked, 'package'), pack: false, strict: true });
  assert.deepEqual(messages, []);

  const checked = await checkPackage(createPackageFromTarballData(await bytesOf(tarball)));
  assert.ok(checked.types);
  t.diagnostic(JSON.stringify(checked.problems.map(({ kind }) => kind)));
  // ESM only: from CommonJS it is loaded by require(esm) of Node 22, or by import().
  const real = checked.problems.filter((problem) => {
    const isOld = 'resolutionKind' in problem && problem.resolutionKind === 'node10';
    return !isOld && problem.kind !== 'CJSResolvesToESM';
  });
  assert.deepEqual(real, []);
});
