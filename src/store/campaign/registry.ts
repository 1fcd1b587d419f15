import { StanddownError } from '../../base/errors.ts';
import { OUTCOMES, type Outcome } from '../../base/outcome.ts';
import { campaignIn, commandFor } from '../../base/words/name.ts';
import type { Keys } from '../keys.ts';
import type { ResultOrigin } from '../ledger/result.ts';
import { asList, asNumber, asText, defineScript, type RedisClient } from '../script.ts';

/** `running` also when nothing is left to do; `aborted`, `expired` and `deleted` take no more ids. */
export type CampaignState = 'running' | 'paused' | 'aborted' | 'expired' | 'deleted';

export interface Campaign {
  number: number;
  name: string;
  state: CampaignState;
  /** 0 (urgent), 1 (first) to 9 (last). */
  priority: number;
  /** Whether it holds single cancels of services: then refusals do not pause it. */
  direct: boolean;
  comment: string;
  requestedBy: string | null;
  /** Ms since 1970. */
  createdAt: number;
  /** Ms since 1970; null: never. */
  expiresAt: number | null;
  /** Of the trace in which it was submitted; null: none. */
  traceparent: string | null;
  /** Ms since 1970 of its last outcome; null: none yet. */
  decidedAt: number | null;
  /** Ids of its own. */
  total: number;
  open: number;
  /** Own ids by outcome, where there are any. */
  outcomes: Partial<Record<Outcome, number>>;
  /** Own ids whose action is known to be cancelled, by us or otherwise. */
  stopped: number;
  /** Entries of its results. */
  results: number;
  /** The last verification by a worker: how many results there were after it, when (ms since 1970), how many not final. */
  verification: { results: number; at: number; unsettled: number } | null;
  /** Why it was paused and what to do, where something other than a person did. */
  pausedReason: string | null;
  /** Ms since 1970 of that pause; null: never, or by an earlier version. */
  pausedAt: number | null;
  /** Ids of its list that were handed to the lane. */
  cursor: number;
  /** Ids of its list below this place are decided. */
  low: number;
}

export interface NewCampaign {
  name: string;
  comment: string;
  requestedBy?: string | null;
  priority?: number;
  /** Ms since 1970. */
  expiresAt?: number | null;
  traceparent?: string | null;
  direct?: boolean;
  /** Ms since 1970. */
  now: number;
}

export const DEFAULT_PRIORITY = 5;

/** What every campaign of single cancels is called before its day. */
export const DIRECT_PREFIX = 'direct-';

/**
 * Creates a campaign unless one has this name already.
 *
 * KEYS  1 campaigns, 2 campaign, 3 expiries
 * ARGV  1 name, 2 number to give it, 3 when it expires (ms, 0: never), 4… fields
 * Returns  {number, '1' when created}; {'', '0'} when another one has the number: Redis lost its data since it was given
 */
const openScript = defineScript(
  'open-campaign',
  /* lua */ `
local number = redis.call('HGET', KEYS[1], ARGV[1])
if number then return {number, '0'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'', '0'} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
if ARGV[3] ~= '0' then redis.call('ZADD', KEYS[3], ARGV[3], 'c' .. ARGV[2]) end
return {ARGV[2], '1'}
`,
);

/** Opens a campaign by name. One that exists stays as it is, whatever else is asked for. */
export async function openCampaign(
  redis: RedisClient,
  keys: Keys,
  wanted: NewCampaign,
): Promise<{ number: number; created: boolean }> {
  const known = await redis.hget(keys.campaigns, wanted.name);
  if (known !== null) return { number: Number(known), created: false };
  const number = await redis.hincrby(keys.state, 'campaigns', 1);
  const fields = {
    name: wanted.name,
    state: 'running',
    priority: wanted.priority ?? DEFAULT_PRIORITY,
    direct: wanted.direct ? 1 : 0,
    comment: wanted.comment,
    requestedBy: wanted.requestedBy ?? '',
    createdAt: wanted.now,
    expiresAt: wanted.expiresAt ?? 0,
    total: 0,
    open: 0,
    ...(wanted.traceparent && { traceparent: wanted.traceparent }),
  };
  const reply = asList(
    await openScript(
      redis,
      [keys.campaigns, keys.campaign(number), keys.expiries],
      [wanted.name, number, fields.expiresAt, ...Object.entries(fields).flat()],
    ),
  );
  if (reply[0] === '') return openCampaign(redis, keys, wanted);
  return { number: asNumber(reply[0]), created: reply[1] === '1' };
}

