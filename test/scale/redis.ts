import { closeSync, existsSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { buildClock } from '../gauntlet/place.ts';
import { openServer } from '../gauntlet/server.ts';
import { TEST_DIR } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { type Life, reach, type Timeline } from './time.ts';

/** A real Redis that lives in simulated time. */
export interface SimulatedRedis {
  /** For what costs no time: setting up, and looking at what became of it. Call `tick` before. */
  redis: Redis;
  /** Sets Redis' clock to the simulated time. */
  tick(): void;
  /** A process' way to it: `delayMs` says how long something is under way there, or back. */
  connect(life: Life, delayMs: () => number): Redis;
  /** How many commands came that way. */
  sent(): number;
  close(): Promise<void>;
}

/**
 * @param shows what its clock shows at a time, both in ms since 1970.
 * @throws Error where there is no C compiler: what sets its clock is built from C.
 */
export async function openSimulatedRedis(
  timeline: Timeline,
  shows: (now: number) => number = (now) => now,
): Promise<SimulatedRedis> {
  const library = await buildClock();
  if (library === null) throw new Error('there is no C compiler (cc)');
  const dir = join(TEST_DIR, 'scale', newLabel());
  await mkdir(dir, { recursive: true });
  // In memory where there is such a place: it is written before every command.
  const clockFile = join(existsSync('/dev/shm') ? '/dev/shm' : dir, `standdown-clock-${newLabel()}`);
  const micros = Buffer.alloc(8);
  const told = () => {
    micros.writeBigInt64LE(BigInt(Math.round(shows(timeline.now()) * 1_000)));
    return micros;
  };
  writeFileSync(clockFile, told());
  const clock = openSync(clockFile, 'r+');
  const socket = join(dir, 's');
  // What runs beside its main thread sleeps until a time on the real clock, and would not sleep at all.
  const settings = ['--unixsocket', socket, '--jemalloc-bg-thread', 'no'];
  const server = await openServer(join(dir, 'server'), settings, {
    LD_PRELOAD: library,
    CLOCK_AT: clockFile,
  });
  // The server has it mapped, and this process open.
  await rm(clockFile);
  const redis = new Redis({ path: socket, maxRetriesPerRequest: null });
  let sent = 0;
  const tick = () => {
    writeSync(clock, told(), 0, 8, 0);
  };
  return {
    redis,
    tick,
    sent: () => sent,
    connect: (life, delayMs) => {
      const way = Object.create(redis) as Redis;
      way.sendCommand = (command) =>
        new Promise((resolve, reject) => {
          // On its way it arrives whatever becomes of its sender. The answer to a dead one is lost.
          const answer = (tell: () => void) => timeline.after(delayMs(), () => reach(timeline, life, tell));
          timeline.after(delayMs(), async () => {
            tick();
            sent++;
            await Promise.resolve(redis.sendCommand(command)).then(
              (reply) => answer(() => resolve(reply)),
              (error: unknown) => answer(() => reject(error as Error)),
            );
          });
        });
      return way;
    },
    close: async () => {
      redis.disconnect();
      await server.close();
      closeSync(clock);
      await rm(dir, { recursive: true });
    },
  };
}
