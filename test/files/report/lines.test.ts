import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parse } from 'csv-parse/sync';
import { toCsv } from '../../../src/files/report/lines.ts';
import type { ReportLine } from '../../../src/store/campaign/report.ts';

const LINE: ReportLine = {
  machineActionId: '8ecf25d1-76f2-4080-a2a0-237761784bef',
  outcome: 'rejected',
  httpStatus: 409,
  errorMessage: '',
  attempts: 2,
  uncertain: true,
  campaign: 'undo',
  requestedAt: '2026-11-25T04:19:24.000Z',
  decidedAt: '2026-11-25T04:20:24.000Z',
};

async function csv(line: ReportLine, hasBom = false): Promise<Record<string, string>> {
  const lines = (async function* () {
    yield line;
  })();
  let text = '';
  for await (const part of toCsv(lines, hasBom)) text += part;
  assert.equal(text.startsWith('\ufeff'), hasBom);
  const [row = {}] = parse(text, { columns: true, bom: hasBom }) as Record<string, string>[];
  return row;
}

/** What is written, and what a spreadsheet is given to see. */
const CELLS: [text: string, cell: string][] = [
  ['=HYPERLINK("http://x","y")', `'=HYPERLINK("http://x","y")`],
  ['+1+cmd|calc', `'+1+cmd|calc`],
  ['-2+3', `'-2+3`],
  ['@SUM(A1)', `'@SUM(A1)`],
  ['\t=1', `\t'=1`],
  ['\r=1', `\r'=1`],
  ['＝1', `'＝1`],
  ['a=1, "b"\nc', 'a=1, "b"\nc'],
  ['', ''],
];

for (const [text, cell] of CELLS) {
  it(`CSV makes ${JSON.stringify(text)} a text`, async () => {
    assert.equal((await csv({ ...LINE, errorMessage: text }))['errorMessage'], cell);
  });
}

it('CSV begins with a byte-order mark where that is asked for', async () => {
  assert.equal((await csv(LINE, true))['machineActionId'], LINE.machineActionId);
});

it('CSV leaves ids, numbers, times and truths as they are', async () => {
  const row = await csv(LINE);
  assert.equal(row['machineActionId'], LINE.machineActionId);
  assert.deepEqual([row['httpStatus'], row['attempts'], row['uncertain']], ['409', '2', 'true']);
  assert.deepEqual([row['requestedAt'], row['decidedAt']], [LINE.requestedAt, '2026-11-25T04:20:24.000Z']);
  assert.deepEqual([row['verifiedAt'], row['machineId']], ['', '']);
});
