import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { excerpt, foreign, printable } from '../../src/base/foreign.ts';
import { createLog } from '../../src/base/log.ts';
import { forget, remember, startWithoutSecrets, withoutSecrets } from '../../src/base/secret.ts';
import { actorOf } from '../../src/cli/actor.ts';
import { formatTable } from '../../src/cli/table.ts';
import { classify, readAction } from '../../src/defender/classify.ts';
import { SignInError } from '../../src/defender/sign-in-error.ts';
import { findingsOf } from '../../src/ops/doctor/finding.ts';
import { parseJob } from '../../src/queue/job.ts';
import { causeOf } from '../../src/store/redis/failure.ts';
import { anyCharacter } from '../fuzz/strange.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const TOKEN = `eyJhbGciOiJub25lIn0.eyJyb2xlcyI6WyJNYWNoaW5lLlNjYW4iXX0.${'c2lnbmF0dXJl'.repeat(4)}`;
const SECRET = 'Zz~9"/+ &%<secret>\\of-an-application';
/** What a terminal would obey, or not show. */
const ORDERS = '\u001b[2J\u009b31m\u001b]0;title\u0007\r\u202e\u2066\u200b\u034f\u3164\u{e0041}\u007f';
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
/** In a full run a mebibyte of it. */
const LENGTH = process.env['FUZZ_RUNS'] ? 2 ** 20 : 2 ** 18;

/** What repeated a million times once kept, or might keep, a parser busy. */
const REPEATED = [
  'e',
  'eyJ',
  '-eyJ',
  'eyJ.',
  'eyJaaaaaaaaaa.',
  'a.',
  'Bearer ',
  'Bearer',
  ' ',
  '\t',
  '"',
  "'",
  '\\',
  '\\u001b',
  '%',
  '\u001b',
  '\u001b[',
  '\0',
  '\n',
  '\r\n',
  '\ud800',
  '\udfff',
  '\u{1f600}',
  '\u0301',
  'a\u0301',
  '\u200d',
  '\u202e',
  '[secret]',
  'AADSTS',
  ' - Description: ',
  ' Trace ID:',
  '<',
  '{',
  '[',
];

