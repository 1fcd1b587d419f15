import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { inShell } from './in-shell.ts';

describe('standard output', () => {
  it('that nobody reads any more is no failure', async () => {
    const ran = await inShell(`standdown completion bash | head -n 1; exit "\${PIPESTATUS[0]}"`);
    assert.deepEqual([ran.code, ran.stderr, ran.stdout.split('\n').length], [0, '', 2]);
  });

  it('that cannot take any more is one, and is told', { skip: !existsSync('/dev/full') }, async () => {
    for (const command of ['--help', 'completion zsh']) {
      const ran = await inShell(`standdown ${command} > /dev/full`);
      assert.equal(ran.code, 1);
      assert.match(ran.stderr, /^standdown: cannot write to standard output: ENOSPC.*\n$/);
    }
  });
});
