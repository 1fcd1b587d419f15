import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, constants, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createBrotliDecompress } from 'node:zlib';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { withLock } from '../../src/store/redis/lock.ts';
import { INSTALL_DIR } from './redis.ts';
import { PATIENCE_MS } from './wait.ts';

/** A browser, and what it needs of the environment. */
interface Installed {
  executablePath: string;
  env: Record<string, string>;
}

/** Names of a system's browser, for machines that the package has no build for (arm64, macOS). */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MISSING = 'no Chromium for this machine in npm, and none on PATH (Debian: apt-get install chromium)';

/** Null where this machine has none: then the test is skipped. In CI there must be one. */
export async function startChromium(): Promise<Browser | null> {
  const found = (await packaged()) ?? (await systemBrowser());
  if (found) {
    const { executablePath, env } = found;
    // Its sandbox needs rights that root and containers lack, and all it opens here are our own pages.
    const args = ['--no-sandbox', '--disable-gpu'];
    const all = { ...(process.env as Record<string, string>), ...env };
    return chromium.launch({ executablePath, env: all, args, timeout: PATIENCE_MS });
  }
  if (process.env['CI'] === 'true') throw new Error(`${MISSING}; CI has to install one`);
  return null;
}

export function skipWithoutChromium(t: TestContext): void {
  t.skip(MISSING);
}

/** The Chromium for Linux on x64 that an npm package ships, unpacked once for each version of it. */
async function packaged(): Promise<Installed | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const root = fileURLToPath(new URL('../', import.meta.resolve('@sparticuz/chromium')));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const folder = join(INSTALL_DIR, `chromium-${version}`);
  const lock = {
    path: `${folder}.lock`,
    waitMs: 2 * PATIENCE_MS,
    what: 'unpacking Chromium',
    code: 'INTERNAL',
  } as const;
  await withLock(lock, async () => {
    if (!(await isThere(folder, constants.F_OK))) await unpack(join(root, 'bin'), folder);
  });
  const env = {
    LD_LIBRARY_PATH: join(folder, 'lib'),
    FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    // With LANG=C this build's navigator.language is "en-US@posix", which Intl refuses.
    LANG: 'en_US.UTF-8',
  };
  return { executablePath: join(folder, 'chromium'), env };
}

async function unpack(from: string, to: string): Promise<void> {
  const part = `${to}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const program = createWriteStream(join(part, 'chromium'), { mode: 0o755 });
  await Promise.all([
    pipeline(createReadStream(join(from, 'chromium.br')), createBrotliDecompress(), program),
    ...['al2023', 'fonts'].map((name) => unpackTar(join(from, `${name}.tar.br`), part)),
  ]);
  // The package's own names folders of the cloud service that it is made for; without a font Chromium ends itself.
  await writeFile(join(part, 'fonts.conf'), fontsConf(join(to, 'fonts'), join(to, 'fonts-cache')));
  await rename(part, to);
}

async function unpackTar(archive: string, folder: string): Promise<void> {
  // By way of a file: tar is done at the archive's last entry, and closes a pipe while the rest is still being written.
  const tar = join(folder, basename(archive, '.br'));
  await pipeline(createReadStream(archive), createBrotliDecompress(), createWriteStream(tar));
  await promisify(execFile)('tar', ['-x', '--no-same-owner', '-C', folder, '-f', tar]);
  await rm(tar);
}

function fontsConf(fonts: string, cache: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${fonts}</dir>
  <cachedir>${cache}</cachedir>
</fontconfig>
`;
}

async function systemBrowser(): Promise<Installed | null> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  for (const executablePath of folders.flatMap((folder) => NAMES.map((name) => join(folder, name)))) {
    if (await isThere(executablePath, constants.X_OK)) return { executablePath, env: {} };
  }
  return null;
}

function isThere(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
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
  page.setDefaultTimeout(PATIENCE_MS);
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
