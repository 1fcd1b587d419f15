import assert from 'node:assert/strict';
import { it } from 'node:test';
import { commandsProcessed, cpuMs } from '../bench/measure.ts';
import { temporaryFolder } from '../intake/reading.ts';
import { startRedis } from '../redis/support/plain-redis.ts';
import { plainServer } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openField } from './support.ts';

/** How long a waiting worker is watched. */
const WATCH_MS = 15_000;

it('a worker that waits for an hour costs next to nothing', async (t) => {
  // Commands are counted for a whole server, so nobody else may be there, and none that looks after it.
  await using folder = await temporaryFolder();
  const server = plainServer(await startRedis(t, { folder: folder.path, args: ['--appendonly', 'yes'] }));
  const field = await openField(server, { limits: '3/1h', ids: 50 });
  try {
    const worker = field.startWorker();
    await eventually(async () => assert.equal((await field.campaign()).open, 47, worker.stderr), 20_000);
    // What it does once at the beginning of a wait is over when its lane is held.
    await eventually(async () => {
      const held = await field.redis.pttl(field.tenant.keys.lane('cancel-campaign', 'limiter'));
      assert.ok(held > 60_000, `${held} ms`);
      assert.equal(await field.redis.llen(field.tenant.keys.lane('cancel-campaign', 'active')), 0);
    });
    await field.redis.config('RESETSTAT');
    const [commands, cpu, since] = [
      await commandsProcessed(field.redis),
      await cpuMs(worker.pid),
      performance.now(),
    ];
    await eventually(() => assert.ok(performance.now() - since > WATCH_MS), 2 * WATCH_MS);
    const seconds = (performance.now() - since) / 1_000;
    const rate = ((await commandsProcessed(field.redis)) - commands) / seconds;
    const share = ((await cpuMs(worker.pid)) - cpu) / (10 * seconds);
    t.diagnostic(`${rate.toFixed(1)} Redis commands a second, ${share.toFixed(1)} % of a core`);
    const stats = await field.redis.info('commandstats');
    assert.ok(rate <= 5, `${rate} commands a second: ${stats.replaceAll(/,usec.*/g, '')}`);
    assert.ok(share < 5, `${share} % of a core`);
    assert.equal((await field.simulator.calls()).filter(({ operation }) => operation === 'cancel').length, 3);
    assert.equal(worker.stderr, '');
  } finally {
    await field.close();
  }
});
