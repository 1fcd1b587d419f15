import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeDuration, describeWindow } from '../../src/base/duration.ts';
import { formatPast, formatTime, formatUpcoming, formatUtc } from '../../src/base/words/time.ts';

const NOW = Date.parse('2026-11-30T09:12:31Z');

it('a time has its zone, and its date where that is another day', () => {
  assert.match(formatTime(NOW, NOW), /^\d\d:\d\d:31 UTC([+-]\d+(:\d\d)?)?$/);
  assert.match(formatTime(NOW + 3 * 86_400_000, NOW), /^2026-12-0\d \d\d:\d\d:31 UTC/);
  assert.equal(formatUtc(NOW), '2026-11-30 09:12:31 UTC');
});

it('what comes and what was is said with how far away it is', () => {
  assert.match(formatUpcoming(NOW + 53_000, NOW), /^at .* \(in 53 s\)$/);
  assert.equal(formatUpcoming(NOW, NOW), 'any moment now');
  assert.match(formatPast(NOW - 240_000, NOW), / \(4 min ago\)$/);
});

it('durations are rounded, and windows are exact', () => {
  const rounded = [
    [0, 'under 1 s'],
    [1_001, '2 s'],
    [59_001, '1 min'],
    [113_000, '2 min'],
    [3_599_000, '1 h'],
    [22_140_000, '6 h 9 min'],
    [86_400_000, '24 h'],
    [172_800_000, '2 d'],
    [176_400_000, '2 d 1 h'],
  ] as const;
  for (const [ms, words] of rounded) assert.equal(describeDuration(ms), words);
  const exact = [
    [60_000, 'minute'],
    [3_600_000, 'hour'],
    [10_000, '10 s'],
    [90_000, '90 s'],
    [600_000, '10 min'],
    [1_500, '1.5 s'],
    [7_200_000, '2 h'],
  ] as const;
  for (const [ms, words] of exact) assert.equal(describeWindow(ms), words);
});
