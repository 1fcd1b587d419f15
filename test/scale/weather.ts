import { createRandom } from '../../src/simulator/random.ts';

/** What else is wrong with clocks, and with the way to Redis. */
export interface Weather {
  /** How fast Redis' clock runs: 1.0005 is as fast as NTP lets it run. */
  redisRate?: number;
  /** Redis' clock is set: by up to a second every few minutes, now and then by minutes. */
  steps?: boolean;
  /** Machines of workers are suspended. */
  sleeps?: boolean;
  /** On the way to Redis, and on the way back, everything takes so much longer, in ms. */
  redisLegMs?: number;
  /** Workers look this often, in ms. */
  pulseMs?: number;
}

/** What Redis' clock shows at a time, both in ms since 1970. Times are asked for in order. */
export function redisClock({ redisRate = 1, steps }: Weather, begin: number, seed: number) {
  const random = createRandom(seed);
  let offset = 0;
  let nextAt = steps ? begin : Number.POSITIVE_INFINITY;
  return (now: number): number => {
    while (now >= nextAt) {
      offset += (random() < 0.9 ? 900 : 300_000) * (2 * random() - 1);
      nextAt += 600_000 * random();
    }
    return begin + (now - begin) * redisRate + offset;
  };
}
