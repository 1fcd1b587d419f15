import type { Limits } from '../../config/limits.ts';
import { type Glance, glance } from '../../store/budget/glance.ts';
import { campaignNumbers } from '../../store/campaign/registry.ts';
import { type Keys, LANES, type LaneName } from '../../store/keys.ts';
import type { RedisClient } from '../../store/script.ts';

/** How a lane stands. */
export interface LaneStanding {
  lane: LaneName;
  waiting: number;
  delayed: number;
  active: number;
  /** How long ago the job was added that is next in line, in s; 0: none waits. */
  ageS: number;
}

/** Where open ids are: in campaigns that run, that are paused, or that have been aborted or have expired. */
export const OPEN_STATES = ['running', 'paused', 'ending'] as const;

export type OpenState = (typeof OPEN_STATES)[number];

/** How a tenant stands in Redis, whichever worker did what. */
export interface Standing {
  glance: Glance;
  lanes: LaneStanding[];
  open: Record<OpenState, number>;
}

/** Older campaigns are not looked at: reading has to stay short. */
const MOST_CAMPAIGNS = 500;

/** Reads how a tenant stands: two times all there is to ask together. */
export async function readStanding(redis: RedisClient, keys: Keys, limits: Limits): Promise<Standing> {
  const [seen, numbers, ...lanes] = await Promise.all([
    glance(redis, keys, limits),
    campaignNumbers(redis, keys),
    ...LANES.map((lane) => readLane(redis, keys, lane)),
  ]);
  const newest = numbers.slice(-MOST_CAMPAIGNS);
  const [open, ...ages] = await Promise.all([
    countOpen(redis, keys, newest),
    ...lanes.map(({ next, lane }) => readAge(redis, keys, lane, next, seen.now)),
  ]);
  const aged = lanes.map(({ next: _, ...lane }, at) => ({ ...lane, ageS: ages[at] ?? 0 }));
  return { glance: seen, lanes: aged, open };
}

async function readLane(redis: RedisClient, keys: Keys, lane: LaneName) {
  const key = (suffix: string) => keys.lane(lane, suffix);
  const [plain, prioritized, delayed, active, oldest, first] = await Promise.all([
    redis.llen(key('wait')),
    redis.zcard(key('prioritized')),
    redis.zcard(key('delayed')),
    redis.llen(key('active')),
    // BullMQ adds at the head and takes from the tail.
    redis.lindex(key('wait'), -1),
    redis.zrange(key('prioritized'), '0', '0'),
  ]);
  return { lane, waiting: plain + prioritized, delayed, active, next: oldest ?? first[0] ?? null };
}

async function readAge(
  redis: RedisClient,
  keys: Keys,
  lane: LaneName,
  jobId: string | null,
  now: number,
): Promise<number> {
  // Whoever adds a job writes its time: it may be anything.
  const addedAt = jobId === null ? Number.NaN : Number(await redis.hget(keys.lane(lane, jobId), 'timestamp'));
  return addedAt > 0 ? Math.max(0, now - addedAt) / 1_000 : 0;
}

async function countOpen(redis: RedisClient, keys: Keys, numbers: readonly number[]) {
  const open: Record<OpenState, number> = { running: 0, paused: 0, ending: 0 };
  const all = await Promise.all(numbers.map((number) => redis.hmget(keys.campaign(number), 'state', 'open')));
  for (const [state, count] of all) {
    open[state === 'running' || state === 'paused' ? state : 'ending'] += Number(count) || 0;
  }
  return open;
}
