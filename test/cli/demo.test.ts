import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { describeFullWindow } from '../../src/base/words/window.ts';
import { renderProgress } from '../../src/cli/progress.ts';
import type { BudgetView } from '../../src/store/budget/view.ts';
import type { CampaignStatus } from '../../src/store/campaign/status.ts';
import { installRoot } from '../../src/store/redis/server-binary.ts';
import { INSTALL_DIR, TEST_DIR } from '../support/redis.ts';
import { NO_TERMINAL, startOnTerminal } from '../support/terminal.ts';

const NOW = Date.parse('2026-11-30T10:00:00Z');
const WIDTHS = [60, 100];

function tooWide(text: string, width: number): string[] {
  return text.split('\n').filter((line) => line.length > width);
}

describe('the view of a campaign in progress', () => {
  const budget: BudgetView = {
    now: NOW,
    windows: [
      { max: 100, lengthMs: 10_000, used: 90, allowed: 100, free: 0, reserved: 10 },
      { max: 1_500, lengthMs: 600_000, used: 198, allowed: 1_500, free: 1_272, reserved: 30 },
    ],
    stamps: [],
    holds: [],
    urgentHolds: [],
    workers: [],
    latencyMs: 50,
    pace: null,
  };
  const status: CampaignStatus = {
    campaign: 'stop-scan',
    comment: 'Scan started by mistake',
    requestedBy: 'demo',
    priority: 5,
    createdAt: new Date(NOW - 20_000).toISOString(),
    state: 'running',
    total: 250,
    open: 66,
    unknown: 0,
    tracked: { total: 0, open: 0 },
    outcomes: { cancelled: 165, already_final: 15, not_found: 3, forbidden: 1 },
    hold: {
      reason: 'window',
      until: new Date(NOW + 9_000).toISOString(),
      detail: describeFullWindow({ max: 90, lengthMs: 10_000 }, { used: 90, limit: 100, allowed: 100 }),
    },
    etaAt: new Date(NOW + 10_000).toISOString(),
    expiring: null,
    expiresAt: null,
  };
  const worker = {
    host: 'here',
    pid: 1,
    version: '',
    identity: 'app',
    roles: [],
    tokenEndsAt: null,
    trouble: '',
    seenAt: NOW,
    ended: false,
  };

  const view = (width: number, workers: BudgetView['workers']) =>
    renderProgress(
      { tenant: 'demo-2026-11-30T10-00-00', status, budget: { ...budget, workers }, now: NOW },
      width,
    );

  for (const width of WIDTHS) {
    it(`fits ${width} columns, with a worker and without`, () => {
      for (const workers of [[], [worker]]) {
        const shown = view(width, workers);
        assert.deepEqual(tooWide(shown, width), []);
        assert.doesNotMatch(shown, / $/m);
      }
    });
  }

  it('says how far the campaign is, and why it stops at 90 of 100 calls', () => {
    const shown = view(200, [worker]);
    assert.match(shown, /^Campaign "stop-scan" in tenant demo-/);
    assert.match(shown, /\n█+░+ 184 of 250 finished \(73\.6%\), 10 s left\n/);
    assert.match(shown, /\ncancelled 165 · already_final 15 · not_found 3 · forbidden 1\n/);
    assert.match(shown, /\n█+░+ 90 of 100 calls per 10 s\n█+░+ 198 of 1,500 calls per 10 min\n/);
    assert.match(shown, /\nReserved for urgent requests: 10 per 10 s, 30 per 10 min\.\n/);
    assert.match(
      shown,
      /\nRate limit reached: 90 of 100 calls in the last 10 s \(the other 10 reserved for urgent requests\)\. Next call at /,
    );
  });
});

describe('standdown demo', { skip: NO_TERMINAL, concurrency: true }, () => {
  async function openFolder(t: TestContext): Promise<string> {
    await mkdir(TEST_DIR, { recursive: true });
    const folder = await mkdtemp(join(TEST_DIR, 'demo-'));
    t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }));
    const data = join(folder, '.standdown');
    await mkdir(data, { mode: 0o700 });
    // So that no Redis has to be installed again.
    await symlink(installRoot(INSTALL_DIR), installRoot(data));
    return folder;
  }

  for (const columns of WIDTHS) {
    it(`on a terminal of ${columns} columns shows a campaign from its start to what to do next`, async (t) => {
      const folder = await openFolder(t);
      const child = startOnTerminal(['demo', '--actions', '60'], { cwd: folder, columns });
      assert.equal(await child.exited, 0, child.stdout);
      const shown = stripVTControlCharacters(child.stdout).replaceAll('\r', '');
      assert.deepEqual(tooWide(shown, columns), []);

      const text = shown.replace(/\s+/g, ' ');
      for (const words of [
        /^Starting Redis, a simulator and a worker … /,
        / This demo cancels 60 made-up machine actions\. Nothing is sent to Microsoft: /,
        / refuses every call beyond 100 calls per 10 s and 1,500 calls per 10 min /,
        / outcome (actions )?(meaning )?.*\bcancelled .*\bCancelled /,
        / The simulator counted \d+ cancel calls in .* at most \d+ in any 10 s \(limit 100\) .* It refused none\. /,
        / What to do next: Open the report .* README\.md.* "standdown --help"/,
      ])
        assert.match(text, words);
      const [report = ''] = /\.standdown\/demo\/demo-\S+\.html/.exec(shown) ?? [];
      assert.match(await readFile(join(folder, report), 'utf8'), /^<!doctype html>/i);
    });
  }
});
