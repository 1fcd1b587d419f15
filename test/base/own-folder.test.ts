import assert from 'node:assert/strict';
import { chmod, chown, lchown, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { ownFolder } from '../../src/base/own-folder.ts';
import { aloneWithLogin } from '../../src/defender/login-file.ts';
import { openSpool } from '../../src/files/in/spool.ts';
import { startEmbedded } from '../../src/store/redis/embedded.ts';
import { testFolder } from '../store/redis/support/machine.ts';
import { runCommand } from '../support/command.ts';

const NOBODY = 65_534;

/** A server that leaves a trace when it is run, in a tree such as an installed one. */
async function plantServer(dataDir: string, trace: string): Promise<void> {
  const bin = join(dataDir, 'redis-root/usr/bin');
  await mkdir(bin, { recursive: true, mode: 0o755 });
  await writeFile(join(bin, 'redis-server'), `#!/bin/sh\necho ran >> ${trace}\n`, { mode: 0o755 });
}

describe('a data folder that somebody else prepared', () => {
  const start = (dataDir: string) =>
    startEmbedded({ dataDir, path: '/nowhere', log: silentLog, install: true });

  async function assertRefused(t: TestContext, spoil: (dataDir: string) => Promise<void>, words: RegExp) {
    const folder = testFolder(t);
    const [dataDir, trace] = [join(folder, '.standdown'), join(folder, 'trace')];
    await mkdir(dataDir, { mode: 0o700 });
    await plantServer(dataDir, trace);
    await spoil(dataDir);
    await assert.rejects(start(dataDir), { code: 'CONFIG_INVALID', message: words });
    const env = { STANDDOWN_DATA_DIR: dataDir, STANDDOWN_TENANT: 't', PATH: '/nowhere' };
    const ran = await runCommand(['status'], { env });
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(ran.stderr, words);
    assert.deepEqual(await readdir(folder), ['.standdown'], 'nothing of it was run');
  }

  const CHANGED =
    /can be changed by other users \(mode \d{4}\), so nothing in it was used; run "chmod go-w .*set STANDDOWN_DATA_DIR/;
  const FOREIGN =
    /belongs to another user \(uid 65534\), so nothing in it was used; set STANDDOWN_DATA_DIR to a folder of your own/;

  it('is not used where others may write in it, or in what it holds', async (t) => {
    await assertRefused(t, (dataDir) => chmod(dataDir, 0o777), CHANGED);
    await assertRefused(t, (dataDir) => chmod(dataDir, 0o720), CHANGED);
    await assertRefused(t, (dataDir) => chmod(join(dataDir, 'redis-root/usr/bin'), 0o777), CHANGED);
    await assertRefused(
      t,
      (dataDir) => chmod(join(dataDir, 'redis-root/usr/bin/redis-server'), 0o757),
      CHANGED,
    );
    await assertRefused(
      t,
      async (dataDir) => {
        await mkdir(join(dataDir, 'redis'));
        await chmod(join(dataDir, 'redis'), 0o777);
      },
      CHANGED,
    );
  });

  it('is not used where it is theirs, and no link of theirs is followed', async (t) => {
    if (process.geteuid?.() !== 0) return t.skip('only root can make files of other users');
    await assertRefused(t, (dataDir) => chown(dataDir, NOBODY, NOBODY), FOREIGN);
    await assertRefused(t, (dataDir) => chown(join(dataDir, 'redis-root'), NOBODY, NOBODY), FOREIGN);
    const elsewhere = testFolder(t);
    await chmod(elsewhere, 0o755);
    const before = await stat(elsewhere);
    await assertRefused(
      t,
      async (dataDir) => {
        await symlink(elsewhere, join(dataDir, 'redis'));
        await lchown(join(dataDir, 'redis'), NOBODY, NOBODY);
      },
      FOREIGN,
    );
    const link = join(testFolder(t), 'link');
    await symlink(elsewhere, link);
    await lchown(link, NOBODY, NOBODY);
    for (const use of [
      () => start(link),
      () => openSpool(link),
      () => aloneWithLogin(join(link, 'logins/one.json'), 1_000, async () => assert.fail('it is not ours')),
    ])
      await assert.rejects(use, { code: 'CONFIG_INVALID', message: FOREIGN });
    assert.deepEqual(await readdir(elsewhere), []);
    assert.equal((await stat(elsewhere)).mode, before.mode);
  });

  it('is used where it is ours, by a link of ours, too, or is made for us alone', async (t) => {
    const folder = testFolder(t);
    await ownFolder(join(folder, 'a/b'), { deep: true });
    for (const made of ['a', 'a/b']) assert.equal((await stat(join(folder, made))).mode & 0o777, 0o700);
    await symlink(join(folder, 'a'), join(folder, 'link'));
    await ownFolder(join(folder, 'link'), { deep: true });
    // A volume that a group shares, of which nothing is trusted.
    await chmod(join(folder, 'a'), 0o2777);
    await (await openSpool(join(folder, 'a'))).close();
    await assert.rejects(ownFolder(join(folder, 'link')), { code: 'CONFIG_INVALID', message: CHANGED });
  });
});