/** What the campaign of a day's single cancels is called, by UTC. */
export function directName(now: number): string {
  return `${DIRECT_PREFIX}${new Date(now).toISOString().slice(0, 10)}`;
}

/** The campaign of a day's single cancels; by default this day's. */
export function openDirectCampaign(redis: RedisClient, keys: Keys, now: number, name = directName(now)) {
  return openCampaign(redis, keys, { name, comment: '', direct: true, now });
}

/**
 * Checks a campaign's name.
 *
 * @returns what is wrong with it, or null.
 */
export function campaignNameProblem(name: string): string | null {
  if (name.trim() !== name || name === '') return 'must not be empty, or begin or end with a space';
  if (name.startsWith('-')) return 'must not begin with "-", which commands would read as an option';
  if (name.length > 100) return 'must be at most 100 characters long';
  if (/\p{Cc}|\p{Zl}|\p{Zp}/u.test(name)) return 'must not contain control characters';
  if (name.startsWith(DIRECT_PREFIX))
    return `must not begin with "${DIRECT_PREFIX}", which is reserved for single cancels`;
  return null;
}

/** @throws StanddownError CAMPAIGN_UNKNOWN */
export async function findCampaign(redis: RedisClient, keys: Keys, name: string): Promise<Campaign> {
  const number = await redis.hget(keys.campaigns, name);
  const campaign = number === null ? null : await readCampaign(redis, keys, Number(number));
  if (!campaign || campaign.state === 'deleted') {
    const hint = 'run "standdown status" to list the campaigns';
    throw new StanddownError('CAMPAIGN_UNKNOWN', `no ${campaignIn(name, keys.tenant)}; ${hint}`);
  }
  return campaign;
}

/** Null when there is no such campaign (any more). */
export async function readCampaign(redis: RedisClient, keys: Keys, number: number): Promise<Campaign | null> {
  const fields = await redis.hgetall(keys.campaign(number));
  return fields['name'] === undefined ? null : parseCampaign(keys, number, fields);
}

/** All campaigns, in the order of their creation; those being deleted only when asked for. */
export async function listCampaigns(
  redis: RedisClient,
  keys: Keys,
  withDeleted = false,
): Promise<Campaign[]> {
  const numbers = await campaignNumbers(redis, keys);
  const campaigns = await Promise.all(numbers.map((number) => readCampaign(redis, keys, number)));
  return campaigns.filter(
    (campaign): campaign is Campaign => campaign !== null && (withDeleted || campaign.state !== 'deleted'),
  );
}

/** As people see it; `done`: it runs, and nothing of it is open; `empty`: it runs, and has no ids yet. */
export type DisplayState = Campaign['state'] | 'done' | 'empty';

/** @param now in ms since 1970, by Redis' clock. */
export function displayState(
  campaign: Pick<Campaign, 'state' | 'total' | 'open' | 'expiresAt'>,
  now: number,
): DisplayState {
  const { state, total, open } = campaign;
  if (state === 'running' && open === 0 && total > 0) return 'done';
  const current = stateAt(campaign, now);
  return current === 'running' && total === 0 ? 'empty' : current;
}

