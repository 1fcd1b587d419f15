import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Campaign } from '../../src/campaign/registry.ts';
import { createAnalysis } from '../../src/console/campaign-parts.ts';
import { openRow, type Row } from '../../src/console/row.ts';

function row(code: string, error: string): Row {
  const open = openRow(error, { attempts: 1, uncertain: false });
  return { ...open, outcome: 'not_found', httpStatus: 404, code, error: `${code}: ${error}`, decidedAt: 1 };
}

it('outcomes are counted by the code of their reason, whatever their messages name', () => {
  const rows = [row('NotFound', 'no action 1'), row('NotFound', 'no action 2'), row('Gone', 'as it was')];
  const analyse = createAnalysis({ windows: [{ max: 1, lengthMs: 1_000 }], reserves: [] });
  const page = String(
    analyse({ version: 1, readAt: 1, rows, placesOf: () => [] }, { name: 'c' } as Campaign),
  );
  const [, table = ''] = /Outcomes by reason([\s\S]*?)<\/table>/.exec(page) ?? [];
  const cells = [...table.matchAll(/<td class="number">(\d+)<\/td><td>([^<]*)<\/td>/g)].map(([, n, text]) => [
    n,
    text,
  ]);
  assert.deepEqual(cells, [
    ['2', 'NotFound: no action 1 (and similar)'],
    ['1', 'Gone: as it was'],
  ]);
});
