import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventsOf as eventsOfSeen, type Situation } from '../../../src/ops/notices/notice.ts';
import type { Campaign } from '../../../src/store/campaign/registry.ts';
import { numbersOf } from '../../../src/store/campaign/status.ts';
import { PAUSED } from '../../../src/store/ledger/brake.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;

const campaign: Campaign = {
  number: 7,
  name: 'undo',
  state: 'running',
  priority: 5,
  direct: false,
  comment: 'ticket 4711 about 8ecf25d1-76f2-4080-a2a0-237761784bef',
  requestedBy: 'somebody',
  createdAt: NOW - 2 * HOUR,
  expiresAt: null,
  traceparent: null,
  decidedAt: NOW - 10_000,
  total: 5,
  open: 0,
  outcomes: { cancelled: 5 },
  stopped: 5,
  results: 5,
  verification: null,
  pausedReason: null,
  pausedAt: null,
  cursor: 5,
  low: 5,
};

const NONE = { total: 0, open: 0, unknown: 0, outcomes: {}, stopped: 0, owners: [], openIn: [] };

/** Of a campaign that follows no other. */
function eventsOf(its: Campaign, around: Situation) {
  const { decidedAt: overAt, open } = its;
  return eventsOfSeen(
    { campaign: its, numbers: numbersOf(its, NONE, around.now), overAt, isWaiting: open > 0 },
    around,
  );
}

const situation: Situation = {
  tenant: 'contoso',
  now: NOW,
  askedSince: NOW - HOUR,
  held: null,
  holdMs: 900_000,
  quietMs: 3_000,
};

const hold = { reason: 'upstream', until: NOW + 500.25, detail: '503: secret words' };
const held = (sinceMs: number) => ({ held: { hold, since: NOW - sinceMs } });
const open = { open: 3, outcomes: { cancelled: 2 } };

const ROWS: [what: string, campaign: Partial<Campaign>, situation: Partial<Situation>, kinds: string[]][] = [
  ['done', {}, {}, ['ended']],
  ['done a moment ago, perhaps while it is submitted', { decidedAt: NOW - 2_999 }, {}, []],
  ['done before anybody asked', { decidedAt: NOW - HOUR - 1 }, {}, []],
  ['done more than a day ago', { decidedAt: NOW - 24 * HOUR }, { askedSince: 0 }, []],
  ['aborted and swept', { state: 'aborted' }, {}, ['ended']],
  ['expired and swept', { state: 'expired' }, {}, ['ended']],
  ['aborted and not swept', { ...open, state: 'aborted' }, {}, []],
  ['deleted', { state: 'deleted' }, {}, []],
  ['of single cancels', { direct: true }, {}, []],
  ['empty', { total: 0, decidedAt: null, outcomes: {} }, {}, []],
  ['paused by a person', { ...open, state: 'paused' }, held(HOUR), []],
  ['paused when nothing is left', { state: 'paused' }, {}, []],
  ['paused after refusals', { ...open, state: 'paused', pausedReason: '403' }, {}, ['refused']],
  ['paused so before', { ...open, state: 'paused', pausedReason: 'x', decidedAt: NOW - 2 * HOUR }, {}, []],
  ['running', open, {}, []],
  ['held for long', open, held(900_000), ['held']],
  ['held for not so long', open, held(899_999), []],
  ['newer than the hold', { ...open, createdAt: NOW - 60_000 }, held(HOUR), []],
  ['done while something holds', {}, held(HOUR), ['ended']],
];

