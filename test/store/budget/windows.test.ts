import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatWindows, parseReserves, parseWindows, windowsFor } from '../../../src/config/limits.ts';

const MINUTE = { max: 100, lengthMs: 60_000 };
const HOUR = { max: 1_500, lengthMs: 3_600_000 };

describe('limits', () => {
  it('are read as max/duration, any number of them', () => {
    assert.deepEqual(parseWindows('100/1m,1500/1h'), [MINUTE, HOUR]);
    assert.deepEqual(parseWindows(' 5/250ms , 7/2s '), [
      { max: 5, lengthMs: 250 },
      { max: 7, lengthMs: 2_000 },
    ]);
  });

  const wrong: [string, RegExp][] = [
    ['', /does not have the form max\/duration/],
    ['100', /does not have the form max\/duration/],
    ['100/1x', /does not have the form max\/duration/],
    ['100/0s', /does not have the form max\/duration/],
    ['-1/1s', /does not have the form max\/duration/],
    ['1e3/1s', /does not have the form max\/duration/],
    ['0/1m', /allows no calls/],
    ['100/1m,', /does not have the form max\/duration/],
    ['100/1m,50/60s', /more than one limit for 1m/],
  ];
  for (const [text, message] of wrong) {
    it(`says what is wrong with "${text}"`, () => assert.match(String(parseWindows(text)), message));
  }

  it('are written as they are read', () => {
    assert.equal(formatWindows([MINUTE, HOUR, { max: 1, lengthMs: 1_500 }]), '100/1m,1500/1h,1/1500ms');
  });
});

describe('the reserve', () => {
  const windows = [MINUTE, HOUR];
  const table: [string | undefined, unknown][] = [
    [
      undefined,
      [
        { max: 10, lengthMs: 60_000 },
        { max: 30, lengthMs: 3_600_000 },
      ],
    ],
    ['30/60m', [{ max: 30, lengthMs: 3_600_000 }]],
    [
      '30/1h, 5/1m',
      [
        { max: 30, lengthMs: 3_600_000 },
        { max: 5, lengthMs: 60_000 },
      ],
    ],
    ['5/1m,0/1h', [{ max: 5, lengthMs: 60_000 }]],
    ['none', []],
    ['0/1h', []],
    ['0/7s', []],
  ];
  for (const [text, expected] of table) {
    it(`reads ${text ?? 'the default'}`, () => assert.deepEqual(parseReserves(text, windows), expected));
  }

  it('is a mistake when given for a duration that is no window', () => {
    assert.match(String(parseReserves('5/2m', windows)), /RATE_LIMITS has no window of 2m/);
  });

  it('is a mistake when given as much as its limit', () => {
    assert.match(String(parseReserves('100/1m', windows)), /100\/1m must be less than the limit, 100\/1m/);
  });

  it('is left out when only the default does not fit', () => {
    assert.deepEqual(parseReserves(undefined, [{ max: 100, lengthMs: 1_000 }]), []);
    assert.deepEqual(parseReserves(undefined, [{ max: 20, lengthMs: 3_600_000 }]), []);
    assert.deepEqual(parseReserves(undefined, [MINUTE]), [{ max: 10, lengthMs: 60_000 }]);
  });

  it('is a mistake when given twice for a window', () => {
    assert.match(String(parseReserves('5/1m,6/60s', windows)), /more than one reserve for 1m/);
  });

  it('makes its windows smaller for bulk only', () => {
    const limits = { windows, reserves: [{ max: 30, lengthMs: 3_600_000 }] };
    assert.deepEqual(windowsFor(limits, 'bulk'), [MINUTE, { max: 1_470, lengthMs: 3_600_000 }]);
    assert.deepEqual(windowsFor(limits, 'urgent'), windows);
  });
});
