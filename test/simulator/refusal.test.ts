import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RefusalStyle, refusalAnswer } from '../../src/simulator/refusal.ts';

const USUAL: RefusalStyle = { retryAfter: 'seconds', code: 'TooManyRequests', message: 'full' };
const WALL_MS = Date.parse('2026-03-04T05:06:07.250Z');

function refuse(waitMs: number, style: Partial<RefusalStyle> = {}, windowMs = 3_600_000) {
  const refusal = { waitMs, quota: { max: 1_500, windowMs } };
  const answer = refusalAnswer(refusal, { ...USUAL, ...style }, { wallMs: WALL_MS, target: 'T' });
  return { ...answer, error: JSON.parse(answer.body).error as Record<string, string> };
}

describe('refusal', () => {
  const seconds: [waitMs: number, expected: string][] = [
    [0, '1'],
    [0.001, '1'],
    [999, '1'],
    [1_000, '1'],
    [1_000.5, '2'],
    [7_200, '8'],
    [3_600_000, '3600'],
  ];
  for (const [waitMs, expected] of seconds) {
    it(`rounds a wait of ${waitMs} ms up to ${expected} s`, () => {
      const { status, headers, error } = refuse(waitMs);
      assert.equal(status, 429);
      assert.equal(headers['retry-after'], expected);
      assert.match(error.message ?? '', new RegExp(`You can send requests again in ${expected} seconds\\.$`));
    });
  }

  it('names the limit as .NET writes a time span', () => {
    assert.match(refuse(1).error.message ?? '', /maximum allowed 1500 per 01:00:00 /);
    assert.match(refuse(1, {}, 60_000).error.message ?? '', / per 00:01:00 /);
    assert.match(refuse(1, {}, 1_250).error.message ?? '', / per 00:00:01\.2500000 /);
    assert.match(refuse(1, {}, 90_061_000).error.message ?? '', / per 25:01:01 /);
  });

  it('sends the date of the next possible second', () => {
    const { headers } = refuse(2_000, { retryAfter: 'http-date' });
    // 05:06:09.250 is not over before 05:06:10.
    assert.equal(headers['retry-after'], 'Wed, 04 Mar 2026 05:06:10 GMT');
  });

  it('can leave out the header, the numbers, and the name', () => {
    const { headers, error } = refuse(5_000, { retryAfter: 'none', code: '429', message: 'bare' });
    assert.equal('retry-after' in headers, false);
    assert.equal(error.code, '429');
    assert.doesNotMatch(error.message ?? '', /\d/);
    assert.equal(error.target, 'T');
  });
});
