import type { Timings } from '../../config/timings.ts';
import type { Keys } from '../../store/keys.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../../store/script.ts';
import type { Event } from './notice.ts';

/**
 * Notes that somebody wants notices, and whether something holds.
 *
 * A hold that ends and comes back within the gap is the same one: a 429 that follows each other is no progress.
 *
 * KEYS  1 notices
 * ARGV  1 '1' while something holds, 2 gap ms
 * Returns  {now, when notices were first wanted, since when something holds (empty: nothing does)}
 */
const lookScript = defineScript(
  'look-for-notices',
  /* lua */ `
local t = redis.call('TIME')
local now = math.floor(t[1] * 1000 + t[2] / 1000)
redis.call('HSETNX', KEYS[1], 'askedSince', now)
local f = redis.call('HMGET', KEYS[1], 'askedSince', 'heldSince', 'heldSeen')
if ARGV[1] ~= '1' then return {tostring(now), f[1], ''} end
local since = f[2]
if not since or now - tonumber(f[3] or '0') > tonumber(ARGV[2]) then since = tostring(now) end
redis.call('HSET', KEYS[1], 'heldSince', since, 'heldSeen', now)
return {tostring(now), f[1], since}
`,
);

/**
 * Puts a notice into the outbox, unless its campaign has told of it before.
 *
 * KEYS  1 campaign, 2 due, 3 outbox
 * ARGV  1 field of the campaign, 2 marker, 3 notice's id, 4 notice
 * Returns  1 when it was put there
 */
const putScript = defineScript(
  'put-notice',
  /* lua */ `
local f = redis.call('HMGET', KEYS[1], 'state', ARGV[1])
if not f[1] or f[1] == 'deleted' or f[2] == ARGV[2] then return 0 end
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[2], math.floor(t[1] * 1000 + t[2] / 1000), ARGV[3])
return 1
`,
);

/**
 * Claims the notice that is due first, for one try. If the claim lapses the notice is due again.
 *
 * KEYS  1 due, 2 outbox
 * ARGV  1 ms that a claim lasts
 * Returns  {} | {id, notice, how many tries there were with this one, until when it is claimed, now}
 */
const claimScript = defineScript(
  'claim-notice',
  /* lua */ `
local t = redis.call('TIME')
local now = math.floor(t[1] * 1000 + t[2] / 1000)
local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]
if not id then return {} end
local notice = redis.call('HGET', KEYS[2], id)
if not notice then redis.call('ZREM', KEYS[1], id) return {} end
local untilMs = now + tonumber(ARGV[1])
redis.call('ZADD', KEYS[1], untilMs, id)
return {id, notice, tostring(redis.call('HINCRBY', KEYS[2], id .. '#', 1)), tostring(untilMs), tostring(now)}
`,
);

/**
 * Ends a try, unless somebody else has taken over.
 *
 * KEYS  1 due, 2 outbox
 * ARGV  1 notice's id, 2 until when it was claimed, 3 ms until the next try; empty: there is none
 */
const endScript = defineScript(
  'end-notice',
  /* lua */ `
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return {} end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. '#')
else
  local t = redis.call('TIME')
  redis.call('ZADD', KEYS[1], math.floor(t[1] * 1000 + t[2] / 1000 + tonumber(ARGV[3])), ARGV[1])
end
return {}
`,
);

/**
 * Notes since when a campaign that follows actions of others is over: when those ended is not among its own facts. Of one that was never
 * seen open nobody knows.
 *
 * KEYS  1 campaign
 * ARGV  1 '1' when it is over
 * Returns  ms since 1970; empty: not over, or nobody knows
 */
const overScript = defineScript(
  'note-over',
  /* lua */ `
local f = redis.call('HMGET', KEYS[1], 'state', 'overAt')
if not f[1] or f[1] == 'deleted' then return '' end
if ARGV[1] ~= '1' then
  if f[2] ~= '0' then redis.call('HSET', KEYS[1], 'overAt', 0) end
  return ''
end
if f[2] ~= '0' then return f[2] or '' end
local t = redis.call('TIME')
local now = math.floor(t[1] * 1000 + t[2] / 1000)
redis.call('HSET', KEYS[1], 'overAt', now)
return tostring(now)
`,
);

export interface Claimed {
  id: string;
  /** As it is posted. */
  body: string;
  /** Tries, this one included. */
  tries: number;
  claimedUntil: string;
  /** Redis' clock, in ms. */
  now: number;
}

/** Notices that are to be sent, in Redis: any worker may put them there, and each try is one worker's. */
export function createOutbox({ redis, keys, timings }: { redis: RedisClient; keys: Keys; timings: Timings }) {
  const touched = [keys.noticesDue, keys.outbox];

  return {
    /** `heldSince`: null unless something holds. All in ms of Redis' clock. */
    look: async (isHeld: boolean) => {
      const reply = asList(await lookScript(redis, [keys.notices], [isHeld ? 1 : 0, timings.noticeGapMs]));
      const [now, askedSince, heldSince] = reply.map(asText);
      return {
        now: Number(now),
        askedSince: Number(askedSince),
        heldSince: heldSince ? Number(heldSince) : null,
      };
    },
    /** @returns since when it is over, in ms since 1970; null: it is not, or nobody knows. */
    noteOver: async (campaign: number, isOver: boolean): Promise<number | null> =>
      Number(asText(await overScript(redis, [keys.campaign(campaign)], [isOver ? 1 : 0]))) || null,
    /** @returns whether it is new. */
    put: async ({ campaign, kind, marker, notice }: Event): Promise<boolean> => {
      const args = [`told:${kind}`, marker, notice.id, JSON.stringify(notice)];
      return (await putScript(redis, [keys.campaign(campaign), ...touched], args)) === 1;
    },
    /** Null: none is due. */
    claim: async (): Promise<Claimed | null> => {
      const [id, body, tries, claimedUntil, now] = asList(
        await claimScript(redis, touched, [timings.noticeClaimMs]),
      );
      if (id === undefined) return null;
      return {
        id: asText(id),
        body: asText(body),
        tries: asNumber(tries),
        claimedUntil: asText(claimedUntil),
        now: asNumber(now),
      };
    },
    /** `againMs`: null: it is not tried again. */
    end: async ({ id, claimedUntil }: Claimed, againMs: number | null): Promise<void> => {
      await endScript(redis, touched, [id, claimedUntil, againMs ?? '']);
    },
  };
}
