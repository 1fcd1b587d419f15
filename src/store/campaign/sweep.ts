import type { Logger } from '../../base/log.ts';
import type { Keys } from '../keys.ts';
import { ID_BYTES } from '../ledger/batch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { redisTime } from '../redis/time.ts';
import { defineScript, type RedisClient } from '../script.ts';
import { endOf, followersOf, forgetCampaign } from './forget.ts';
import { readIds } from './ids.ts';
import { type Campaign, listCampaigns, readCampaign } from './registry.ts';

/**
 * Ends a campaign whose time has passed, unless it has finished or ended otherwise, or its time was changed.
 *
 * KEYS  1 campaign, 2 ending, 3 running, 4 expiries, 5 state
 * ARGV  1 number
 */
const expireScript = defineScript(
  'expire-campaign',
  /* lua */ `
local f = redis.call('HMGET', KEYS[1], 'state', 'expiresAt', 'open', 'total')
local at, t = tonumber(f[2]) or 0, redis.call('TIME')
if at > t[1] * 1000 + t[2] / 1000 then redis.call('ZADD', KEYS[4], at, 'c' .. ARGV[1]) return {} end
redis.call('ZREM', KEYS[4], 'c' .. ARGV[1])
if (f[1] ~= 'running' and f[1] ~= 'paused') or at == 0 then return {} end
-- It has finished.
if f[1] == 'running' and f[3] == '0' and f[4] ~= '0' then return {} end
redis.call('HSET', KEYS[1], 'state', 'expired')
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[5], 'steer', 1)
return {}
`,
);

/**
 * Takes a campaign out of those that are ending, if nothing of it is open.
 *
 * KEYS  1 ending, 2 campaign
 * ARGV  1 number
 */
const sweptScript = defineScript(
  'swept',
  /* lua */ `
if (redis.call('HGET', KEYS[2], 'open') or '0') == '0' then redis.call('SREM', KEYS[1], ARGV[1]) end
return {}
`,
);

export interface SweepDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  /** Null: nothing is logged. */
  log: Logger | null;
  /** Ms since 1970; for retention. */
  wall(): number;
}

/** How far a sweep came: `claims`: only live claims were left, whose calls end soon or whose claims lapse. */
export type Progress = 'done' | 'claims' | 'more';

/** Ids per script. */
const PART = 1_000;

/** Parts in one go; then others get their turn. */
const PARTS_AT_ONCE = 100;

/** Single cancels that are ended at once because their time has passed. */
const DUE_AT_ONCE = 500;

/** So many times what is due at once is ended before something else is done. */
const MOST_TURNS = 20;

/**
 * Ends what has expired or was aborted, before something that depends on it: so nothing stays pending for want of a worker. Calls in
 * flight are left to theirs.
 */
export async function sweepNow(
  { redis, keys, ledger, log = null }: Omit<SweepDeps, 'log' | 'wall'> & Partial<Pick<SweepDeps, 'log'>>,
  signal?: AbortSignal,
): Promise<void> {
  const sweep = createSweep({ redis, keys, ledger, log, wall: Date.now });
  for (let turn = 0; turn < MOST_TURNS && (await sweep.endDue()) === 'more'; turn++);
  while (!signal?.aborted && (await sweep.endCampaigns()) === 'more');
}

export type Sweep = ReturnType<typeof createSweep>;

/** Ends what may not be called any more, and forgets what need not be kept any more. Any worker may do any of it. */
export function createSweep(deps: SweepDeps) {
  const { redis, keys, ledger, log } = deps;

  /** Ends the open ids of aborted and expired campaigns, as far as it comes in one go. */
  async function endCampaigns(): Promise<Progress> {
    let progress: Progress = 'done';
    for (const number of (await redis.smembers(keys.ending)).map(Number)) {
      const campaign = await readCampaign(redis, keys, number);
      if (!campaign || campaign.open === 0)
        await sweptScript(redis, [keys.ending, keys.campaign(number)], [number]);
      else if ((await endSome(campaign)) === 'more') progress = 'more';
      else if (progress === 'done') progress = 'claims';
    }
    return progress;
  }

  async function endSome(campaign: Campaign): Promise<Progress> {
    const { number } = campaign;
    const outcome = campaign.state === 'expired' ? 'expired' : 'withdrawn';
    let ended = 0;
    const tell = () => {
      // Thousands at once: a line for each would only bury the others. The results name them.
      if (ended > 0)
        log?.info({ campaign: campaign.name, outcome, ended }, 'ended pending actions without a call');
    };
    const note = (place: number) => redis.hset(keys.campaign(number), 'swept', place);
    let place = Number((await redis.hget(keys.campaign(number), 'swept')) ?? 0);
    let ids = await readIds(redis, keys, number, place, PART);
    for (let part = 0; part < PARTS_AT_ONCE; part++) {
      if (ids.length === 0) {
        await note(0);
        tell();
        return 'claims';
      }
      // Read ahead, so that the next part is there when Redis has done with this one.
      const [following, , done] = await Promise.all([
        readIds(redis, keys, number, place + PART, PART),
        note(place),
        ledger.end(number, ids, outcome),
      ]);
      ended += done.ended;
      place += PART;
      ids = following;
    }
    await note(place);
    tell();
    return 'more';
  }

  /** Ends single cancels and campaigns whose time has passed, by Redis' clock: machines may differ. */
  async function endDue(): Promise<Progress> {
    const now = await redisTime(redis);
    const due = await redis.zrangebyscoreBuffer(keys.expiries, '-inf', now, 'LIMIT', 0, DUE_AT_ONCE);
    if (due.length === 0) return 'done';
    const ids = due.filter((member) => member.length === ID_BYTES);
    const records = await ledger.look(Buffer.concat(ids));
    for (const [index, id] of ids.entries()) {
      // Of an id that is unknown only its place in the index is left; 0 is no campaign's number.
      await ledger.end(records[index]?.campaign ?? 0, id, 'expired', true);
    }
    for (const member of due)
      if (member.length !== ID_BYTES) await expire(Number(member.toString().slice(1)));
    return due.length === DUE_AT_ONCE ? 'more' : 'done';
  }

  async function expire(number: number): Promise<void> {
    await expireScript(
      redis,
      [keys.campaign(number), keys.ending, keys.running, keys.expiries, keys.state],
      [number],
    );
  }

  /** Forgets campaigns whose last outcome, and that of all that follow ids of them, is older than the retention, and goes on with those that are deleted. */
  async function forgetOld(retentionMs: number): Promise<void> {
    const before = deps.wall() - retentionMs;
    for (const campaign of await listCampaigns(redis, keys, true)) {
      const isOld = (campaign.decidedAt ?? campaign.createdAt) <= before;
      if (!isOld && campaign.state !== 'deleted') continue;
      if (campaign.state !== 'deleted' && !(await mayBeForgotten(campaign, before))) continue;
      if (await forgetCampaign(deps, campaign, before))
        log?.info({ campaign: campaign.name }, 'removed a campaign: deleted, or its retention has passed');
    }
  }

  async function mayBeForgotten(campaign: Campaign, before: number): Promise<boolean> {
    return (
      (await endOf(deps, campaign)) <= before && (await followersOf(deps, campaign, before)).length === 0
    );
  }

  return { endCampaigns, endDue, forgetOld };
}
