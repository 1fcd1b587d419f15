import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LANES } from '../../src/store/keys.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openField } from './support.ts';

const HOG = join(import.meta.dirname, 'memory-hog.ts');

describe('workers die', () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('a worker runs out of memory in mid-call: another goes on, one outcome each', async (t) => {
    const ids = 60;
    const concurrency = 5;
    const field = await openField(server, {
      limits: '1000/1s,100000/1h',
      ids,
      apart: false,
      simulator: { latencyMs: { min: 200, max: 400 } },
      env: { CALL_TIMEOUT: '2s', CONCURRENCY: String(concurrency) },
    });
    const { simulator, redis, tenant } = field;
    try {
      const leaking = field.startWorker({
        NODE_OPTIONS: `--max-old-space-size=64 --import ${HOG}`,
        HOG_AFTER: '15',
      });
      assert.equal(await leaking.exited, 'SIGABRT', leaking.stderr);
      assert.match(leaking.stderr, /heap out of memory/);
      const before = await field.report();
      const ended = [...before.values()].filter(({ outcome }) => outcome !== null);
      assert.ok(ended.length >= 10 && ended.length < ids, `${ended.length} had ended`);
      const seen = (await simulator.calls()).length;

      field.startWorkerHere();
      await field.untilDone();
      const lines = await field.assertComplete();
      const calls = (await simulator.calls()).slice(seen);
      for (const line of ended) {
        assert.deepEqual(lines.get(line.machineActionId), line);
        assert.ok(!calls.some(({ id }) => id === line.machineActionId), 'called after its outcome');
      }
      const repeated = [...lines.values()].filter(({ attempts }) => attempts > 1);
      t.diagnostic(`${ended.length} of ${ids} had ended, ${repeated.length} were being called`);
      assert.ok(
        repeated.length > 0 && repeated.length <= concurrency,
        `${repeated.length} were being called`,
      );
      assert.equal((await simulator.refusals()).length, 0);
      for (const lane of LANES) assert.equal(await redis.zcard(tenant.keys.lane(lane, 'failed')), 0, lane);
    } finally {
      await field.close();
    }
  });
});
