import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatTraceparent,
  jobTraceOf,
  parseTraceparent,
  readJobTrace,
  writeJobTrace,
} from '../../../src/base/traceparent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

/** As the standard's own examples and rules have them. */
const TABLE: [text: unknown, flags: number | null][] = [
  [`00-${TRACE}-${SPAN}-01`, 1],
  [`00-${TRACE}-${SPAN}-00`, 0],
  [`00-${TRACE}-${SPAN}-ff`, 255],
  [`01-${TRACE}-${SPAN}-01`, 1],
  [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, 1],
  [`00-${TRACE}-${SPAN}-01-`, null],
  [`00-${TRACE}-${SPAN}-01-more`, null],
  [`cc-${TRACE}-${SPAN}-01.more`, null],
  [`ff-${TRACE}-${SPAN}-01`, null],
  [`00-${'0'.repeat(32)}-${SPAN}-01`, null],
  [`00-${TRACE}-${'0'.repeat(16)}-01`, null],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`, null],
  [`00-${TRACE}-${SPAN}`, null],
  [`00-${TRACE}-${SPAN}-1`, null],
  [`00-${TRACE}-${SPAN}-01\n`, null],
  [` 00-${TRACE}-${SPAN}-01`, null],
  [`cc-${TRACE}-${SPAN}-01-${'x'.repeat(1_000)}`, null],
  ['', null],
  [undefined, null],
  [5, null],
];

for (const [text, flags] of TABLE) {
  test(`traceparent ${JSON.stringify(text)?.slice(0, 90)}: ${flags === null ? 'none' : flags}`, () => {
    const wanted = flags === null ? null : { traceId: TRACE, spanId: SPAN, flags };
    assert.deepEqual(parseTraceparent(text), wanted);
  });
}

test('what was written is read again, and of flags only whether it is sampled', () => {
  const parent = { traceId: TRACE, spanId: SPAN, flags: 3 };
  assert.equal(formatTraceparent(parent), `00-${TRACE}-${SPAN}-01`);
  for (const kind of ['parent', 'link'] as const) {
    const written = writeJobTrace({ kind, parent, tracestate: 'vendor=1' });
    assert.deepEqual(readJobTrace(written), {
      kind,
      parent: { ...parent, flags: 1 },
      tracestate: 'vendor=1',
    });
  }
  assert.equal(jobTraceOf('link', null), null);
  assert.equal(jobTraceOf('parent', 'none'), null);
  assert.deepEqual(JSON.parse(jobTraceOf('parent', `00-${TRACE}-${SPAN}-01`) ?? ''), {
    traceparent: `00-${TRACE}-${SPAN}-01`,
  });
});

test('whatever stands there, it is read without an error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.json(), fc.string()), (any) => {
      const read = readJobTrace(any);
      return read === null || parseTraceparent(formatTraceparent(read.parent)) !== null;
    }),
  );
});
