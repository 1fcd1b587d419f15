import { defineScript, type RedisClient } from '../store/script.ts';

/**
 * Gives back a job's place in BullMQ's limiter, which counts activations and not calls: 10,000 jobs that need no call
 * would otherwise keep a lane waiting for 100 minutes. Not below one, for BullMQ starts the limiter's time with the
 * first; not above the limit, for then somebody holds the lane.
 *
 * KEYS  1 the lane's limiter
 * ARGV  1 the limiter's max
 */
const giveBackScript = defineScript(
  'door',
  /* lua */ `
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count > 1 and count <= tonumber(ARGV[1]) then redis.call('DECR', KEYS[1]) end
return {}
`,
);

export async function giveBackPlace(redis: RedisClient, limiterKey: string, max: number): Promise<void> {
  await giveBackScript(redis, [limiterKey], [max]);
}
