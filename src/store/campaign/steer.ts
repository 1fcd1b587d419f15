import { StanddownError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Outcome } from '../../base/outcome.ts';
import { campaignIn } from '../../base/words/name.ts';
import type { Keys } from '../keys.ts';
import { AUDIT_LUA } from '../ledger/audit.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { PLACE_LUA, URGENT } from '../ledger/place.ts';
import { redisTime } from '../redis/time.ts';
import { asNumber, asText, defineScript, type RedisClient } from '../script.ts';
import { type Actor, appendAudit } from './audit.ts';
import { waitingOn } from './forget.ts';
import { eachPart } from './ids.ts';
import {
  assertAccepts,
  type Campaign,
  type CampaignState,
  DEFAULT_PRIORITY,
  findCampaign,
  readCampaign,
} from './registry.ts';
import { sweepNow } from './sweep.ts';
import { countTracked, type TrackedDeps } from './tracked.ts';

/**
 * Changes a campaign's state, and lets every worker know.
 *
 * Resuming lets the feeder begin again at the lowest open id, since what was in the lane was dropped. After a pause by the brake the
 * campaign is on trial, see `store/ledger/brake.ts`, unless refusals are accepted from now on.
 *
 * One that has finished is neither paused nor aborted nor resumed: there is nothing left to hold back; only that refusals are accepted
 * is noted, for a retry. The day's single cancels never finish, nor does a campaign while something that it tracks is open. With nothing
 * else open it is not paused, unless it is urgent: what it tracks is called by its owners, whatever is done to it.
 *
 * KEYS  1 campaign, 2 running, 3 ending, 4 expiries, 5 state, 6 audit, 7 elsewhere
 * ARGV  1 number, 2 pause | resume | abort, 3 by whom, 4 command, 5 '1' to resume and accept refusals, 6 '1': something that it tracks
 *       is open
 * Returns  the state before, `done`, or `follows` where all that is open is tracked
 */
const steerScript = defineScript(
  'steer',
  /* lua */ `
${AUDIT_LUA}
${PLACE_LUA}
local f = redis.call('HMGET', KEYS[1], 'state', 'priority', 'low', 'pausedReason', 'tolerant', 'refusedAs', 'open', 'total', 'direct')
local before, number = f[1] or 'deleted', tonumber(ARGV[1])
local isEmpty = f[8] == '0' and redis.call('EXISTS', KEYS[7]) == 0
local isFinished = before == 'running' and f[7] == '0' and not isEmpty and f[9] ~= '1' and ARGV[6] ~= '1'
local detail, accepts = '', ARGV[2] == 'resume' and ARGV[5] == '1' and (before == 'running' or before == 'paused') and f[5] ~= '1'
if isFinished and not accepts then return 'done' end
local isOwn = f[7] ~= '0' or isEmpty or f[9] == '1' or f[2] == '${URGENT}'
if ARGV[2] == 'pause' and before == 'running' and not isOwn then return 'follows' end
if accepts then
  detail = 'refusals are accepted from now on'
  redis.call('HSET', KEYS[1], 'tolerant', 1)
  redis.call('HDEL', KEYS[1], 'trial', 'trialId', 'trialUntil')
end
if ARGV[2] == 'pause' and before == 'running' then
  redis.call('HSET', KEYS[1], 'state', 'paused')
  redis.call('ZREM', KEYS[2], number)
elseif ARGV[2] == 'resume' and before == 'paused' then
  redis.call('HSET', KEYS[1], 'state', 'running', 'cursor', f[3] or 0)
  if f[4] then
    redis.call('HSET', KEYS[1], 'refusals', 0)
    -- An earlier version paused after this refusal only, and did not say so.
    if f[5] ~= '1' and not accepts then
      redis.call('HSET', KEYS[1], 'trial', f[6] or 'forbidden 403 Forbidden', 'trialFrom', redis.call('HGET', KEYS[5], 'seq') or 0)
    end
  end
  redis.call('HDEL', KEYS[1], 'pausedReason', 'trialId', 'trialUntil')
  -- Services' jobs wait in their own queue: they are not fed.
  if f[9] ~= '1' then redis.call('ZADD', KEYS[2], feedingPlace(f[2], number), number) end
elseif ARGV[2] == 'abort' and (before == 'running' or before == 'paused') then
  redis.call('HSET', KEYS[1], 'state', 'aborted')
  redis.call('ZREM', KEYS[2], number)
  redis.call('SADD', KEYS[3], number)
  redis.call('ZREM', KEYS[4], 'c' .. ARGV[1])
elseif not accepts then
  return before
end
redis.call('HINCRBY', KEYS[5], 'steer', 1)
audit(KEYS[6], ARGV[2], ARGV[3], ARGV[4], detail)
return isFinished and 'done' or before
`,
);

