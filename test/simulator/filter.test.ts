import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseFilter } from '../../src/simulator/filter.ts';
import { FilterError } from '../../src/simulator/filter-tokens.ts';
import { completeAction } from '../../src/simulator/machine-action.ts';

const A = 'aaaaaaaa-0000-4000-8000-000000000001';
const B = 'bbbbbbbb-0000-4000-8000-000000000002';
const C = 'cccccccc-0000-4000-8000-000000000003';

const ACTIONS = [
  {
    id: A,
    status: 'Pending',
    type: 'Isolate',
    requestor: "o'hara@contoso.example",
    creationDateTimeUtc: '2026-01-01T00:00:00.0000000Z',
    machineId: 'ab12',
  },
  {
    id: B,
    status: 'InProgress',
    type: 'RunAntiVirusScan',
    requestor: 'soc and more',
    creationDateTimeUtc: '2026-01-01T00:00:00.1234567Z',
    machineId: 'cd34',
  },
  {
    id: C,
    status: 'Succeeded',
    type: 'Isolate',
    requestor: '',
    creationDateTimeUtc: '2026-02-01T10:30:00Z',
    machineId: 'ef56',
  },
].map((seed) => completeAction(seed, 0));

const select = (filter: string) =>
  ACTIONS.filter(parseFilter(filter))
    .map(({ id }) => id.charAt(0))
    .join('');

/** The first letters of the ids that a filter lets through. */
const GOOD: [filter: string, expected: string][] = [
  ["status eq 'Pending'", 'a'],
  ["status ne 'Pending'", 'bc'],
  ["status eq 'pending'", ''],
  ["status gt 'InProgress'", 'ac'],
  ["status ge 'InProgress'", 'abc'],
  ["status lt 'Pending'", 'b'],
  ["status le 'Pending'", 'ab'],
  ["  status   eq\t'Pending'  ", 'a'],
  [`id eq '${A.toUpperCase()}'`, 'a'],
  ["machineId eq 'CD34'", 'b'],
  ["requestor eq 'o''hara@contoso.example'", 'a'],
  ["requestor eq 'soc and more'", 'b'],
  ["requestor eq ''", 'c'],
  ["status eq 'Pending' and type eq 'Isolate'", 'a'],
  ["type eq 'Isolate' and status eq 'InProgress'", ''],
  ["status eq 'Pending' or status eq 'InProgress'", 'ab'],
  // `and` binds tighter than `or`.
  ["status eq 'InProgress' or type eq 'Isolate' and status eq 'Succeeded'", 'bc'],
  ["(status eq 'InProgress' or type eq 'Isolate') and status eq 'Succeeded'", 'c'],
  ["not (status eq 'Pending')", 'bc'],
  ["not (status eq 'Pending') and type eq 'Isolate'", 'c'],
  ["not (not (status eq 'Pending'))", 'a'],
  ["((status eq 'Pending'))", 'a'],
  [`id in ('${A}','${C}')`, 'ac'],
  [`id in ( '${A}' , '${C.toUpperCase()}' ) and status eq 'Succeeded'`, 'c'],
  ["status in ('Pending')", 'a'],
  ["not (type in ('Isolate'))", 'b'],
  ['creationDateTimeUtc ge 2026-01-01T00:00:00Z', 'abc'],
  ['creationDateTimeUtc gt 2026-01-01T00:00:00Z', 'bc'],
  ['creationDateTimeUtc lt 2026-02-01T10:30:00Z', 'ab'],
  ['creationDateTimeUtc eq 2026-02-01T10:30:00.000Z', 'c'],
  ['creationDateTimeUtc ne 2026-02-01T10:30:00Z', 'ab'],
  // An offset is taken into account; a day begins at midnight UTC.
  ['creationDateTimeUtc le 2026-02-01T11:30:00+01:00', 'abc'],
  ['creationDateTimeUtc lt 2026-02-01T11:30:00+01:00', 'ab'],
  ['creationDateTimeUtc ge 2026-01-02', 'c'],
  ['creationDateTimeUtc ge 2026-01-02Z', 'c'],
  // Seven decimals, which a Date does not keep.
  ['creationDateTimeUtc gt 2026-01-01T00:00:00.1234566Z', 'bc'],
  ['creationDateTimeUtc gt 2026-01-01T00:00:00.1234567Z', 'c'],
  ["status eq 'Pending' and creationDateTimeUtc ge 2026-01-01T00:00:00Z", 'a'],
];

const BAD = [
  '',
  ' ',
  'status',
  'status eq',
  'status eq Pending',
  'status eq "Pending"',
  "status eq 'Pending",
  "status eq 'Pen'ding'",
  "status = 'Pending'",
  "status EQ 'Pending'",
  "Status eq 'Pending'",
  "title eq 'x'",
  "constructor eq 'x'",
  "status constructor 'x'",
  "'Pending' eq status",
  "not status eq 'Pending'",
  "not not (status eq 'Pending')",
  "(status eq 'Pending'",
  "status eq 'Pending')",
  '()',
  "status eq 'Pending' and",
  "and status eq 'Pending'",
  "status eq 'Pending' status eq 'Pending'",
  "status eq 'Pending' xor status eq 'Failed'",
  'id in ()',
  "id in ('a',)",
  "id in 'a'",
  "id in ('a' 'b')",
  'status eq 5',
  "creationDateTimeUtc ge '2026-01-01T00:00:00Z'",
  'creationDateTimeUtc ge 2026-13-01T00:00:00Z',
  'creationDateTimeUtc ge 2026-01-01T00:00:00',
  'creationDateTimeUtc ge now()',
  'status eq 2026-01-01T00:00:00Z',
  "contains(status,'Pend')",
  "status eq 'a'; drop",
  `${'('.repeat(5_000)}status eq 'Pending'${')'.repeat(5_000)}`,
];

describe('filter', () => {
  for (const [filter, expected] of GOOD) {
    it(`understands ${filter}`, () => assert.equal(select(filter), expected));
  }

  for (const filter of BAD) {
    it(`refuses ${JSON.stringify(filter.slice(0, 60))}`, () => {
      assert.throws(() => parseFilter(filter), FilterError);
    });
  }

  it('is a filter or a FilterError, whatever the text', () => {
    const word = fc.constantFrom(
      'status',
      'id',
      'eq',
      'in',
      'and',
      'or',
      'not',
      '(',
      ')',
      ',',
      "'a'",
      '2026-01-01Z',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 4 })), { maxLength: 12 }), (words) => {
        try {
          select(words.join(' '));
        } catch (error) {
          assert.ok(error instanceof FilterError, `${error}`);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
