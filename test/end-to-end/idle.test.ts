import assert from 'node:assert/strict';
import { it } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { commandsProcessed, cpuMs } from '../bench/measure.ts';
import { temporaryFolder } from '../intake/reading.ts';
import { startRedis } from '../redis/support/plain-redis.ts';
import { plainServer } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openField } from './support.ts';

/** How long a waiting worker is watched, and the most it may ask Redis meanwhile: whoever polls asks hundreds of times. */
const WATCH_MS = 5_000;
const MOST_COMMANDS = 50;

it('a worker that waits for an hour costs next to nothing', async (t) => {
  // Commands are counted for a whole server, so nobody else may be there, and none that looks after it.
  await using folder = await temporaryFolder();
  const server = plainServer(await startRedis(t, { folder: folder.path, args: ['--appendonly', 'yes'] }));
  const field = await openField(server, { limits: '3/1h', ids: 50, apart: false });
  try {
    const worker = field.startWorker();
    await eventually(async () => assert.equal((await field.campaign()).open, 47, worker.stderr));
    // What it does once at the beginning of a wait is over when its lane is held.
    await eventually(async () => {
      const held = await field.redis.pttl(field.tenant.keys.lane('cancel-campaign', 'limiter'));
      assert.ok(held > 60_000, `${held} ms`);
      assert.equal(await field.redis.llen(field.tenant.keys.lane('cancel-campaign', 'active')), 0);
    });
    await field.redis.config('RESETSTAT');
    const [commands, cpu] = [await commandsProcessed(field.redis), await cpuMs(worker.pid)];
    // Time itself is what is watched here; a busy machine only makes less happen in it.
    await systemClock.sleep(WATCH_MS);
    const asked = (await commandsProcessed(field.redis)) - commands;
    const worked = (await cpuMs(worker.pid)) - cpu;
    t.diagnostic(`${asked} Redis commands and ${worked} ms of a core in ${WATCH_MS} ms`);
    const stats = await field.redis.info('commandstats');
    assert.ok(asked <= MOST_COMMANDS, `${asked} commands: ${stats.replaceAll(/,usec.*/g, '')}`);
    assert.ok(worked < WATCH_MS / 20, `${worked} ms of a core`);
    assert.equal((await field.simulator.calls()).filter(({ operation }) => operation === 'cancel').length, 3);
    assert.equal(worker.stderr, '');
  } finally {
    await field.close();
  }
});