/** That a campaign may be given actions to call. @throws StanddownError CAMPAIGN_CLOSED */
export function assertAccepts(campaign: Campaign, keys: Keys, now: number): void {
  const state = stateAt(campaign, now);
  if (state === 'running' || state === 'paused') return;
  throw new StanddownError(
    'CAMPAIGN_CLOSED',
    `${campaignIn(campaign.name, keys.tenant)} is ${state} and accepts no more actions`,
  );
}

/** What has expired is no longer called, also while no worker has noted it. @param now in ms since 1970, by Redis' clock. */
export function stateAt(
  { state, expiresAt }: Pick<Campaign, 'state' | 'expiresAt'>,
  now: number,
): CampaignState {
  const isOpen = state === 'running' || state === 'paused';
  return isOpen && expiresAt !== null && expiresAt <= now ? 'expired' : state;
}

/** Of all campaigns, in the order of their creation. */
export async function campaignNumbers(redis: RedisClient, keys: Keys): Promise<number[]> {
  return (await campaignNames(redis, keys)).map(([, number]) => number);
}

/** Names and numbers of all campaigns, in the order of their creation. */
export async function campaignNames(
  redis: RedisClient,
  keys: Keys,
): Promise<[name: string, number: number][]> {
  const numbers = Object.entries(await redis.hgetall(keys.campaigns));
  return numbers
    .map(([name, number]): [string, number] => [name, Number(number)])
    .sort(([, a], [, b]) => a - b);
}

/** What the campaign adds to its results. */
export function originOf(campaign: Campaign): ResultOrigin {
  return { campaign: campaign.name, requestedBy: campaign.requestedBy, requestedAt: campaign.createdAt };
}

function parseCampaign(keys: Keys, number: number, fields: Record<string, string>): Campaign {
  const count = (field: string) => asNumber(fields[field] ?? '0');
  const time = (field: string) => count(field) || null;
  const outcomes: Partial<Record<Outcome, number>> = {};
  for (const outcome of OUTCOMES) if (count(outcome) > 0) outcomes[outcome] = count(outcome);
  return {
    number,
    name: asText(fields['name']),
    state: asText(fields['state']) as CampaignState,
    priority: fields['priority'] === undefined ? DEFAULT_PRIORITY : count('priority'),
    direct: fields['direct'] === '1',
    comment: asText(fields['comment']),
    requestedBy: fields['requestedBy'] || null,
    createdAt: count('createdAt'),
    expiresAt: time('expiresAt'),
    traceparent: fields['traceparent'] || null,
    decidedAt: time('decidedAt'),
    total: count('total'),
    open: count('open'),
    outcomes,
    stopped: count('stopped'),
    results: count('results'),
    verification:
      count('verifiedAt') === 0
        ? null
        : { results: count('verifiedResults'), at: count('verifiedAt'), unsettled: count('unsettled') },
    pausedReason: fields['pausedReason'] ? describePause(fields, keys) : null,
    pausedAt: time('pausedAt'),
    cursor: count('cursor'),
    low: count('low'),
  };
}

/** The answer that paused a campaign is kept; its name and tenant, and so the commands, are known to whoever reads it. */
function describePause(fields: Record<string, string>, { tenant }: Keys): string {
  const { pausedReason = '', refusedAs = '', name = '' } = fields;
  const [outcome = ''] = (refusedAs || 'forbidden').split(' ');
  const command = (verb: string, options = '') => `"${commandFor(verb, name, tenant, options)}"`;
  const check =
    outcome === 'not_found' ? ` Run "standdown doctor --tenant ${tenant}" to check the address.` : '';
  // After a retry there is none left.
  const isAnyRefused = Number(fields[outcome] ?? 0) > 0;
  const retry = isAnyRefused
    ? `To retry the refused actions, run ${command('retry', `--outcome ${outcome}`)}. `
    : '';
  return (
    `${pausedReason}${check} Then run ${command('resume')}: one action is called first, and the same answer pauses the campaign again. ` +
    `${retry}To continue despite refusals, run ${command('resume', '--accept-refusals')}.`
  );
}