describe('what is told of a campaign that is', () => {
  for (const [what, its, around, kinds] of ROWS) {
    it(what, () => {
      const events = eventsOf({ ...campaign, ...its }, { ...situation, ...around });
      assert.deepEqual(
        events.map(({ kind }) => kind),
        kinds,
      );
    });
  }

  it('done, in full', () => {
    const [event] = eventsOf(campaign, situation);
    assert.deepEqual(event?.notice, {
      v: 1,
      id: `contoso.7.ended.${NOW - 10_000}`,
      kind: 'ended',
      at: new Date(NOW - 10_000).toISOString(),
      tenant: 'contoso',
      campaign: 'undo',
      text: 'Campaign "undo" in tenant contoso finished: 5 of 5 actions cancelled.',
      state: 'done',
      total: 5,
      open: 0,
      unknown: 0,
      outcomes: { cancelled: 5 },
      hold: null,
    });
  });

  it('held, without the words of the API', () => {
    const [event] = eventsOf({ ...campaign, ...open }, { ...situation, ...held(HOUR) });
    assert.deepEqual(event?.notice.hold, { reason: 'upstream', until: new Date(NOW + 500).toISOString() });
    assert.equal(event.notice.at, new Date(NOW - HOUR).toISOString());
    assert.doesNotMatch(JSON.stringify(event.notice), /secret|ticket|somebody/);
  });

  const textOf = (its: Partial<Campaign>, around: Partial<Situation> = {}) =>
    eventsOf({ ...campaign, ...its }, { ...situation, ...around })[0]?.notice.text ?? '';
  const heldBy = (reason: string, detail: string, until: number | null = NOW + 300_000) =>
    textOf(open, { held: { hold: { reason, until, detail }, since: NOW - HOUR } });

  it('ended, in words', () => {
    const some = { total: 250, outcomes: { cancelled: 240, already_final: 10 } };
    assert.equal(textOf(some), 'Campaign "undo" in tenant contoso finished: 240 of 250 actions cancelled.');
    assert.match(
      textOf({ ...some, state: 'aborted' }),
      /contoso was aborted: 240 of 250 actions cancelled\.$/,
    );
    assert.match(textOf({ ...some, state: 'expired' }), /contoso expired: 240 of 250 actions cancelled\.$/);
  });

  it('held, in words', () => {
    assert.match(
      heldBy('upstream', '503: secret words'),
      /^Campaign "undo" in tenant contoso is blocked: Defender is unavailable \(503\)\. Retrying at .* UTC\S* \(in 5 min\)\.$/,
    );
    assert.match(heldBy('unauthorized', '', null), /: Defender rejects the access token \(401\)\.$/);
  });

  it('refused, in words, with the command that shows the rest', () => {
    const pausedReason = `${PAUSED}The API answered 403 (Forbidden: "no") at api.`;
    assert.equal(
      textOf({ ...open, state: 'paused', pausedReason, name: 'wrong scan' }),
      'Campaign "wrong scan" in tenant contoso was paused after refusals: Paused after 20 refusals in a row. ' +
        'Run "standdown status \'wrong scan\' --tenant contoso" for Defender’s answer and the next steps.',
    );
  });

  const SAID = [
    'No action 8ecf25d1-76f2-4080-a2a0-237761784bef of anna@contoso.example on pc-1',
    'hunter2-is-the-secret',
    'SECRET: hunter2',
    'Bearer eyJhbGciOiJub25lIn0.e30.sig',
  ];
  const REASONS = ['penalty', 'upstream', 'unauthorized', 'sign-in', 'of tomorrow'];

  it('told without a word of what the API or the sign-in service said', () => {
    const own = /8ecf25d1|anna|pc-1|hunter2|SECRET|eyJ|ticket|somebody/;
    for (const said of SAID) {
      for (const reason of REASONS) {
        for (const detail of [said, `503: ${said}`, `${said} AADSTS70011: ${said}`])
          assert.doesNotMatch(heldBy(reason, detail), own, `${reason} ${detail}`);
      }
      for (const pausedReason of [
        said,
        `${PAUSED}The API answered 403 (${said}) at api.`,
        `403 ${PAUSED}${said}`,
      ])
        assert.doesNotMatch(textOf({ ...open, state: 'paused', pausedReason }), own, pausedReason);
    }
    assert.match(heldBy('sign-in', `invalid_client AADSTS70011: ${SAID[0]}`), /failing \(AADSTS70011\)/);
    assert.match(heldBy('upstream', `ECONNRESET: ${SAID[1]}`), /unavailable \(ECONNRESET\)/);
  });

  it('told in one line, whatever its name holds', () => {
    const text = textOf({ name: 'two\nlines\u001b[2J\u202e' });
    assert.match(text, /^Campaign "two\\nlines\\u001b\[2J\\u202e" in tenant contoso finished/);
  });

  it('refused, once: calls that were in flight change its last outcome', () => {
    const paused: Partial<Campaign> = { ...open, state: 'paused', pausedReason: '403' };
    const markers = [0, 5_000].map(
      (ms) => eventsOf({ ...campaign, ...paused, decidedAt: NOW - ms }, situation)[0]?.marker,
    );
    assert.equal(markers[0], markers[1]);
    const again = [NOW - 60_000, NOW].map(
      (pausedAt) => eventsOf({ ...campaign, ...paused, pausedAt }, situation)[0],
    );
    assert.deepEqual(
      again.map((event) => event?.marker),
      [NOW - 60_000, NOW],
      'each time it is paused',
    );
    assert.equal(again[1]?.notice.at, new Date(NOW).toISOString());
  });
});
