import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createAnalysis } from '../../src/console/campaign-parts.ts';
import { openRow, type Row } from '../../src/console/row.ts';
import type { Campaign } from '../../src/store/campaign/registry.ts';

function row(code: string, error: string): Row {
  const open = openRow(error, { attempts: 1, uncertain: false });
  return { ...open, outcome: 'not_found', httpStatus: 404, code, error: `${code}: ${error}`, decidedAt: 1 };
}

/** Outcome, number and reason of each row, with the total. */
function reasonsOf(rows: Row[]): string[][] {
  const analyse = createAnalysis({ windows: [{ max: 1, lengthMs: 1_000 }], reserves: [] });
  const page = String(
    analyse({ version: 1, readAt: 1, rows, placesOf: () => [] }, { name: 'c' } as Campaign),
  );
  const [, table = ''] = /Outcomes by reason<\/h2>([\s\S]*?)<\/table>/.exec(page) ?? [];
  return [
    ...table.matchAll(
      /<tr><th scope="row">(.*?)<\/th>.*?<td class="number">([\d,]+)<\/td><td>([^<]*)<\/td>/g,
    ),
  ].map(([, head = '', ...cells]) => [head.replace(/<[^>]*>/g, ''), ...cells]);
}

it('outcomes are counted by the code of their reason, whatever their messages name', () => {
  const rows = [row('NotFound', 'no action 1'), row('NotFound', 'no action 2'), row('Gone', 'as it was')];
  assert.deepEqual(reasonsOf(rows), [
    ['not_found', '2', 'NotFound: no action 1 (and similar)'],
    ['not_found', '1', 'Gone: as it was'],
    ['Total', '3', ''],
  ]);
});

it('reasons add up to all actions: also what no call brought, what is pending, and rare ones', () => {
  const pending = openRow('a', { attempts: 0, uncertain: false });
  const listed: Row = { ...pending, outcome: 'already_final', decidedAt: 1 };
  assert.deepEqual(reasonsOf([listed, listed, pending]), [
    ['already_final', '2', 'Finished before it could be cancelled'],
    ['pending', '1', 'No outcome yet'],
    ['Total', '3', ''],
  ]);
  const many = Array.from({ length: 1_200 }, (_, at) => row(`Code${at}`, 'x'));
  const shown = reasonsOf([...many, row('Code0', 'x')]);
  assert.deepEqual(
    [shown.length, shown[0]?.[1], ...shown.slice(-2)],
    [22, '2', ['others', '1,180', 'Rarer reasons'], ['Total', '1,201', '']],
  );
});
