import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { csvText } from '../../../src/files/report/csv.ts';

/** What a spreadsheet makes of a line that it splits on a separator, leaving out quotes, blanks and line breaks around a cell. */
function cellsOf(csv: string, separator: string): string[] {
  return csv
    .split(/[\r\n]/)
    .flatMap((line) => line.split(separator).map((cell) => cell.replace(/^[\s"]+/, '')));
}

describe('CSV', () => {
  it('holds no formula, on whatever separator a spreadsheet splits', () => {
    const part = fc.constantFrom(
      '=',
      '+',
      '-',
      '@',
      '＝',
      ',',
      ';',
      '\t',
      '|',
      ' ',
      '\n',
      '\r',
      '"',
      'a',
      '1',
    );
    const text = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (cell) => {
        for (const separator of [',', ';', '\t', '|'])
          for (const shown of cellsOf(csvText([[cell]]), separator))
            assert.doesNotMatch(shown, /^[=+\-@＝＋－＠]/, JSON.stringify(cell));
      }),
      { numRuns: 2_000 },
    );
  });

  for (const [text, expected] of [
    ['=1+1', "'=1+1"],
    ['  =1', "  '=1"],
    ['\n\n@SUM(A1)', "\n\n'@SUM(A1)"],
    ['x;=cmd|x', "x;'=cmd|x"],
    ['4f9cbe8e-0000-4000-8000-000000000001', '4f9cbe8e-0000-4000-8000-000000000001'],
    ['2026-11-30T09:12:31Z', '2026-11-30T09:12:31Z'],
    ['not found - ask', 'not found - ask'],
  ] as const)
    it(`makes of ${JSON.stringify(text)} what does no harm`, () => {
      const [line = ''] = [csvText([[text]]).slice(0, -1)];
      assert.equal(line.replace(/^"|"$/g, '').replaceAll('""', '"'), expected);
    });

  it('leaves numbers and truths as they are', () => {
    assert.equal(csvText([[-1, true, false, null, undefined]]), '-1,true,false,,\n');
  });
});