/**
 * Changes a campaign's priority.
 *
 * KEYS  1 campaign, 2 running, 3 audit
 * ARGV  1 number, 2 priority, 3 by whom, 4 command
 * Returns  the priority before
 */
const priorityScript = defineScript(
  'priority',
  /* lua */ `
${AUDIT_LUA}
${PLACE_LUA}
local before, number = redis.call('HGET', KEYS[1], 'priority') or '${DEFAULT_PRIORITY}', tonumber(ARGV[1])
if before == ARGV[2] then return before end
redis.call('HSET', KEYS[1], 'priority', ARGV[2])
-- From one lane to another: what was handed out is in the former, and is called where it comes up first.
if ARGV[2] == '${URGENT}' or before == '${URGENT}' then
  redis.call('HSET', KEYS[1], 'cursor', redis.call('HGET', KEYS[1], 'low') or 0)
end
-- An urgent one has those called, too, that others own: from the first on, and also where it owns none.
local isRunning = redis.call('HGET', KEYS[1], 'state') == 'running'
if ARGV[2] == '${URGENT}' then redis.call('HSET', KEYS[1], 'cursor', 0, 'low', 0) end
if ARGV[2] == '${URGENT}' and isRunning then redis.call('ZADD', KEYS[2], feedingPlace(ARGV[2], number), number)
else redis.call('ZADD', KEYS[2], 'XX', feedingPlace(ARGV[2], number), number) end
local function word(priority) return priority == '${URGENT}' and 'urgent' or priority end
audit(KEYS[3], 'priority', ARGV[3], ARGV[4], word(before) .. ' to ' .. word(ARGV[2]))
return before
`,
);

export interface SteerDeps {
  redis: RedisClient;
  keys: Keys;
}

type Steering = 'pause' | 'resume' | 'abort';

export interface SteerOptions {
  /** When resuming: refusals never pause this campaign again. Default false: one action goes first, and the same answer pauses again. */
  acceptRefusals?: boolean;
}

/** What came of pausing, resuming or aborting. */
export interface Steered {
  steering: Steering;
  /** What the campaign is now; `done`: it had finished, and stays as it is. */
  state: CampaignState | 'done';
  /** Whether it was something else before. */
  changed: boolean;
  /** Of a finished one: when it had its last outcome, in ms since 1970; null: it has none of its own, or has not finished. */
  finishedAt: number | null;
  /** Its own ids that ended without a call. */
  withdrawn: number;
  /** Ids that it follows and that are open: they are not affected. */
  following: number;
  acceptRefusals: boolean;
  /** It was to be paused, and only these campaigns have something to pause, by name; null: it has. */
  owners: readonly string[] | null;
  /** Campaigns that follow what it withdrew, by name. */
  followers: readonly string[];
}

/** In which states each makes sense, and the state that it leads to. */
const RULES: Record<Steering, { from: readonly CampaignState[]; to: CampaignState }> = {
  pause: { from: ['running'], to: 'paused' },
  resume: { from: ['paused'], to: 'running' },
  abort: { from: ['running', 'paused'], to: 'aborted' },
};

/**
 * Pauses, resumes or aborts a campaign. Doing it again changes nothing, nor does pausing or aborting one that has finished. What is
 * being called is finished and counts. Aborting ends here and now what is not being called, whether a worker runs or not.
 *
 * @param deps.signal leaves the ending of an aborted campaign's ids to a worker.
 * @throws StanddownError CAMPAIGN_UNKNOWN, CAMPAIGN_CLOSED
 */
