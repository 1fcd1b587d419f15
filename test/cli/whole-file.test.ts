import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { StanddownError } from '../../src/base/errors.ts';
import { checkWritable, writeWhole } from '../../src/cli/whole-file.ts';

describe('a file that appears when it is complete', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'standdown-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const force = { force: true };
  const write = (path: string, text: string) => writeWhole(path, force, (file) => file.writeFile(text));

  it('is for its owner only, and leaves nothing beside it', async () => {
    await write(join(folder, 'report'), 'text');
    assert.equal(await readFile(join(folder, 'report'), 'utf8'), 'text');
    assert.equal((await stat(join(folder, 'report'))).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ['report']);
  });

  it('takes no other file for its own', async () => {
    await writeFile(join(folder, 'report.part'), 'precious');
    await Promise.all([write(join(folder, 'report'), 'one'), write(join(folder, 'report'), 'two')]);
    assert.match(await readFile(join(folder, 'report'), 'utf8'), /^(one|two)$/);
    assert.equal(await readFile(join(folder, 'report.part'), 'utf8'), 'precious');
  });

  it('stays as it was when something fails on the way', async () => {
    const path = join(folder, 'report');
    await writeFile(path, 'before');
    const failure = new Error('no more lines');
    await assert.rejects(
      writeWhole(path, force, async (file) => {
        await file.writeFile('half');
        throw failure;
      }),
      failure,
    );
    assert.equal(await readFile(path, 'utf8'), 'before');
    assert.deepEqual(await readdir(folder), ['report']);
  });

  it('is replaced only where that was asked for, also one that came meanwhile', async () => {
    const path = join(folder, 'report');
    const kept = { force: false };
    const refused = { code: 'INPUT_INVALID', message: /it already exists; use --force to replace it/ };
    await assert.rejects(
      writeWhole(path, kept, async (file) => {
        await file.writeFile('mine');
        await writeFile(path, 'precious');
      }),
      refused,
    );
    await assert.rejects(checkWritable(path, kept), refused);
    assert.equal(await readFile(path, 'utf8'), 'precious');
    assert.deepEqual(await readdir(folder), ['report']);
    await write(path, 'newer');
    assert.equal(await readFile(path, 'utf8'), 'newer');
  });

  it('is what a link leads to; the link stays', async () => {
    await writeFile(join(folder, 'target'), 'old');
    await symlink('target', join(folder, 'link'));
    await write(join(folder, 'link'), 'new');
    assert.equal(await readlink(join(folder, 'link')), 'target');
    assert.equal(await readFile(join(folder, 'target'), 'utf8'), 'new');
  });

  it('may be a pipe, which is written to and stays one', async () => {
    const pipe = join(folder, 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const [, text] = await Promise.all([write(pipe, 'through'), readFile(pipe, 'utf8')]);
    assert.equal(text, 'through');
    assert.ok((await stat(pipe)).isFIFO());
    assert.deepEqual(await readdir(folder), ['pipe']);
  });

  const wrong: [path: (folder: string) => string, says: RegExp][] = [
    [() => '', /^cannot write --output: the name is empty$/],
    [(dir) => dir, /^cannot write .*: it is a folder; give the name of a file in it$/],
    [(dir) => join(dir, 'no', 'report'), /^cannot write .*: folder .*no does not exist; create it first$/],
    [(dir) => join(dir, 'x'.repeat(300)), /^cannot write .*: .*ENAMETOOLONG/],
  ];
  for (const [path, says] of wrong) {
    it(`is refused before any work: ${says.source.slice(-40)}`, async () => {
      const refused = (error: unknown) =>
        error instanceof StanddownError && error.code === 'INPUT_INVALID' && says.test(error.message);
      await assert.rejects(checkWritable(path(folder), force), refused);
      await assert.rejects(write(path(folder), 'text'), refused);
      assert.deepEqual(await readdir(folder), []);
    });
  }
});
