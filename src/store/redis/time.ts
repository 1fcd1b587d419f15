import type { RedisClient } from '../script.ts';

/** Now, by Redis' clock, in ms since 1970 with a fraction: what expires does so by this one, for machines may differ. */
export async function redisTime(redis: Pick<RedisClient, 'time'>): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1_000 + Number(micros) / 1_000;
}
