import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { classify } from '../../src/defender/classify.ts';
import { httpDate, retryAfter } from '../../src/defender/retry-after.ts';

const NOW = Date.UTC(2026, 10, 30, 9, 0, 0);

describe('the wait that an answer names', () => {
  const ROWS: [header: string | string[] | undefined, message: string, seconds: number | null][] = [
    ['30', '', 30],
    ['0', '', 1],
    ['60.5', '', 61],
    ['2.542', '', 3],
    ['45.9', '', 46],
    ['0.2', '', 1],
    [' 7 ', '', 7],
    ['1000000000', '', 1_000_000_000],
    ['9'.repeat(400), '', 1_000_000_000],
    [['5', '60'], '', 60],
    ['Mon, 30 Nov 2026 09:01:00 GMT', '', 60],
    ['Monday, 30-Nov-26 09:01:00 GMT', '', 60],
    ['Mon Nov 30 09:01:00 2026', '', 60],
    ['Mon, 30 Nov 2026 08:00:00 GMT', '', 1],
    ['-5', '', null],
    ['-5', 'You can send requests again in 8 seconds.', 8],
    ['45,9', 'again in 8.5 seconds', 9],
    ['1e3', '', null],
    ['0x10', '', null],
    ['+5', '', null],
    ['5.', '', null],
    ['soon', '', null],
    ['2026-11-30T09:01:00Z', '', null],
    ['Nov 30 2026 09:01', '', null],
    ['Tue, 30 Nov 2026 09:01:00 GMT', '', null],
    ['Mon, 31 Nov 2026 09:01:00 GMT', '', null],
    ['Mon, 30 Nov 2026 09:01:00 +0100', '', null],
    ['Mon, 30 Nov 2026 25:01:00 GMT', '', null],
    [undefined, 'in 1 second', 1],
    [undefined, 'Maximum allowed 1500 per 01:00:00', null],
    [undefined, '', null],
  ];
  for (const [header, message, seconds] of ROWS) {
    it(`${JSON.stringify(header)?.slice(0, 40)} ${message}: ${seconds}`, () => {
      const named = retryAfter({ headers: { 'retry-after': header } }, message, NOW);
      assert.equal(named, seconds === null ? null : 1_000 * seconds);
    });
  }

  it('a date counts from the time that the server tells, where it tells one', () => {
    const headers = { 'retry-after': 'Mon, 30 Nov 2026 09:01:00 GMT', date: 'Mon, 30 Nov 2026 09:00:50 GMT' };
    assert.equal(retryAfter({ headers }, '', NOW), 10_000);
    assert.equal(retryAfter({ headers: { ...headers, date: '12' } }, '', NOW), 60_000);
  });

  it('is never anything but whole seconds, whatever stands there', () => {
    const header = fc.oneof(
      fc.string(),
      fc.double().map(String),
      fc.date({ noInvalidDate: true }).map(String),
    );
    fc.assert(
      fc.property(header, fc.string(), (value, message) => {
        const named = retryAfter({ headers: { 'retry-after': value } }, message, NOW);
        assert.ok(named === null || (Number.isSafeInteger(named / 1_000) && named >= 1_000), String(named));
      }),
    );
  });

  it('every HTTP date is read, to the second', () => {
    const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
    fc.assert(
      fc.property(seconds, (s) => assert.equal(httpDate(new Date(1_000 * s).toUTCString()), 1_000 * s)),
    );
  });

  it('of a 429 is a minute where none is named; of a 503 none', () => {
    const answer = { kind: 'answer', headers: { 'retry-after': '-5' }, body: '' } as const;
    const of = (status: number) => classify({ ...answer, status }, '', NOW) as { retryAfterMs?: number };
    assert.deepEqual([of(429).retryAfterMs, of(503).retryAfterMs], [60_000, undefined]);
  });
});
