import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeActions } from '../../src/simulator/index.ts';
import { ROOT, startProgram } from '../support/processes.ts';
import { INSTALL_DIR, TEST_DIR } from '../support/redis.ts';

/** The server itself, from the system's packages: not ours to write, nor secret. */
const INSTALLED = 'redis-root';

test('nothing that Standdown writes may be read by others, whatever the umask', async (t) => {
  const folder = join(TEST_DIR, `files-${randomBytes(4).toString('hex')}`);
  const data = join(folder, 'data');
  await mkdir(folder, { recursive: true });
  t.after(() => rm(folder, { recursive: true, maxRetries: 20, retryDelay: 200 }));
  const ids = join(folder, 'ids.txt');
  await writeFile(ids, makeActions({ count: 100, seed: 3 }).ids.join('\n'));
  await linkServer(data);
  const seen = new Map<string, string>();
  const run = (...words: string[]) => runOpenly(words, data, () => look(data, seen));

  await run('submit', ids, '--campaign', 'a', '--comment', 'x', '--yes');
  await run('report', 'a', '--format', 'html', '--output', join(data, 'report.html'));
  await run('demo', '--actions', '10');

  const names = [...seen.keys()];
  for (const part of ['redis.sock', 'keeper.log', '.aof', 'report.html', 'worker.log', '.pem']) {
    assert.ok(
      names.some((name) => name.endsWith(part)),
      `${part} was looked at: ${names.join(' ')}`,
    );
  }
  const open = [...seen].filter(([, mode]) => !/[0-7]00$/.test(mode));
  assert.deepEqual(open, []);
});

/** So that none has to be installed again. */
async function linkServer(data: string): Promise<void> {
  const found = await readdir(join(INSTALL_DIR, INSTALLED)).catch(() => null);
  if (found === null) return; // The machine has one on its PATH.
  await mkdir(data, { mode: 0o700 });
  await symlink(join(INSTALL_DIR, INSTALLED), join(data, INSTALLED));
}

/** Runs a command under the umask of most systems, and looks around all the while. */
async function runOpenly(
  words: readonly string[],
  data: string,
  lookAround: () => Promise<void>,
): Promise<void> {
  const line = 'umask 022; exec "$@"';
  const args = ['-c', line, 'sh', process.execPath, join(ROOT, 'src/cli.ts'), ...words];
  const env = { STANDDOWN_DATA_DIR: data, STANDDOWN_TENANT: 'files' };
  const child = startProgram('/bin/sh', args, { env });
  let code: number | NodeJS.Signals | null = null;
  const exited = child.exited.then((ended) => {
    code = ended;
  });
  while (code === null) {
    await lookAround();
    await Promise.race([exited, delay(20)]);
  }
  assert.equal(code, 0, child.stderr);
}

/** Notes the rights of everything in a folder. What comes and goes meanwhile may be missed. */
async function look(folder: string, seen: Map<string, string>): Promise<void> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  for (const name of entries) {
    if (name.split('/').includes(INSTALLED)) continue;
    const found = await lstat(join(folder, name)).catch(() => null);
    if (found) seen.set(name, (found.mode & 0o777).toString(8).padStart(3, '0'));
  }
}
