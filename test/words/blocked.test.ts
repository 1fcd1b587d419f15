import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeFullWindow } from '../../src/base/words/window.ts';
import { describeHold, describeReadWait, holdsToShow, withoutQuotes } from '../../src/files/words/blocked.ts';
import { decisiveHold } from '../../src/store/budget/view.ts';

const NOW = Date.parse('2026-11-30T09:12:31Z');
const at = (ms: number) => new Date(NOW + ms).toISOString();
const upcoming = (words: string) => new RegExp(` at \\d\\d:\\d\\d:\\d\\d UTC\\S* \\(in ${words}\\)\\.$`);

it('a hold says its state, its reason, and what happens next and when', () => {
  const detail = '90 of 100 calls in the last minute';
  const window = describeHold({ reason: 'window', until: at(53_000), detail }, NOW);
  assert.match(window, /^Rate limit reached: 90 of 100 calls in the last minute\. Next call at/);
  assert.match(window, upcoming('53 s'));
  const signIn = { reason: 'sign-in', until: at(300_000), detail: 'AADSTS7000215: invalid client secret.' };
  assert.match(
    describeHold(signIn, NOW),
    /^Sign-in is failing \(AADSTS7000215: invalid client secret\)\. Retrying at/,
  );
  assert.match(describeHold(signIn, NOW), upcoming('5 min'));
  assert.equal(
    describeHold({ ...signIn, until: null }, NOW),
    'Sign-in is failing (AADSTS7000215: invalid client secret).',
  );
  assert.equal(describeHold({ reason: 'window', until: null, detail: '' }, NOW), 'Rate limit reached.');
});

it('a status is said once', () => {
  const said = (reason: string, detail: string) => describeHold({ reason, until: null, detail }, NOW);
  assert.equal(said('penalty', '429: slow down.'), 'Defender asked to wait (429: slow down).');
  assert.equal(said('penalty', 'slow down'), 'Defender asked to wait (429: slow down).');
  assert.equal(said('penalty', '429'), 'Defender asked to wait (429).');
  assert.equal(said('penalty', '4290 calls'), 'Defender asked to wait (429: 4290 calls).');
  assert.equal(said('unauthorized', '401: no'), 'Defender rejects the access token (401: no).');
  assert.equal(said('unauthorized', ''), 'Defender rejects the access token (401).');
});

it('what others said is left out, and codes are not', () => {
  const rows = [
    ['window', '90 of 90 calls in the last minute', '90 of 90 calls in the last minute'],
    ['penalty', '429: slow down', '429'],
    ['upstream', '503: try 404 later', '503'],
    ['upstream', 'ECONNRESET', 'ECONNRESET'],
    ['upstream', 'UND_ERR_SOCKET: other side closed', 'UND_ERR_SOCKET'],
    ['upstream', '5031 words', ''],
    ['upstream', 'EVERYTHING is lost', ''],
    ['sign-in', 'invalid_client AADSTS7000215: invalid secret', 'AADSTS7000215'],
    [
      'paused',
      'Paused after 20 refusals in a row. The API answered 403.',
      'Paused after 20 refusals in a row.',
    ],
    ['paused', 'The API answered 403.', ''],
  ] as const;
  for (const [reason, detail, own] of rows)
    assert.equal(withoutQuotes({ reason, detail }).detail, own, detail);
});

it('reading that waits says why, and when it goes on', () => {
  const until = NOW + 53_000;
  assert.match(
    describeReadWait({ reason: 'fault', until, detail: '503' }, NOW),
    /^Reading failed \(503\)\. Retrying at .* \(in 53 s\)\.$/,
  );
  assert.match(
    describeReadWait({ reason: 'upstream', until, detail: '' }, NOW),
    /^Reading is waiting\. Defender is unavailable\. Retrying at /,
  );
});

it('rebuilding the call history says what began it; a new tenant is not said to have a Redis that was restarted', () => {
  const said = (detail: string) => describeHold({ reason: 'grace', until: at(6_000), detail }, NOW);
  assert.match(said('new'), /^This tenant is new in this Redis: .* Starting at .* \(in 6 s\)\.$/);
  assert.doesNotMatch(said('new'), /restarted|clock|rebuilding/);
  assert.match(said('restarted'), /^Redis was restarted: rebuilding the call history\. Resuming at /);
  assert.match(said('rewound'), /^Redis lost its latest data: /);
  assert.match(said('clock'), /^The clock of Redis was set: /);
});

it('a time that has passed is not shown', () => {
  for (const reason of ['window', 'penalty', 'upstream', 'unauthorized', 'sign-in', 'grace', 'other']) {
    const words = describeHold({ reason, until: at(-1), detail: 'detail' }, NOW);
    assert.match(words, / any moment now\.$/);
    assert.doesNotMatch(words, /\d\d:\d\d|ago/);
  }
});

it('a full window says how many calls there were, of how many, and what the others are for', () => {
  const minute = { max: 90, lengthMs: 60_000 };
  const seen = { used: 90, limit: 100, allowed: 100 };
  assert.equal(
    describeFullWindow(minute, seen),
    '90 of 100 calls in the last minute (the other 10 reserved for urgent requests)',
  );
  assert.equal(
    describeFullWindow(minute, { ...seen, used: 100 }),
    '100 of 100 calls in the last minute',
    'urgent ones have used theirs',
  );
  assert.equal(
    describeFullWindow({ ...minute, max: 63 }, { ...seen, allowed: 70 }),
    '90 calls in the last minute; slowed down to 70 of 100 calls per minute (7 of the 70 reserved for urgent requests) after refusals (429)',
  );
  assert.equal(
    describeFullWindow({ max: 1, lengthMs: 10_000 }, { used: 1, limit: 1, allowed: 1 }),
    '1 of 1 call in the last 10 s',
  );
});

it('of several holds the one that ends last decides, and before all one whose end nobody knows', () => {
  const hold = (reason: string, until: number | null) => ({ reason, until, detail: '' });
  const penalty = hold('penalty', NOW + 5_000);
  const window = hold('window', NOW + 58_000);
  assert.equal(decisiveHold([penalty, window]), window);
  assert.equal(decisiveHold([hold('penalty', NOW + 90_000), window])?.reason, 'penalty');
  const down = hold('upstream', NOW + 1_000);
  assert.equal(decisiveHold([down, penalty, window]), down);
  assert.equal(decisiveHold([]), null);
});

it('no next call is announced where nothing waits to be called', () => {
  const worker = {
    host: 'h',
    pid: 1,
    version: '',
    identity: 'app',
    roles: null,
    tokenEndsAt: null,
    trouble: '',
    seenAt: NOW,
    ended: false,
  };
  const said = (reason: string, isIdle: boolean) => {
    const hold = { reason, until: NOW + 53_000, detail: '' };
    const view = {
      now: NOW,
      holds: [hold],
      urgentHolds: [],
      windows: [],
      stamps: [],
      workers: [worker],
      latencyMs: 0,
      pace: null,
    };
    return holdsToShow(view, 'contoso', isIdle)
      .map((shown) => describeHold(shown, NOW))
      .join();
  };
  for (const reason of ['window', 'penalty']) {
    assert.match(said(reason, false), / Next call at /);
    assert.match(said(reason, true), /\. Calls can be sent again at /);
  }
  assert.match(said('upstream', false), /Retrying at/);
  assert.doesNotMatch(said('upstream', true), /Retrying/);
  assert.match(said('sign-in', true), /Retrying at/, 'a worker signs in whatever there is to do');
});
