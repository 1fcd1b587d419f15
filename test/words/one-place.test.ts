import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { OUTCOMES } from '../../src/base/outcome.ts';
import { renderLine, renderProgress } from '../../src/cli/progress.ts';
import { describeStatus, headline } from '../../src/cli/status.ts';
import { renderHead } from '../../src/console/campaign-parts.ts';
import { renderCampaignHold, renderHold, renderHolds, renderOutcomeCounts } from '../../src/console/parts.ts';
import { readWanted } from '../../src/console/requests.ts';
import { renderSearch } from '../../src/console/requests-table.ts';
import { type Html, html } from '../../src/files/report/html.ts';
import { renderOutcomes, renderSummary } from '../../src/files/report/summary.ts';
import { createTally } from '../../src/files/report/tally.ts';
import { describeAbsence, describeHold, withoutQuotes } from '../../src/files/words/blocked.ts';
import { eventsOf, type Seen } from '../../src/ops/notices/notice.ts';
import type { BudgetView, Hold } from '../../src/store/budget/view.ts';
import type { Campaign, DisplayState } from '../../src/store/campaign/registry.ts';
import type { CampaignStatus } from '../../src/store/campaign/status.ts';
import { PAUSED } from '../../src/store/ledger/brake.ts';
import { newGuids, openShell, type Shell } from '../cli/shell.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';

const TENANT = 'contoso';
const NAME = 'stop-scan';
const NOW = Date.parse('2026-11-30T09:12:31Z');
const HOUR = 3_600_000;
const WINDOW = { max: 80, lengthMs: 60_000 };

const campaign: Campaign = {
  number: 7,
  name: NAME,
  state: 'running',
  priority: 5,
  direct: false,
  comment: 'by mistake',
  requestedBy: 'anna',
  createdAt: NOW - 2 * HOUR,
  expiresAt: null,
  traceparent: null,
  decidedAt: NOW - 10_000,
  total: 250,
  open: 146,
  outcomes: { cancelled: 104 },
  stopped: 104,
  results: 104,
  verification: null,
  pausedReason: null,
  pausedAt: null,
  cursor: 250,
  low: 104,
};

const status: CampaignStatus = {
  campaign: NAME,
  comment: 'by mistake',
  requestedBy: 'anna',
  priority: 5,
  createdAt: new Date(NOW - 2 * HOUR).toISOString(),
  state: 'running',
  total: 250,
  open: 146,
  unknown: 0,
  tracked: { total: 0, open: 0 },
  outcomes: { cancelled: 104 },
  hold: null,
  etaAt: null,
  expiring: null,
  expiresAt: null,
};

const budget: BudgetView = {
  now: NOW,
  windows: [{ ...WINDOW, used: 80, allowed: 80, free: 0, reserved: 10 }],
  stamps: [],
  holds: [],
  urgentHolds: [],
  workers: [
    {
      host: 'here',
      pid: 1,
      version: '1.0.0',
      identity: 'app',
      roles: null,
      tokenEndsAt: null,
      trouble: '',
      seenAt: NOW,
      ended: false,
    },
  ],
  latencyMs: 0,
  pace: null,
};

