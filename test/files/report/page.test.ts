import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { appendAudit } from '../../../src/store/campaign/audit.ts';
import { openShell, type Shell } from '../../cli/shell.ts';
import { openFile, skipWithoutChromium, startChromium, type WatchedPage } from '../../support/chromium.ts';
import { makeFinished } from '../../support/finished.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { ROOT } from '../../support/processes.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';

/** Would run, if any of it were taken for more than a text. */
const HOSTILE = `</script></title><img src=x onerror="alert(1)"><script>alert(2)</script>`;
const NAME = `undo ${HOSTILE}`;
const DEVICE = `pc-1"'>${HOSTILE}`;
const MESSAGE = `<!--<script>${HOSTILE}\u2028\u202e${'-'.repeat(60)}`;
const FINISHED = 300;
const OPEN = 7;
const STARTED_AT = Date.now() - 3_600_000;

describe('the report as a page, in a real browser', () => {
  let server: TestRedis;
  let shell: Shell;
  let browser: Browser | null;
  let path: string;

  before(async () => {
    server = await openTestRedis();
    shell = await openShell(server);
    path = shell.path('report.html');
    await fill(shell);
    const ran = await shell.run(['report', NAME, '--format', 'html', '--output', path]);
    assert.equal(ran.code, 0, ran.stderr);
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await shell.close();
    await server.close();
  });

  /** 300 that are decided, one of them with words that mean harm, and 7 that are open. */
  async function fill({ tenant }: Shell): Promise<void> {
    await makeFinished(tenant, {
      campaign: NAME,
      count: FINISHED - 1,
      startedAt: STARTED_AT,
      stepMs: 1_000,
    });
    const ids = newIds(OPEN + 1);
    await tenant.ledger.submit(1, ids);
    const probe = createProbe(tenant);
    await probe.finish(idAt(ids, 0), 1, await probe.grant(idAt(ids, 0), 1), {
      verdict: {
        kind: 'decided',
        outcome: 'rejected',
        detail: {
          httpStatus: 409,
          errorCode: HOSTILE,
          errorMessage: MESSAGE,
          action: {
            status: HOSTILE,
            type: HOSTILE,
            machineId: HOSTILE,
            computerDnsName: DEVICE,
            createdAt: null,
            updatedAt: null,
          },
        },
      },
    });
    const entry = { by: HOSTILE, command: `standdown pause ${HOSTILE}`, detail: HOSTILE };
    await appendAudit(tenant, 1, { action: 'pause', ...entry });
  }

  /** Runs with the page open; afterwards nothing may have been asked for, and nothing may have complained. */
  function inBrowser(
    name: string,
    use: (opened: WatchedPage) => Promise<void>,
    options: Parameters<typeof openFile>[2] = {},
  ): void {
    it(name, async (t) => {
      if (!browser) return skipWithoutChromium(t);
      const opened = await openFile(browser, path, options);
      await use(opened);
      assert.deepEqual([opened.requests, opened.complaints], [[], []]);
      await opened.page.close();
    });
  }

  inBrowser('says what the campaign came to', async ({ page }) => {
    assert.equal(await page.title(), `${NAME} – Standdown report`);
    assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), NAME);
    const status = await readStatus();
    const cancelled = status.outcomes['cancelled'] ?? 0;
    const lead = `${cancelled} of ${FINISHED + OPEN} actions are confirmed cancelled, ${FINISHED - cancelled} are not, ${OPEN} are pending.`;
    assert.equal(await page.locator('.lead').innerText(), lead);
    const rows = await page.locator('section', { hasText: 'Meaning' }).locator('tbody tr').allInnerTexts();
    const counts = rows.map((row) => row.trim().split(/\s+/).slice(0, 2));
    const expected = Object.entries({ ...status.outcomes, pending: OPEN }).map(([name, count]) => [
      name,
      `${count}`,
    ]);
    assert.deepEqual(counts.sort(), expected.sort());
    assert.match(
      await page.locator('figure', { hasText: 'Busiest minute' }).innerText(),
      /60 calls at .* UTC/,
    );
    await save(page, 'report-light.png');
  });

  inBrowser('shows what comes from outside as it is', async ({ page }) => {
    await page.getByRole('searchbox').fill('pc-1');
    await page.getByText('Rows 1 to 1 of 1 (307 total)').waitFor();
    const cells = await page.locator('#rows tbody td').allTextContents();
    for (const text of [DEVICE, HOSTILE, `${HOSTILE}: ${MESSAGE}`]) assert.ok(cells.includes(text), text);
    const history = page.locator('section', { has: page.getByRole('heading', { name: 'History' }) });
    assert.equal(await history.locator('code').textContent(), `standdown pause ${HOSTILE}`);
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(
      await page.locator('script').count(),
      1,
      'the rows were read, and there is no script but ours',
    );
  });

  inBrowser('searches, filters, sorts and pages', async ({ page }) => {
    const found = page.getByRole('status');
    const column = async (title: string) => {
      const titles = await page.locator('#rows thead th').allInnerTexts();
      const place = titles.filter(Boolean).findIndex((text) => text.startsWith(title));
      return page.locator(`#rows tbody td:nth-child(${place + 1})`).allInnerTexts();
    };
    assert.equal(await found.innerText(), 'Rows 1 to 50 of 307');

    await page.getByRole('button', { name: 'Device' }).click();
    const ascending = await column('Device');
    assert.deepEqual(ascending, [...ascending].sort(), 'ascending');
    assert.equal(await page.locator('th[aria-sort]').getAttribute('aria-sort'), 'ascending');
    await page.getByRole('button', { name: 'Device' }).click();
    const descending = await column('Device');
    assert.deepEqual(descending, [...descending].sort().reverse(), 'descending');
    assert.ok(descending[0]?.startsWith('pc-1'));

    await page.getByRole('button', { name: 'Next' }).click();
    assert.equal(await found.innerText(), 'Rows 51 to 100 of 307');
    await page.getByRole('button', { name: 'Last' }).click();
    assert.equal(await found.innerText(), 'Rows 301 to 307 of 307');
    assert.ok(await page.getByRole('button', { name: 'Next' }).isDisabled());
    await page.getByLabel('Rows per page').selectOption('500');
    assert.equal(await found.innerText(), 'Rows 1 to 307 of 307');

    await page.getByLabel('Outcome', { exact: true }).selectOption('open');
    assert.equal(await found.innerText(), 'Rows 1 to 7 of 7 (307 total)');
    assert.deepEqual(new Set(await column('Outcome')), new Set(['pending']));
    await page.getByLabel('Outcome', { exact: true }).selectOption('');
    await page.getByRole('searchbox').fill('DESKTOP isolate');
    await page.getByText(/^Rows 1 to \d+ of \d+ \(307 total\)$/).waitFor();
    const types = await column('Type');
    assert.deepEqual(new Set(types), new Set(['Isolate']), 'every word counts, in any case');
    await page.getByRole('searchbox').fill('no such thing');
    await page.getByText('No matching rows (307 total)').waitFor();
  });

  inBrowser('can be used without a mouse', async ({ page }) => {
    await page.keyboard.press('Tab');
    assert.equal(await page.locator(':focus').innerText(), 'Skip to table');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('pc-1');
    await page.getByText('Rows 1 to 1 of 1').waitFor();
    const reached = new Set<string>();
    for (let press = 0; press < 16; press++) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(FOCUSED));
    }
    for (const name of ['SELECT', 'BUTTON Device', 'DIV', 'BUTTON Outcome'])
      assert.ok(reached.has(name), name);
  });

  inBrowser('prints every row that was found', async ({ page }) => {
    const pdf = await page.pdf({ preferCSSPageSize: true });
    assert.ok(pdf.length > 10_000);
    await page.evaluate(`dispatchEvent(new Event('beforeprint'))`);
    assert.equal(await page.locator('#rows tbody tr').count(), FINISHED + OPEN);
    await page.evaluate(`dispatchEvent(new Event('afterprint'))`);
    assert.equal(await page.locator('#rows tbody tr').count(), 50);
  });

  inBrowser(
    'is dark where people like it so',
    async ({ page }) => {
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      assert.equal(background, 'rgb(13, 17, 23)');
      await save(page, 'report-dark.png');
    },
    { colorScheme: 'dark' },
  );

  inBrowser(
    'fits a narrow window',
    async ({ page }) => {
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
      await save(page, 'report-narrow.png');
    },
    { viewport: { width: 360, height: 800 } },
  );

  inBrowser(
    'still says what it came to where no script may run',
    async ({ page }) => {
      assert.match(await page.locator('.lead').innerText(), /confirmed cancelled/);
      assert.ok(await page.locator('noscript p').isVisible());
    },
    { javaScriptEnabled: false },
  );

  it('is one file that carries everything and allows nothing else', async () => {
    const text = await readFile(path, 'utf8');
    assert.match(
      text,
      /<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;sha256-/,
    );
    assert.doesNotMatch(text, /\b(?:src|href)="(?!#)/, 'no reference to anything outside');
    assert.doesNotMatch(text, /https?:/);
    assert.doesNotMatch(text, /unsafe-|\bstyle="/);
  });

  async function readStatus() {
    const ran = await shell.run(['status', NAME, '--json']);
    return JSON.parse(ran.stdout) as { outcomes: Record<string, number> };
  }
});

/** The element that has the focus, by its name. */
const FOCUSED = `(({ tagName, innerText }) => tagName === 'BUTTON' ? tagName + ' ' + innerText : tagName)(document.activeElement)`;

/** For people to look at, where TEST_PICTURES is set. */
async function save(page: WatchedPage['page'], name: string): Promise<void> {
  if (!process.env['TEST_PICTURES']) return;
  const folder = join(ROOT, 'test-results');
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, name), fullPage: true });
}
