import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeFullWindow, describeHold } from '../../src/words/blocked.ts';

const NOW = Date.parse('2026-11-30T09:12:31Z');
const at = (ms: number) => new Date(NOW + ms).toISOString();
const upcoming = (ms: number, words: string) =>
  new RegExp(` at \\d\\d:\\d\\d:\\d\\d UTC\\S* \\(in ${words}\\)\\.$`);

it('a hold says its state, its reason, and what happens next and when', () => {
  const detail = describeFullWindow({ max: 90, lengthMs: 60_000 }, 10);
  const window = describeHold({ reason: 'window', until: at(53_000), detail }, NOW);
  assert.match(
    window,
    /^Rate limit reached: 90 of 90 calls in the last minute \(10 more reserved for urgent requests\)\. Next call at/,
  );
  assert.match(window, upcoming(53_000, '53 s'));
  const signIn = { reason: 'sign-in', until: at(300_000), detail: 'AADSTS7000215: invalid client secret.' };
  assert.match(
    describeHold(signIn, NOW),
    /^Sign-in is failing \(AADSTS7000215: invalid client secret\)\. Retrying at/,
  );
  assert.match(describeHold(signIn, NOW), upcoming(300_000, '5 min'));
  assert.equal(
    describeHold({ ...signIn, until: null }, NOW),
    'Sign-in is failing (AADSTS7000215: invalid client secret).',
  );
});

it('a time that has passed is not shown', () => {
  for (const reason of ['window', 'penalty', 'upstream', 'unauthorized', 'sign-in', 'grace', 'other']) {
    const words = describeHold({ reason, until: at(-1), detail: 'detail' }, NOW);
    assert.match(words, / any moment now\.$/);
    assert.doesNotMatch(words, /\d\d:\d\d|ago/);
  }
});

it('a window’s calls are named as its length is', () => {
  assert.equal(
    describeFullWindow({ max: 1_470, lengthMs: 3_600_000 }, 30),
    '1,470 of 1,470 calls in the last hour (30 more reserved for urgent requests)',
  );
  assert.equal(describeFullWindow({ max: 1, lengthMs: 10_000 }, 0), '1 of 1 call in the last 10 s');
});
