import { randomInt, randomUUID } from 'node:crypto';
import fc from 'fast-check';

const { FUZZ_RUNS, FUZZ_SEED } = process.env;

/**
 * Where the inputs come from: the same each time in a short run, which is to tell what a change has done, and new ones in a full run,
 * which is to find something. FUZZ_SEED brings a run back.
 */
export const SEED = FUZZ_SEED ? Number(FUZZ_SEED) : FUZZ_RUNS ? randomInt(2 ** 31) : 1;

/** How many inputs are tried in memory; `npm run test:full` tries more. */
export const CHEAP_RUNS = Number(FUZZ_RUNS ?? 100);

/** How many go all the way: a tenth of those. */
export const COSTLY_RUNS = Math.ceil(CHEAP_RUNS / 10);

/** Any character. The library's own unit `binary` builds a table of them all, which takes half a second of processor in each file. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((number) => String.fromCodePoint(number < 0xd800 ? number : number + 0x800));

/** Texts with which parsers, paths, terminals and logs are tricked. */
const TRICKS = [
  '',
  ' ',
  '\0',
  '\r\n',
  '\u001b[2J\u001b]0;x\u0007',
  '\u202e\u2066',
  '\ud800',
  '\udfff\ud800',
  '\ufeff',
  '\u2028',
  '../',
  '..%2f..%2f',
  '%2e%2e/',
  '%00',
  '%',
  '?x=1',
  '#x',
  '\\',
  '//evil.example/',
  'https://evil.example/',
  '@evil.example',
  ' HTTP/1.1\r\nHost: evil.example\r\n\r\n',
  '__proto__',
  'constructor',
  'toString',
  '{{7*7}}',
  "'; DROP TABLE jobs; --",
  '=cmd|x',
  '-1',
  '1e999',
  'NaN',
  'null',
  'true',
  '0x10',
] as const;

const trick = fc.constantFrom<string>(...TRICKS);

export const strangeText: fc.Arbitrary<string> = fc.oneof(
  trick,
  fc.string({ unit: anyCharacter, maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.tuple(trick, trick, fc.string({ maxLength: 5 })).map((parts) => parts.join('')),
  fc
    .tuple(trick, fc.integer({ min: 1, max: 5_000 }))
    .map(([text, times]) => text.repeat(times).slice(0, 20_000)),
);

/** A GUID that nobody else has. */
export const freshGuid: fc.Arbitrary<string> = fc.uuid().map(() => randomUUID());

/** Characters that look like others. */
const LOOKALIKES: readonly [plain: RegExp, twin: string][] = [
  [/[0-9]/, '０'],
  [/[0-9]/, '٣'],
  [/[0-9]/, '𝟎'],
  [/-/, '‐'],
  [/-/g, '–'],
  [/-/, '\u00ad'],
  [/a/i, 'а'],
  [/c/i, 'с'],
  [/e/i, 'е'],
  [/f/i, 'ﬀ'],
  [/b/i, '\u212a'],
  [/^/, '\u200b'],
  [/$/, '\u00a0'],
  [/$/, '\0'],
];

/** What people and attackers make of an id. Some of it still names it. */
export const strangeId: fc.Arbitrary<string> = fc.oneof(
  freshGuid,
  freshGuid.map((id) => id.toUpperCase()),
  fc
    .tuple(
      freshGuid,
      fc.constantFrom('{}', '""', "''", '"{}"', "'{}'", '()', '  ', '\t\n', '{"}"', '``', '“”', '{{}}'),
    )
    .map(([id, around]) => around.slice(0, around.length / 2) + id + around.slice(around.length / 2)),
  fc.tuple(freshGuid, fc.constantFrom('urn:uuid:', 'guid:', 'id=', '0x')).map(([id, prefix]) => prefix + id),
  fc.tuple(freshGuid, trick).map(([id, text]) => id + text),
  fc.tuple(freshGuid, trick).map(([id, text]) => text + id),
  fc.tuple(freshGuid, trick, fc.nat(36)).map(([id, text, at]) => id.slice(0, at) + text + id.slice(at)),
  fc.tuple(freshGuid, fc.constantFrom(...LOOKALIKES)).map(([id, [plain, twin]]) => id.replace(plain, twin)),
  freshGuid.map((id) => id.replaceAll('-', '')),
  fc.tuple(freshGuid, fc.nat(35)).map(([id, at]) => id.slice(0, at) + id.slice(at + 1)),
  fc.tuple(freshGuid, freshGuid).map((ids) => ids.join(',')),
  strangeText,
);

export const strangeNumber: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, -0, -1, 1, 0.5, 1e21, 1e308, 2 ** 31, 2 ** 53, -(2 ** 53), 8.64e15, 8.64e15 + 1, 5e-324),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
);

export const strangeTime: fc.Arbitrary<unknown> = fc.oneof(
  strangeNumber,
  fc.constantFrom(
    '2026-13-45T99:99:99Z',
    '2026-02-30T00:00:00Z',
    '0000-00-00T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '+275760-09-13T00:00:00.001Z',
    '-000001-01-01T00:00:00Z',
    '2026-11-25T18:00:00',
    '2026-11-25T18:00:00+99:99',
    '2026-11-25T18:00:00.123456789Z',
    'tomorrow',
    '２０２６-11-25T18:00:00Z',
  ),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  strangeText,
);

/** Any JSON, with keys that hurt. */
export const strangeJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.dictionary(
    fc.oneof(strangeText, fc.constantFrom('__proto__', 'constructor', 'prototype', 'length')),
    fc.jsonValue({ maxDepth: 1 }),
    {
      maxKeys: 6,
      noNullPrototype: true,
    },
  ),
  strangeText,
  strangeNumber,
  fc.constantFrom(null, true, false, [], {}, [[]]),
);

/** Brackets in brackets: what recurses over them overflows. */
export function nested(depth: number, open = '[', close = ']'): string {
  return open.repeat(depth) + close.repeat(depth);
}

/** The lower-case GUID that a text names by the contract: bare, in braces, in quotes, white space around. Read by hand, apart from the product. */
export function namedBy(text: unknown): string | null {
  if (typeof text !== 'string' || text.length > 200) return null;
  let inner = text;
  while (inner !== '' && ' \t\n\v\f\r'.includes(inner[0] ?? 'x')) inner = inner.slice(1);
  while (inner !== '' && ' \t\n\v\f\r'.includes(inner.at(-1) ?? 'x')) inner = inner.slice(0, -1);
  for (const pair of ['""', "''"]) {
    if (inner.length > 1 && inner[0] === pair[0] && inner.at(-1) === pair[1]) {
      inner = inner.slice(1, -1);
      break;
    }
  }
  if (inner.length === 38 && inner[0] === '{' && inner[37] === '}') inner = inner.slice(1, -1);
  if (inner.length !== 36) return null;
  for (let at = 0; at < 36; at++) {
    const allowed = [8, 13, 18, 23].includes(at) ? '-' : '0123456789abcdefABCDEF';
    if (!allowed.includes(inner[at] ?? 'x')) return null;
  }
  return inner.toLowerCase();
}
