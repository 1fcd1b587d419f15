import { defineScript, type RedisClient } from '../store/script.ts';

/**
 * Takes a lease, unless somebody has it. Redis ends leases and locks by its wall clock, so that one from before that clock was set back
 * would last longer by as much: it is cut to what it may be.
 *
 * KEYS  1 the lease
 * ARGV  1 who we are, 2 ms that it lasts
 * Returns  1 when taken
 */
const takeScript = defineScript(
  'take-lease',
  /* lua */ `
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`,
);

/**
 * Gives a lease back, if it is still ours.
 *
 * KEYS  1 the lease
 * ARGV  1 who we are
 */
const giveBackScript = defineScript(
  'give-back-lease',
  /* lua */ `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {}
`,
);

/**
 * The same for what BullMQ keeps of a lane: the locks of active jobs, which a dead worker cannot renew, and the key that
 * says when stalled jobs were looked for.
 *
 * KEYS  1 active, 2 stalled-check
 * ARGV  1 what job keys begin with, 2 ms that a lock lasts, and from one look to the next
 */
const cutScript = defineScript(
  'cut-locks',
  /* lua */ `
local most = tonumber(ARGV[2])
local function cut(key)
  if redis.call('PTTL', key) > most then redis.call('PEXPIRE', key, most) end
end
cut(KEYS[2])
if redis.call('TYPE', KEYS[1])['ok'] ~= 'list' then return {} end
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do cut(ARGV[1] .. id .. ':lock') end
return {}
`,
);

/** @returns whether it is ours now. */
export async function takeLease(redis: RedisClient, key: string, me: string, ms: number): Promise<boolean> {
  return (await takeScript(redis, [key], [me, ms])) === 1;
}

export async function giveBackLease(redis: RedisClient, key: string, me: string): Promise<void> {
  await giveBackScript(redis, [key], [me]);
}

/** @param key names a key of the lane by its suffix. */
export async function cutLocks(
  redis: RedisClient,
  key: (suffix: string) => string,
  lockMs: number,
): Promise<void> {
  await cutScript(redis, [key('active'), key('stalled-check')], [key(''), lockMs]);
}
