import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { processesIn } from '../redis/support/machine.ts';
import { ROOT, startProgram } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

/** A shell line in which `standdown` stands for the command. */
async function inShell(line: string) {
  const script = `standdown() { "${process.execPath}" src/cli.ts "$@"; }; ${line}`;
  const child = startProgram('bash', ['-c', script], { cwd: ROOT });
  child.stdin.end();
  return { code: await child.exited, stdout: child.stdout, stderr: child.stderr };
}

describe('standard output', () => {
  it('that nobody reads any more is no failure', async () => {
    const ran = await inShell(`standdown completion bash | head -n 1; exit "\${PIPESTATUS[0]}"`);
    assert.deepEqual([ran.code, ran.stderr, ran.stdout.split('\n').length], [0, '', 2]);
  });

  it('that cannot take any more is one, and is told', { skip: !existsSync('/dev/full') }, async () => {
    for (const command of ['--help', 'completion zsh']) {
      const ran = await inShell(`standdown ${command} > /dev/full`);
      assert.equal(ran.code, 1);
      assert.match(ran.stderr, /^standdown: standard output cannot be written: ENOSPC.*\n$/);
    }
  });

  it('of a demo that nobody watches any more leaves no process behind', async () => {
    const dir = join(TEST_DIR, newLabel());
    try {
      const ran = await inShell(
        `STANDDOWN_DATA_DIR=${dir} standdown demo --actions 0 2>&1 | head -n 3; exit "\${PIPESTATUS[0]}"`,
      );
      assert.equal(ran.code, 0, ran.stdout);
      // Its Redis ends when nobody is connected any more: a worker that was left would keep it.
      await eventually(() => assert.deepEqual(processesIn(dir), []), 60_000);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
