import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A real Chromium, the one that this machine has. */
async function findChromium(): Promise<string | null> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  for (const path of folders.flatMap((folder) => NAMES.map((name) => join(folder, name)))) {
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return null;
}

/** Null where this machine has none: then the test is to be skipped. In CI there must be one. */
export async function startChromium(): Promise<Browser | null> {
  const executablePath = await findChromium();
  if (executablePath) {
    // Its sandbox does not work for root, as which containers run tests; what it opens here is our own.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    return chromium.launch({ executablePath, args });
  }
  if (process.env['CI'] === 'true') throw new Error(`${MISSING}; CI has to install one`);
  return null;
}

const MISSING = 'no Chromium on this machine (Debian: apt-get install chromium)';

export function skipWithoutChromium(t: TestContext): void {
  t.skip(MISSING);
}

/** A page, and everything about it that should not be. */
export interface WatchedPage {
  page: Page;
  /** Addresses that were asked for, but for the file itself. */
  requests: string[];
  /** What the console said, and exceptions. */
  complaints: string[];
}

export async function openFile(
  browser: Browser,
  path: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const page = await browser.newPage({ viewport: { width: 1_280, height: 900 }, ...options });
  page.setDefaultTimeout(60_000);
  const url = `file://${path}`;
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => {
    if (request.url() !== url) requests.push(request.url());
  });
  page.on('console', (message) => void complaints.push(message.text()));
  page.on('pageerror', (error) => void complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, requests, complaints };
}
