import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { processesIn } from '../store/redis/support/machine.ts';
import { TEST_DIR } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { inShell } from './in-shell.ts';

describe('standard output', () => {
  it('of a demo that nobody watches any more leaves no process behind', async () => {
    const dir = join(TEST_DIR, newLabel());
    try {
      const ran = await inShell(
        `STANDDOWN_DATA_DIR=${dir} standdown demo --actions 0 2>&1 | head -n 3; exit "\${PIPESTATUS[0]}"`,
      );
      assert.equal(ran.code, 0, ran.stdout);
      // Its Redis ends when nobody is connected any more: a worker that was left would keep it.
      await eventually(() => assert.deepEqual(processesIn(dir), []));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