describe('text that somebody else wrote', () => {
  const known = new Set<string>();
  const know = (value: string) => {
    known.add(value);
    remember(value);
  };
  afterEach(() => {
    for (const value of known) forget(value);
    known.clear();
  });

  /** Where such text comes in, each with what is kept of it. */
  const WAYS: [way: string, keep: (text: string) => unknown][] = [
    ['an error code', (text) => refusal({ code: text })],
    ['a message', (text) => refusal({ message: text })],
    ['a correlation id', (text) => refusal({ target: text })],
    ['a page', (text) => classify(answer(502, `<p>${text}`), ID, 0)],
    ['a network error', (text) => classify({ kind: 'lost', code: text, message: text }, ID, 0)],
    ...['status', 'type', 'requestor', 'machineId', 'computerDnsName'].map(
      (field): [string, (text: string) => unknown] => [
        `an action's ${field}`,
        (text) => {
          const { requestor, summary } = readAction({ id: ID, status: 'Pending', [field]: text }) ?? {};
          return { requestor, summary };
        },
      ],
    ),
    [
      'a sign-in error',
      (text) => ({ ...new SignInError(text, text), message: new SignInError(text, text).message }),
    ],
    ['a finding of doctor', (text) => findingsOf('api').ok({ finding: text, meaning: text, advice: text })],
    ["Redis' answer", (text) => causeOf(Object.assign(new Error(text), { name: 'ReplyError' }))],
    ["a job's id", (text) => parseJob('cancel', { machineActionId: text }, { comment: 'x' })],
    ["a job's name", (text) => parseJob(text, { machineActionId: ID }, { comment: 'x' })],
    [
      'who asked',
      (text) =>
        parseJob('cancel', { machineActionId: ID, requestedBy: text.slice(0, 200) }, { comment: 'x' }),
    ],
    ['a command line', (text) => actorOf(['submit', text])],
  ];

  for (const [way, keep] of WAYS) {
    it(`${way}: no secret, no order to a terminal, never more than is kept`, () => {
      know(SECRET);
      for (const text of [TOKEN, SECRET, JSON.stringify(SECRET), encodeURIComponent(SECRET)]) {
        const kept = JSON.stringify(keep(`got ${text}`));
        assert.doesNotMatch(kept, /eyJ|of-an-application/);
        assert.match(kept, /\[secret\]/);
      }
      assert.doesNotMatch(texts(keep(`got ${ORDERS}.`)).join(''), UNSEEN);
      for (const piece of REPEATED) {
        const kept = texts(keep(piece.repeat(LENGTH / piece.length)));
        for (const text of kept) assert.ok(text.length <= 2_100 && text.isWellFormed(), `${text.length}`);
      }
    });
  }

  it('of which only a bounded start is looked at, whatever its length', () => {
    know(SECRET);
    for (const piece of REPEATED) {
      const text = piece.repeat(LENGTH / piece.length);
      for (const max of [1, 80, 300]) {
        // Fifty times as much as is kept, and the rest of a secret that begins there.
        const start = text.slice(0, 50 * max + 200);
        assert.equal(foreign(text, max), foreign(start, max), JSON.stringify(piece));
        assert.ok(foreign(text, max).length <= max && excerpt(text, max).length <= max);
      }
    }
  });

  it('of any length passes the filter of the log in one go', () => {
    for (const piece of REPEATED) {
      const text = piece.repeat(LENGTH / piece.length);
      assert.ok(printable(withoutSecrets(text)).length > 0, JSON.stringify(piece));
    }
  });

  it('keeps no piece of a secret that is cut in two', () => {
    const long = Array.from({ length: 400 }, (_, index) => `part${index}`).join('-');
    know(long);
    know(SECRET);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(long, SECRET, 'a word ', 'x'.repeat(700)), { maxLength: 40 }),
        fc.integer({ min: 1, max: 100 }),
        (parts, max) => {
          for (const kept of [foreign(parts.join(''), max), startWithoutSecrets(parts.join(''), 50 * max)])
            assert.doesNotMatch(kept, /part\d|Zz~/);
        },
      ),
    );
  });

  it('is without a secret of which another one is the beginning', () => {
    know('old-secret');
    know('old-secret-and-new');
    assert.equal(withoutSecrets('<old-secret-and-new>'), '<[secret]>');
  });

  it('is cleaned also after a secret that no URL can hold', () => {
    know('code-\ud800-of-a-device');
    assert.equal(withoutSecrets('<code-\ud800-of-a-device>'), '<[secret]>');
  });

  it('is printable, bounded and well-formed, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: anyCharacter, maxLength: 400 }),
        fc.integer({ min: 1, max: 300 }),
        (text, max) => {
          for (const shown of [foreign(text, max), excerpt(text, max)]) {
            assert.doesNotMatch(shown, UNSEEN);
            assert.ok(shown.length <= max && shown.isWellFormed(), shown);
          }
          assert.equal(excerpt(excerpt(text, max), max), excerpt(text, max), 'once is enough');
        },
      ),
    );
  });

  it('that only looks like a status is none', () => {
    for (const status of ['Cancelled ', 'Cancelled\n', 'Cancel\u200bled'])
      assert.notEqual(readAction({ id: ID, status })?.summary.status, 'Cancelled');
  });

  it('in a table cannot move the cursor', () => {
    const table = formatTable([{ title: 'device' }], [[ORDERS], [TOKEN]]);
    assert.doesNotMatch(table.replaceAll('\n', ''), UNSEEN);
    assert.doesNotMatch(table, /eyJ/);
  });

  for (const pretty of [true, false]) {
    it(`in the log ${pretty ? 'for people' : 'as JSON'} cannot either, and the line stays JSON`, async () => {
      const lines: string[] = [];
      const destination = { write: (line: string) => void lines.push(line) };
      const log = await createLog({ level: 'info', pretty, destination });
      log.info({ text: ORDERS, err: new Error(ORDERS) }, `a\\u001b b${ORDERS}`);
      const [line = ''] = lines;
      assert.doesNotMatch(line.trimEnd(), UNSEEN);
      const { msg, text } = JSON.parse(line) as { msg: string; text: string };
      if (pretty) assert.doesNotMatch(msg + text, UNSEEN);
      else assert.deepEqual([msg, text], [`a\\u001b b${ORDERS}`, ORDERS]);
    });
  }
});

function answer(status: number, body: string) {
  return { kind: 'answer', status, headers: {}, body } as const;
}

function refusal(error: object): unknown {
  return classify(answer(403, JSON.stringify({ error })), ID, 0);
}

/** Every text in a value. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}