export async function steer(
  deps: TrackedDeps & { log?: Logger; signal?: AbortSignal },
  name: string,
  steering: Steering,
  actor: Actor,
  { acceptRefusals = false }: SteerOptions = {},
): Promise<Steered> {
  const { redis, keys, signal } = deps;
  await sweepNow(deps, signal);
  const campaign = await findCampaign(redis, keys, name);
  const { number } = campaign;
  const touched = [
    keys.campaign(number),
    keys.running,
    keys.ending,
    keys.expiries,
    keys.state,
    keys.audit(number),
    keys.elsewhere(number),
  ];
  const tracked = await countTracked(deps, number);
  const followers = steering === 'abort' ? await waitingOn(deps, campaign) : [];
  const args = [number, steering, actor.by, actor.command, acceptRefusals ? 1 : 0, tracked.open > 0 ? 1 : 0];
  const before = asText(await steerScript(redis, touched, args)) as CampaignState | 'done' | 'follows';
  const { from, to } = RULES[steering];
  const isLeft = before === 'done' || before === 'follows';
  if (!isLeft && !from.includes(before) && before !== to) {
    throw new StanddownError(
      'CAMPAIGN_CLOSED',
      `${campaignIn(name, keys.tenant)} is ${before}; there is nothing to ${steering}`,
    );
  }
  const changed = !isLeft && before !== to;
  if (changed && steering === 'abort') await sweepNow(deps, signal);
  const { decidedAt, outcomes } = (await readCampaign(redis, keys, number)) ?? campaign;
  const owners = await Promise.all(
    before === 'follows' ? tracked.openIn.map((owner) => readCampaign(redis, keys, owner)) : [],
  );
  return {
    steering,
    state: before === 'done' ? before : before === 'follows' ? 'running' : to,
    changed,
    // When others of its actions ended, in other campaigns, nobody noted.
    finishedAt: before === 'done' && tracked.total === 0 ? decidedAt : null,
    withdrawn: changed ? (outcomes.withdrawn ?? 0) - (campaign.outcomes.withdrawn ?? 0) : 0,
    following: tracked.open,
    acceptRefusals,
    owners: before === 'follows' ? owners.flatMap((owner) => owner?.name ?? []) : null,
    followers: changed ? followers : [],
  };
}

/**
 * Changes which campaign goes first: 0 (urgent), 1 (first) to 9 (last). What is in the lane already goes out before;
 * that is two minutes' worth at most.
 *
 * @returns the campaign as it was before.
 * @throws StanddownError CAMPAIGN_UNKNOWN; REFUSED when one of single cancels is to be urgent: each of them says that for itself
 */
export async function prioritize(
  deps: SteerDeps,
  name: string,
  priority: number,
  actor: Actor,
): Promise<Campaign> {
  const { redis, keys } = deps;
  const campaign = await findCampaign(redis, keys, name);
  const { number } = campaign;
  if (campaign.direct && priority === URGENT) {
    const words =
      'contains single cancels and cannot be urgent; services request urgent cancels in the queue cancel-urgent';
    throw new StanddownError('REFUSED', `${campaignIn(name, keys.tenant)} ${words}`);
  }
  const touched = [keys.campaign(number), keys.running, keys.audit(number)];
  const before = await priorityScript(redis, touched, [number, priority, actor.by, actor.command]);
  return { ...campaign, priority: asNumber(before) };
}

/** Ids per script. */
const PART = 1_000;

/**
 * Opens a campaign's own ids again that ended in one of these ways, as their next generation. The earlier outcomes stay
 * in its results.
 *
 * @returns how many were opened.
 * @throws StanddownError CAMPAIGN_UNKNOWN, CAMPAIGN_CLOSED, REFUSED for one of single cancels
 */
export async function retryCampaign(
  deps: SteerDeps & { ledger: Ledger },
  name: string,
  outcomes: readonly Outcome[],
  actor: Actor,
): Promise<number> {
  const { redis, keys, ledger } = deps;
  await sweepNow(deps);
  const campaign = await findCampaign(redis, keys, name);
  const { number, direct } = campaign;
  assertAccepts(campaign, keys, await redisTime(redis));
  if (direct) {
    throw new StanddownError(
      'REFUSED',
      `${campaignIn(name, keys.tenant)} contains single cancels, whose comments are not stored; request each of them again with again: true`,
    );
  }
  await appendAudit(deps, number, { ...actor, action: 'retry', detail: outcomes.join(', ') });
  let reopened = 0;
  for await (const ids of eachPart(redis, keys, number, PART))
    reopened += await ledger.retry(number, ids, outcomes, name);
  return reopened;
}

/** Of the ids that had ended in these ways how many another campaign has opened again since: they are not this one's to call. */
export function leftToOthers(
  { outcomes: counts }: Pick<Campaign, 'outcomes'>,
  outcomes: readonly Outcome[],
  reopened: number,
): number {
  const ended = outcomes.reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0);
  return Math.max(0, ended - reopened);
}