/** What a page says, as a reader sees it. */
function textOf(page: Html): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return String(page)
    .replace(/<[^>]*>/g, '')
    .replace(/&(\w+|#39);/g, (whole, name: string) => entities[name] ?? whole);
}

/** Of every reason there is, with what others said. */
const HOLDS: Hold[] = [
  { reason: 'window', until: NOW + 53_000, detail: '80 of 90 calls in the last minute' },
  { reason: 'penalty', until: NOW + 20_000, detail: '429: slow down' },
  { reason: 'upstream', until: NOW + 300_000, detail: '503: try later' },
  { reason: 'unauthorized', until: NOW + 60_000, detail: '401: wrong audience' },
  { reason: 'sign-in', until: NOW + 61_000, detail: 'AADSTS7000215: invalid client secret' },
  { reason: 'grace', until: NOW + 6_000, detail: '' },
  { reason: 'paused', until: null, detail: `${PAUSED} (403: "no") at api.` },
];

const wordsOf = (hold: Hold) => ({
  ...hold,
  until: hold.until === null ? null : new Date(hold.until).toISOString(),
});

const seen = (its: Partial<Campaign>): Seen => ({
  campaign: { ...campaign, ...its },
  numbers: status,
  overAt: null,
  isWaiting: true,
});

function noticeOf(hold: Hold): string {
  const situation = { tenant: TENANT, now: NOW, askedSince: 0, holdMs: 1_000, quietMs: 0, held: null };
  const [event] =
    hold.reason === 'paused'
      ? eventsOf(seen({ state: 'paused', pausedReason: hold.detail, pausedAt: NOW }), situation)
      : eventsOf(seen({}), { ...situation, held: { hold, since: NOW - HOUR } });
  return event?.notice.text ?? '';
}

for (const hold of HOLDS) {
  it(`a campaign that is blocked (${hold.reason}) is said to be so in one sentence everywhere`, () => {
    const sentence = describeHold(wordsOf(hold), NOW);
    const state = hold.reason === 'paused' ? 'paused' : 'running';
    const held: CampaignStatus = { ...status, state, hold: wordsOf(hold) };
    const around = { ...budget, holds: [hold] };
    const progress = { tenant: TENANT, status: held, budget: around, now: NOW };
    const said = {
      status: describeStatus(progress),
      'live view': renderProgress(progress),
      'single line': renderLine(progress),
      'console, a hold': textOf(renderHold(wordsOf(hold), NOW)),
      'console, a tenant': textOf(
        renderHolds({ budget: around, waiting: { jobs: 1, campaigns: [] } }, TENANT, NOW),
      ),
      'console, a campaign': textOf(renderCampaignHold(held, around, TENANT, NOW)),
    };
    for (const [where, text] of Object.entries(said)) assert.ok(text.includes(sentence), `${where}: ${text}`);
    // A notice leaves for elsewhere: what others said stays here.
    const own = describeHold(withoutQuotes(wordsOf(hold)), NOW);
    assert.ok(noticeOf(hold).includes(own), noticeOf(hold));
    assert.equal(own.split(/[.(:]/)[0]?.trim(), sentence.split(/[.(:]/)[0]?.trim());
  });
}

describe('that no worker is running', () => {
  let server: TestRedis;
  let shell: Shell;
  before(async () => {
    server = await openTestRedis();
    shell = await openShell(server);
    await shell.submit(NAME, newGuids(2));
  });
  after(async () => {
    await shell.close();
    await server.close();
  });

  // No notice can say it: it would have to be sent by a worker.
  it('is said in one sentence everywhere', async () => {
    const alone: BudgetView = { ...budget, workers: [] };
    const tenant = shell.tenant.label;
    const sentence = describeAbsence(alone, tenant) ?? '';
    assert.match(sentence, /^No worker is running/);
    const progress = { tenant, status, budget: alone, now: NOW };
    const said = {
      status: (await shell.run(['status', NAME])).stdout,
      'live view': renderProgress(progress),
      'single line': renderLine(progress),
      'console, a tenant': textOf(
        renderHolds({ budget: alone, waiting: { jobs: 1, campaigns: [] } }, tenant, NOW),
      ),
      'console, a campaign': textOf(renderCampaignHold(status, alone, tenant, NOW)),
    };
    for (const [where, text] of Object.entries(said)) assert.ok(text.includes(sentence), `${where}: ${text}`);
  });
});

const STATES: [shown: DisplayState, its: Campaign['state'], open: number][] = [
  ['running', 'running', 146],
  ['paused', 'paused', 146],
  ['aborted', 'aborted', 0],
  ['expired', 'expired', 0],
  ['done', 'running', 0],
];

function summaryOf(open: number) {
  const tally = createTally(NAME);
  const line = { uncertain: false, campaign: NAME };
  for (const outcome of OUTCOMES) tally.add({ ...line, outcome, decidedAt: NOW });
  for (let pending = 0; pending < open; pending++) tally.add({ ...line, outcome: null, decidedAt: null });
  tally.add({ ...line, outcome: 'unknown', decidedAt: null });
  return tally.summary([]);
}

for (const [shown, state, open] of STATES) {
  it(`the status "${shown}" is the same word in commands, console and report`, () => {
    const now = { ...status, state: shown, open };
    assert.match(headline(now, TENANT), new RegExp(`: ${shown}, `));
    const head = String(renderHead({ status: now, budget, tenant: TENANT }, []));
    assert.match(head, new RegExp(`<span class="state" data-state="${shown}">${shown}</span>`));
    const facts = {
      campaign: { ...campaign, state, open },
      history: [],
      windows: [],
      madeAt: NOW,
      version: '1',
    };
    const report = String(renderSummary(facts, summaryOf(open), html``));
    assert.match(report, new RegExp(`<dt>Status</dt><dd>${shown}</dd>`));
  });
}

it('the outcomes have the same names in commands, console and report', () => {
  const one = (1).toString();
  const all = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 1]));
  const total = OUTCOMES.length + 2;
  const every: CampaignStatus = { ...status, outcomes: all, total, open: 1, unknown: 1 };
  const commands = describeStatus({ tenant: TENANT, status: every, budget, now: NOW })
    .split('\n')
    .flatMap((line) => /^ {2}(\w+) +1$/.exec(line)?.[1] ?? []);
  assert.equal(commands.length, total);
  const labels = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
  const counts = labels(textOf(renderOutcomeCounts(every))).map((line) => line.replace(` ${one}`, ''));
  assert.deepEqual(counts, commands);
  const heads = [...String(renderOutcomes(summaryOf(1))).matchAll(/<th scope="row">(.*?)<\/th>/g)];
  assert.deepEqual(
    heads.map(([, text = '']) => text.replace(/<[^>]*>/g, '')),
    [...commands, 'Total'],
  );
  const search = String(renderSearch({ label: TENANT, campaign, wanted: readWanted({}) }, []));
  const [, options = ''] = /<select id="outcome"[^>]*>(.*?)<\/select>/.exec(search) ?? [];
  assert.deepEqual(
    [...options.matchAll(/>(\w+)<\/option>/g)].map(([, text]) => text),
    ['all', ...commands],
  );
});
