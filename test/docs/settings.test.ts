import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { SETTINGS } from '../../src/config/config.ts';
import { ROOT } from '../support/processes.ts';

it('.env.example explains every setting, and no others', async () => {
  const text = await readFile(join(ROOT, '.env.example'), 'utf8');
  const shown = [...text.matchAll(/^# ([A-Z][A-Z_]+)=/gm)].map(([, name = '']) => name);
  // One is Azure's own, the other Compose's.
  const expected = [...SETTINGS].filter((name) => name !== 'IDENTITY_HEADER').concat('REDIS_PASSWORD');
  assert.deepEqual([...new Set(shown)].sort(), expected.sort());
});
