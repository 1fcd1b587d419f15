import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { aloneWithLogin, rememberTokens } from '../../src/defender/login-file.ts';

describe('being alone with a login', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'standdown-login-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('hands on what came of the work, and whatever it failed of', async () => {
    const path = join(folder, 'login');
    assert.equal(await aloneWithLogin(path, 1_000, async () => 7), 7);
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const failing = aloneWithLogin(path, 1_000, () => Promise.reject(refused));
    await assert.rejects(failing, (error) => error === refused);
    assert.equal(await aloneWithLogin(path, 1_000, async () => 8), 8, 'the lock was given back');
  });

  it('that is damaged is not quoted: a piece of it may be one of a token', () => {
    for (const text of ['AXoA-refresh-token', '{"RefreshToken":{"x":{"secret":AXoA-refresh-token}}}']) {
      assert.throws(
        () => rememberTokens(join(folder, 'damaged'), text),
        (error: Error) => {
          assert.doesNotMatch(inspect(error, { depth: null }), /AXoA/);
          return true;
        },
      );
    }
  });

  it('says so when its lock cannot be used', async () => {
    const path = join(folder, 'other');
    await writeFile(`${path}.lock`, 'a file where a folder should be');
    let worked = false;
    const alone = aloneWithLogin(path, 1_000, async () => {
      worked = true;
    });
    await assert.rejects(alone, {
      code: 'INPUT_INVALID',
      message: /cannot use the lock of the login, .*other\.lock: .*ENOTDIR/,
    });
    assert.equal(worked, false);
  });
});
