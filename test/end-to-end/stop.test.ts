import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { temporaryFolder } from '../files/in/reading.ts';
import { atEnd } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { plainServer } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openField } from './support.ts';

describe('a worker that is told to stop', { concurrency: true }, () => {
  for (const how of ['SIGSTOP', 'SIGKILL'] as const) {
    it(`ends with 0, although Redis does not answer (${how})`, async (t) => {
      await using folder = await temporaryFolder();
      const redis = await startRedis(t, { folder: folder.path, args: ['--appendonly', 'yes'] });
      const field = await openField(plainServer(redis), { limits: '20/1s', ids: 500, apart: false });
      atEnd(t, () => field.simulator.stop());
      const worker = field.startWorker({ CALL_TIMEOUT: '1s' });
      await eventually(async () => assert.ok((await field.campaign()).open < 480, worker.stderr));
      redis.child.kill(how);
      worker.kill('SIGTERM');
      assert.equal(await worker.exited, 0, worker.stderr);
      redis.child.kill('SIGKILL');
    });
  }
});
