import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { licenses, PAGE, page } from './licenses.ts';

/** All allow what is done with the packages, and none asks for the source of what uses them. */
const PERMISSIVE = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT'];

it('the licenses of what is shipped are known, permissive, and on their page', async () => {
  const found = await licenses();
  assert.deepEqual(
    [...found.keys()].filter((license) => !PERMISSIVE.includes(license)),
    [],
  );
  assert.ok(found.get('MIT')?.includes('bullmq') && !found.get('Apache-2.0')?.includes('typescript'));
  assert.equal(await readFile(PAGE, 'utf8'), await page(), 'run: npm run licenses');
});
