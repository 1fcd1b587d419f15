import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { defineScript, type RedisClient } from '../script.ts';
import { eachPart } from './ids.ts';
import { type Campaign, listCampaigns, readCampaign } from './registry.ts';
import { countTracked } from './tracked.ts';

export interface ForgetDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

/**
 * Closes a campaign that may be forgotten: from then on it takes no more ids.
 *
 * KEYS  1 campaign, 2 running
 * ARGV  1 number, 2 ms since 1970 before which its last outcome must be
 * Returns  1 when closed (already)
 */
const closeScript = defineScript(
  'close-campaign',
  /* lua */ `
local f = redis.call('HMGET', KEYS[1], 'state', 'open', 'decidedAt', 'createdAt')
if f[1] == 'deleted' then return 1 end
if f[2] ~= '0' or tonumber(f[3] or f[4]) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'state', 'deleted')
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
`,
);

/**
 * Removes a closed campaign and what belongs to it, and its name unless another one bears it by now. Not one that has this number since
 * Redis lost its data.
 *
 * KEYS  1 campaign, 2 campaigns, 3… what belongs to it
 * ARGV  1 number, 2 name
 */
const removeScript = defineScript(
  'remove-campaign',
  /* lua */ `
if redis.call('HGET', KEYS[1], 'state') ~= 'deleted' then return {} end
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[2]) end
redis.call('UNLINK', KEYS[1], unpack(KEYS, 3))
return {}
`,
);

/**
 * When a campaign had its last outcome, of its own or of what it tracks, in ms since 1970; infinity while something of that is open. Of
 * what it tracks it is the last one of their owners, which is that or a later one.
 */
export async function endOf(deps: ForgetDeps, campaign: Campaign): Promise<number> {
  const { redis, keys } = deps;
  const tracked = await countTracked(deps, campaign.number);
  if (campaign.open + tracked.open > 0) return Number.POSITIVE_INFINITY;
  const owners = await Promise.all(tracked.owners.map((owner) => readCampaign(redis, keys, owner)));
  return Math.max(
    campaign.createdAt,
    campaign.decidedAt ?? 0,
    ...owners.map((owner) => owner?.decidedAt ?? 0),
  );
}

/**
 * Other campaigns that track ids of this one, and are not over, or have been for no longer than `since` (ms since 1970). As long as there
 * are any it is kept: their reports tell what became of these ids.
 */
export async function followersOf(
  deps: ForgetDeps,
  { number }: Campaign,
  since: number,
): Promise<Campaign[]> {
  const followers: Campaign[] = [];
  for (const other of await listCampaigns(deps.redis, deps.keys)) {
    if (other.number === number) continue;
    const { owners } = await countTracked(deps, other.number);
    if (owners.includes(number) && (await endOf(deps, other)) > since) followers.push(other);
  }
  return followers;
}

/** Other campaigns that follow open actions of this one. */
export async function waitingOn(deps: ForgetDeps, { number }: Campaign): Promise<string[]> {
  const names: string[] = [];
  for (const other of await listCampaigns(deps.redis, deps.keys)) {
    if (other.number === number) continue;
    const { openIn } = await countTracked(deps, other.number);
    if (openIn.includes(number)) names.push(other.name);
  }
  return names;
}

/** Ids per script. */
const PART = 1_000;

/**
 * Forgets a campaign and everything that belongs to it, unless something of it is open or was decided after `before` (ms
 * since 1970). Half-way through it may be called again. Ids that another campaign has taken over stay there.
 *
 * @returns whether it was forgotten.
 */
export async function forgetCampaign(deps: ForgetDeps, campaign: Campaign, before: number): Promise<boolean> {
  const { redis, keys, ledger } = deps;
  const { number } = campaign;
  const isClosed = await closeScript(redis, [keys.campaign(number), keys.running], [number, before]);
  if (isClosed !== 1) return false;
  for await (const ids of eachPart(redis, keys, number, PART)) await ledger.forget(number, ids);
  const owned = [
    keys.ids,
    keys.elsewhere,
    keys.kept,
    keys.results,
    keys.attempts,
    keys.audit,
    keys.auditLooks,
    keys.auditInbox,
  ].map((of) => of(number));
  await removeScript(redis, [keys.campaign(number), keys.campaigns, ...owned], [number, campaign.name]);
  return true;
}
