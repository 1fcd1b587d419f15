import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readAction } from '../../../src/defender/classify.ts';
import { matches, toFilter, withoutEnded } from '../../../src/files/select/filter.ts';
import { type Condition, parseWhere, strangeValues, type Where } from '../../../src/files/select/where.ts';
import { parseFilter } from '../../../src/simulator/filter.ts';
import { completeAction, type MachineAction } from '../../../src/simulator/machine-action.ts';
import { anyCharacter } from '../../fuzz/strange.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const ID = '8ecf25d1-76f2-4080-a2a0-237761784bef';

const one = (field: string, ...values: string[]) => ({ field, operator: '=', values });
const none = (field: string, ...values: string[]) => ({ field, operator: '!=', values });
const created = (operator: string, iso: string) => ({ field: 'created', operator, at: Date.parse(iso) });

describe('--where', () => {
  const GOOD: [text: string, where: unknown[], filter: string][] = [
    ['type=Isolate', [one('type', 'Isolate')], "type eq 'Isolate'"],
    [' TYPE = isolate ', [one('type', 'Isolate')], "type eq 'Isolate'"],
    ['status=pending', [one('status', 'Pending')], "status eq 'Pending'"],
    ['status=canceled', [one('status', 'Cancelled')], "status eq 'Cancelled'"],
    [
      'status=Pending,InProgress',
      [one('status', 'Pending', 'InProgress')],
      "(status eq 'Pending' or status eq 'InProgress')",
    ],
    [
      'status != Failed , TimeOut',
      [none('status', 'Failed', 'TimeOut')],
      "status ne 'Failed' and status ne 'TimeOut'",
    ],
    ['type=Reboot', [one('type', 'Reboot')], "type eq 'Reboot'"],
    [
      "type=Isolate and status=Pending and requestor='o''hara@contoso.example'",
      [one('type', 'Isolate'), one('status', 'Pending'), one('requestor', "o'hara@contoso.example")],
      "type eq 'Isolate' and status eq 'Pending' and requestor eq 'o''hara@contoso.example'",
    ],
    [
      `requestor="Soc and ""more"", or 'less'"`,
      [one('requestor', `Soc and "more", or 'less'`)],
      `requestor eq 'Soc and "more", or ''less'''`,
    ],
    ["requestor=''", [one('requestor', '')], "requestor eq ''"],
    ["requestor='and'", [one('requestor', 'and')], "requestor eq 'and'"],
    ['requestor=android', [one('requestor', 'android')], "requestor eq 'android'"],
    [`id={${ID.toUpperCase()}}`, [one('id', ID)], `id eq '${ID}'`],
    ['machineid!=ab12', [none('machineId', 'ab12')], "machineId ne 'ab12'"],
    [
      'created>=2026-11-23T08:00Z',
      [created('>=', '2026-11-23T08:00:00Z')],
      'creationDateTimeUtc ge 2026-11-23T08:00:00.000Z',
    ],
    [
      'created>2026-11-23T08:00:30.5+01:00 AND created<2026-11-24t00:00z',
      [created('>', '2026-11-23T07:00:30.500Z'), created('<', '2026-11-24T00:00:00Z')],
      'creationDateTimeUtc gt 2026-11-23T07:00:30.500Z and creationDateTimeUtc lt 2026-11-24T00:00:00.000Z',
    ],
    [
      "created <= '-90m'",
      [created('<=', '2026-11-25T10:30:00Z')],
      'creationDateTimeUtc le 2026-11-25T10:30:00.000Z',
    ],
    [
      'created>=-1h',
      [created('>=', '2026-11-25T11:00:00Z')],
      'creationDateTimeUtc ge 2026-11-25T11:00:00.000Z',
    ],
    [
      'created>=-7d',
      [created('>=', '2026-11-18T12:00:00Z')],
      'creationDateTimeUtc ge 2026-11-18T12:00:00.000Z',
    ],
  ];
  for (const [text, where, filter] of GOOD) {
    it(`reads ${text}`, () => {
      const read = parseWhere(text, NOW);
      assert.deepEqual(read, where);
      assert.equal(toFilter(read), filter);
      parseFilter(filter);
    });
  }

  const BAD: [text: string, column: number, says: RegExp][] = [
    ['', 1, /^expected a field: type, status, requestor, machineId, created or id$/],
    ['  ', 3, /expected a field/],
    ['Isolate', 1, /^unknown field "Isolate" \(use type, status, requestor, machineId, created or id\)$/],
    ['computerDnsName=ws-1', 1, /unknown field "computerDnsName"/],
    ['(type=Isolate)', 1, /expected a field/],
    ['type', 5, /expected an operator/],
    ['type Isolate', 6, /expected an operator/],
    ['type=', 6, /expected a value/],
    ['type= and status=Pending', 7, /expected a value/],
    ['type==Isolate', 6, /expected a value; quote it if it contains spaces, commas, quotes or operators/],
    ['type=,Isolate', 6, /expected a value/],
    ['type=Isolate,', 14, /expected a value/],
    ['type=Isolate and', 17, /expected a field/],
    ['type=Isolate and and', 18, /unknown field "and"/],
    [
      'type=Isolate or status=Pending',
      14,
      /^join conditions with "and"; for several values of one field, write/,
    ],
    ['type=Isolate status=Pending', 14, /expected "and"/],
    ['type=Isolate,status=Pending', 20, /^quote a value that contains this character$/],
    ["requestor=o'hara", 12, /^quote a value that contains this character$/],
    ["requestor='o'hara'", 14, /^quote a value that contains this character$/],
    ["requestor='o", 11, /expected a value/],
    ['status=Pending)', 15, /^quote a value that contains this character$/],
    ['type>Isolate', 5, /^use = or != with type$/],
    ['id=12', 4, /^not a machine action id/],
    [`id=${ID},x`, 41, /^not a machine action id/],
    ['created=2026-11-23T08:00Z', 8, /^use >, >=, < or <= with created/],
    ['created>=2026-11-23T08:00', 10, /^the time zone is missing; write for example 2026-11-23T08:00Z or /],
    ['created>=2026-11-23', 10, /^the time of day is missing; write for example/],
    ['created>=2026-02-30T08:00Z', 10, /^this time does not exist$/],
    ['created>=2026-11-23T25:00Z', 10, /^this time does not exist$/],
    ['created>=yesterday', 10, /^not a time; write for example/],
    ['created>=-1', 10, /^not a relative time; write for example/],
    ['created>=-1w', 10, /^not a relative time; write for example/],
    ['created>=-99999d', 10, /^this time is before 1970$/],
    ['created>=-1h,-2h', 14, /^created takes a single time$/],
    ['type=Isolate\nand\u202e x=1', 17, /expected a field/],
  ];
  for (const [text, column, says] of BAD) {
    it(`points at column ${column} of ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseWhere(text, NOW),
        (error: Error & { code?: string }) => {
          const [problem = '', shown = '', pointer = '', ...more] = error.message.split('\n');
          assert.equal(error.code, 'USAGE');
          const [, said] = problem.split(`--where, column ${column}: `);
          assert.match(said ?? '', says, problem);
          assert.deepEqual(
            [shown.length, pointer, more],
            [text.length + 2, `  ${' '.repeat(column - 1)}^`, []],
          );
          assert.doesNotMatch(shown, /\p{C}/u);
          return true;
        },
      );
    });
  }

  it('refuses what would not fit into an address', () => {
    const ids = (count: number) => parseWhere(`id=${Array.from({ length: count }, () => ID).join(',')}`, NOW);
    assert.ok(toFilter(withoutEnded(ids(100))).length < 6_000);
    const says = {
      code: 'USAGE',
      message: '--where is too long for one call to the API; put the ids in a file instead',
    };
    assert.throws(() => toFilter(ids(120)), says);
  });

  it('asks for what has not ended, unless a status is named', () => {
    const open = withoutEnded(parseWhere('type=Isolate', NOW));
    assert.deepEqual(open.at(-1), none('status', 'Succeeded', 'Failed', 'TimeOut', 'Cancelled'));
    const named = parseWhere('type=Isolate and status!=Pending', NOW);
    assert.equal(withoutEnded(named), named);
  });

  it('knows a slip of the pen', () => {
    const where = parseWhere('type=Isolat,Isolate,Scan and status=Running and requestor=Isolat', NOW);
    assert.deepEqual(strangeValues(where), [
      'unknown type "Isolat"; did you mean Isolate?',
      'unknown type "Scan"; did you mean RunAntiVirusScan?',
      'unknown status "Running" (known: Pending, InProgress, Succeeded, Failed, TimeOut, Cancelled)',
    ]);
  });
});

/** Whatever a person writes between quotes. */
const anyText = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 30 }),
  fc.string({
    unit: fc.constantFrom("'", '"', ' ', ',', '(', ')', '=', 'a', 'or', ' eq ', '\u2019'),
    maxLength: 12,
  }),
  fc.constantFrom(
    "' or '1' eq '1",
    "x') or (status eq 'Pending",
    "'",
    "''",
    '\\',
    "\\'",
    '%27',
    '&$top=1',
    '#',
    '+',
  ),
);

const inQuotes = (value: string, quote: "'" | '"') => quote + value.replaceAll(quote, quote + quote) + quote;

function actionWith(changes: Partial<MachineAction>): MachineAction {
  return completeAction({ id: ID, ...changes }, 0);
}

/** Objects as parsing makes them. */
const PLAIN = { noNullPrototype: true };

describe('a built filter', () => {
  const quote = fc.constantFrom<"'" | '"'>("'", '"');

  for (const field of ['requestor', 'type', 'status', 'machineId'] as const) {
    it(`lets through exactly the ${field} that was asked for, whatever it is`, () => {
      fc.assert(
        fc.property(anyText, anyText, quote, (asked, other, mark) => {
          const where = parseWhere(`${field}=${inQuotes(asked, mark)}`, 0);
          assert.deepEqual(where, [{ field, operator: '=', values: [asked] }]);
          // As the server gets it.
          const sent = new URLSearchParams(`f=${encodeURIComponent(toFilter(where))}`).get('f') ?? '';
          const lets = parseFilter(sent);
          assert.equal(lets(actionWith({ [field]: asked })), true);
          const fold = field === 'machineId' ? (text: string) => text.toLowerCase() : (text: string) => text;
          for (const text of [other, `${asked}x`, `x${asked}`, '', 'Pending', 'Isolate']) {
            assert.equal(
              lets(actionWith({ [field]: text })),
              fold(text) === fold(asked),
              JSON.stringify(text),
            );
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  const texts = fc.array(fc.constantFrom('a', "a'", 'b c', '', 'x,y', 'and', "') or ('"), {
    minLength: 1,
    maxLength: 3,
  });
  const operator = fc.constantFrom<'=' | '!='>('=', '!=');
  const field = fc.constantFrom<'requestor' | 'type' | 'machineId'>('requestor', 'type', 'machineId');
  const at = fc.integer({ min: 0, max: 5 }).map((step) => NOW + step);
  const condition: fc.Arbitrary<Condition> = fc.oneof(
    fc.record({ field, operator, values: texts }, PLAIN),
    fc.record(
      {
        field: fc.constant('created' as const),
        operator: fc.constantFrom<'>' | '>=' | '<' | '<='>('>', '>=', '<', '<='),
        at,
      },
      PLAIN,
    ),
  );
  const action = fc.record({ requestor: texts, type: texts, machineId: texts, at }).map((made) =>
    actionWith({
      requestor: made.requestor[0] ?? '',
      type: made.type[0] ?? '',
      machineId: made.machineId[0] ?? '',
      creationDateTimeUtc: new Date(made.at).toISOString(),
    }),
  );
  const write = (one: Condition) =>
    one.field === 'created'
      ? `created ${one.operator} ${new Date(one.at).toISOString()}`
      : `${one.field}${one.operator}${one.values.map((value) => inQuotes(value, '"')).join(', ')}`;

  it('means what is checked here once more, and what was written', () => {
    const wheres: fc.Arbitrary<Where> = fc.array(condition, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(wheres, fc.array(action, { minLength: 1, maxLength: 5 }), (where, actions) => {
        assert.deepEqual(parseWhere(where.map(write).join(' and '), 0), where);
        const lets = parseFilter(toFilter(where));
        for (const one of actions) {
          const read = readAction(one);
          assert.ok(read);
          assert.equal(matches(where, read), lets(one), toFilter(where));
        }
      }),
      { numRuns: 500 },
    );
  });
});
