import assert from 'node:assert/strict';
import { it } from 'node:test';
import { TIMINGS } from '../../src/config/timings.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { commandsProcessed, cpuMs } from '../bench/measure.ts';
import { temporaryFolder } from '../files/in/reading.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { plainServer } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openField } from './support.ts';

/** A fifth of production's, so that what is counted between two beats is the same. */
const FASTER = 5;
const TIMED = ['pulseMs', 'graceMs', 'lockMs', 'inboxBlockMs', 'inboxClaimMs', 'inboxIdleMs'] as const;
const timings = { ...TIMINGS, ...Object.fromEntries(TIMED.map((name) => [name, TIMINGS[name] / FASTER])) };

/** For so many beats a waiting worker is watched. */
const BEATS = 20;

/** Each beat asks for it once, and nothing else does. */
async function beatsOf(redis: RedisClient): Promise<number> {
  return Number(/cmdstat_info:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
}

it('a worker that waits for an hour costs next to nothing', async (t) => {
  // Commands are counted for a whole server, so nobody else may be there, and none that looks after it.
  await using folder = await temporaryFolder();
  const server = plainServer(await startRedis(t, { folder: folder.path, args: ['--appendonly', 'yes'] }));
  const field = await openField(server, { limits: '3/1h', ids: 50, timings, apart: false });
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
    const since = performance.now();
    const cpu = await cpuMs(worker.pid);
    let looks = 0;
    const beats = await eventually(async () => {
      looks++;
      const seen = (await beatsOf(field.redis)) - looks;
      assert.ok(seen >= BEATS, `${seen} beats`);
      return seen;
    });
    const each = ((await commandsProcessed(field.redis)) - looks) / beats;
    const share = ((await cpuMs(worker.pid)) - cpu) / (10 * FASTER * ((performance.now() - since) / 1_000));
    t.diagnostic(`${each.toFixed(1)} Redis commands a beat, about ${share.toFixed(1)} % of a core`);
    const stats = await field.redis.info('commandstats');
    // A beat of a busy machine is longer; whoever polls asks hundreds of times.
    assert.ok(each <= 30, `${each} commands a beat: ${stats.replaceAll(/,usec.*/g, '')}`);
    assert.equal((await field.simulator.calls()).filter(({ operation }) => operation === 'cancel').length, 3);
    assert.equal(worker.stderr, '');
  } finally {
    await field.close();
  }
});
