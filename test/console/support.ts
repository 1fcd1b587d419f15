import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, it, type TestContext } from 'node:test';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { silentLog } from '../../src/base/log.ts';
import { previewLines } from '../../src/cli/console.ts';
import { type Environment, readConfig } from '../../src/config/config.ts';
import { type Console, startConsole } from '../../src/console/open.ts';
import { skipWithoutChromium } from '../support/chromium.ts';
import { ROOT } from '../support/processes.ts';
import { PATIENCE_MS } from '../support/wait.ts';

/** Who acts where nobody has to sign in. */
export const OPERATOR = 'operator@here';

export const READ_TOKEN = 'reading-token-0123456789';
export const ACT_TOKEN = 'acting-token-9876543210';

/** A test that failed has not stopped its own, which would keep the file from ending. */
const opened = new Set<Console>();
after(() => Promise.all([...opened].map((served) => served.stop())));

export interface ConsoleOptions {
  env: Environment;
  /** The tenants that it shows; by default the one of `env`. */
  tenants?: readonly Environment[];
  wall?: () => number;
  bodyMs?: number;
}

/** Of a command, as far as previewing asks for it. */
const CONTEXT = {
  config: readConfig({}),
  stop: new AbortController().signal,
  out: { write: async () => {}, note: () => {}, complain: () => {}, isTerminal: false, columns: 80 },
};

/** A console in this process, at any free port. */
export async function openConsole({ env, tenants = [env], wall, bodyMs }: ConsoleOptions): Promise<Console> {
  const config = readConfig({ CONSOLE_PORT: '0', ...env });
  const served = await startConsole(
    { config, log: silentLog, path: process.env['PATH'] ?? '' },
    {
      settings: config.console,
      operator: OPERATOR,
      version: '0.0.0-test',
      preview: (shown, spool, signal) => previewLines(CONTEXT, shown, spool, signal),
      ...(wall && { wall }),
      ...(bodyMs !== undefined && { bodyMs }),
    },
  );
  opened.add(served);
  await served.set(tenants.map(readConfig));
  return served;
}

/** A browser's session, and everything about its pages that should not be. */
export interface Visitor {
  context: BrowserContext;
  page: Page;
  /** Addresses elsewhere that were asked for. */
  strangers: string[];
  /** What the pages' consoles said, and exceptions. */
  complaints: string[];
  /** Opens a page of the console. */
  go(path: string): Promise<void>;
  /** Nothing was asked for elsewhere, and nothing complained. */
  assertQuiet(): void;
}

/** Declares tests in a browser's session of their own each, in which nothing may be said that should not be. */
export function browserTests(place: () => { browser: Browser | null; url: string }) {
  return (name: string, run: (visitor: Visitor, t: TestContext) => Promise<void>): void => {
    it(name, async (t) => {
      const { browser, url } = place();
      if (!browser) return skipWithoutChromium(t);
      const visitor = await visit(browser, url);
      try {
        await run(visitor, t);
        visitor.assertQuiet();
      } finally {
        await visitor.context.close();
      }
    });
  };
}

export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const origin = new URL(url).origin;
  const strangers: string[] = [];
  const complaints: string[] = [];
  context.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) strangers.push(request.url());
  });
  page.on('console', (message) => {
    // Answers with 403 and the like are what some tests are about; and bull-board loads more than it uses.
    const isUsual = /^Failed to load resource|was preloaded using link preload/.test(message.text());
    if (!isUsual) complaints.push(message.text());
  });
  page.on('pageerror', (error) => void complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return {
    context,
    page,
    strangers,
    complaints,
    go: async (path) => {
      await page.goto(new URL(path, url).href);
    },
    assertQuiet: () => {
      assert.deepEqual(strangers, []);
      assert.deepEqual(complaints, []);
    },
  };
}

export async function signIn({ page }: Visitor, token: string, name = 'anna'): Promise<void> {
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Keeps a picture of a page for people, in test-results/, where TEST_PICTURES is set. */
export async function picture(page: Page, name: string): Promise<void> {
  if (!process.env['TEST_PICTURES']) return;
  const folder = join(ROOT, 'test-results', 'console');
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}

/** The text of an element, once it is there. */
export function textOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).first().innerText();
}

/** The text of what has the focus, as it is now: waiting for something to have it would be for nothing on the page itself. */
export async function focused(page: Page): Promise<string> {
  return ((await page.evaluate(`document.querySelector(':focus')?.innerText ?? ''`)) as string).trim();
}

const AXE = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** By WCAG 2.2, levels A and AA. */
const RULES = `['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']`;

/** Looks for what keeps people out, in light and in dark; only the contrast depends on which of them. */
export async function assertAccessible(page: Page): Promise<void> {
  // The page's policy lets no script in but its own; this one does not come from the page.
  await page.evaluate(AXE);
  for (const [colorScheme, rules] of [
    ['light', RULES],
    ['dark', `{ type: 'rule', values: ['color-contrast'] }`],
  ] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const found = (await page.evaluate(`axe.run(document, { runOnly: ${rules} })`)) as {
      violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    };
    const violations = found.violations.map(({ id, nodes }) => ({
      id,
      nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`),
    }));
    assert.deepEqual(violations, [], colorScheme);
  }
}
