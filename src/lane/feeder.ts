import { randomBytes } from 'node:crypto';
import type { Queue } from 'bullmq';
import { eachId, readIds } from '../campaign/ids.ts';
import { type Campaign, readCampaign } from '../campaign/registry.ts';
import { bytesToGuid } from '../guid.ts';
import { JOB_NAME, type Keys } from '../keys.ts';
import { ID_BYTES } from '../ledger/batch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Look } from '../ledger/look.ts';
import type { Logger } from '../log.ts';
import { defineScript, type RedisClient } from '../script.ts';
import type { FedJob } from './fed-job.ts';
import type { Precheck } from './precheck.ts';

/**
 * Moves a campaign's cursor, unless somebody else moved it meanwhile.
 *
 * KEYS  1 campaign
 * ARGV  1 cursor expected, 2 new cursor, 3 new lower bound of what may be open, or empty
 * Returns  1 when moved
 */
const advanceScript = defineScript(
  'advance',
  /* lua */ `
if (redis.call('HGET', KEYS[1], 'cursor') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'cursor', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'low', ARGV[3]) end
return 1
`,
);

/**
 * Takes a campaign out of those that are fed, if nothing of it is open.
 *
 * KEYS  1 running, 2 campaign
 * ARGV  1 campaign number
 */
const retireScript = defineScript(
  'retire',
  /* lua */ `
if (redis.call('HGET', KEYS[2], 'open') or '0') == '0' then redis.call('ZREM', KEYS[1], ARGV[1]) end
return {}
`,
);

/**
 * Ends the feeder's turn, if it is still ours.
 *
 * KEYS  1 feeder
 * ARGV  1 who we are
 */
const yieldScript = defineScript(
  'yield-turn',
  /* lua */ `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {}
`,
);

export interface FeederDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  /** The lane `cancel-campaign`. */
  queue: Queue;
  /** Null: ids are called without a look at the list. */
  precheck: Precheck | null;
  /** How many of the campaigns' calls could go out within the next minutes, by what stands. */
  demand(): number;
  monotonic(): number;
  log: Logger;
}

/** A turn of the feeder is over by then, even if its worker died. */
const TURN_MS = 10_000;

/** How many ids are looked at in one step at most. */
const STEP = 1_000;

/** Steps of one feeding: a list that is mostly decided is walked in several. */
const STEPS = 200;

/** Between two searches for ids that were lost from the lane, in ms. */
const SEARCH_AGAIN_MS = 10_000;

export type Feeder = ReturnType<typeof createFeeder>;

/**
 * Keeps the campaigns' lane filled with about two minutes' worth of jobs, from running campaigns by priority. It asks
 * the ledger before it adds, and the ledger decides again when a job is taken: feeding twice does no harm, so any worker
 * may feed at any time. Taking turns only saves work.
 */
export function createFeeder(deps: FeederDeps) {
  const { redis, keys, ledger, queue, log } = deps;
  const me = randomBytes(6).toString('hex');
  const searchedAt = new Map<number, number>();
  let feeding: Promise<void> | null = null;

  async function feed(): Promise<void> {
    const demand = deps.demand();
    if (demand === 0) return;
    const running = await redis.zrange(keys.running, '0', '99');
    if (running.length === 0) return;
    const waiting = await queue.getWaitingCount();
    if (waiting > demand / 2) return;
    if ((await redis.set(keys.feeder, me, 'PX', TURN_MS, 'NX')) === null) return;
    try {
      let wanted = demand - waiting;
      for (const number of running.map(Number)) {
        if (wanted <= 0) break;
        wanted -= await feedFrom(number, wanted);
      }
    } finally {
      await yieldScript(redis, [keys.feeder], [me]);
    }
  }

  /** @returns how many jobs were added. */
  async function feedFrom(number: number, wanted: number): Promise<number> {
    const campaign = await readCampaign(redis, keys, number);
    if (campaign?.state !== 'running') return 0;
    let added = 0;
    let { cursor } = campaign;
    for (let step = 0; step < STEPS && added < wanted; step++) {
      // A step that found little is followed by a larger one: this part of the list is decided.
      const size = Math.min(STEP, step === 0 ? wanted - added : STEP);
      const ids = await readIds(redis, keys, number, cursor, size);
      if (ids.length === 0) {
        await endOfList(campaign, cursor);
        break;
      }
      const taken = await takeStep(campaign, ids, wanted - added);
      const next = cursor + taken.places;
      if (!(await advanceScript(redis, [keys.campaign(number)], [cursor, next, '']))) break;
      cursor = next;
      added += taken.jobs;
    }
    return added;
  }

  /** Adds what is open among the next ids, at most `wanted`. Returns how far it came. */
  async function takeStep(
    campaign: Campaign,
    ids: Buffer,
    wanted: number,
  ): Promise<{ places: number; jobs: number }> {
    const records = await ledger.look(ids);
    const open: Buffer[] = [];
    let places = 0;
    for (const id of eachId(ids)) {
      if (open.length >= wanted) break;
      if (isFeedable(records[places], campaign.number)) open.push(id);
      places++;
    }
    const settled = deps.precheck && open.length > 0 ? await deps.precheck(campaign.number, open) : new Set();
    const jobs = open.map((id) => bytesToGuid(id)).filter((id) => !settled.has(id));
    if (jobs.length > 0) await addJobs(campaign, jobs);
    return { places, jobs: jobs.length };
  }

  async function addJobs(campaign: Campaign, ids: string[]): Promise<void> {
    const feedingId = randomBytes(4).toString('hex');
    await queue.addBulk(
      ids.map((id, index) => ({
        name: JOB_NAME,
        data: { v: 1, id, comment: campaign.comment, campaign: campaign.number } satisfies FedJob,
        // Means nothing but whose it is, which the search for lost ones reads.
        opts: { jobId: `${campaign.number}-${feedingId}-${index}` },
      })),
    );
  }

  /** Everything was handed out. What is open and not in the lane was lost from it: begin again at the lowest. */
  async function endOfList(campaign: Campaign, cursor: number): Promise<void> {
    const { number } = campaign;
    if (campaign.open === 0) {
      await retireScript(redis, [keys.running, keys.campaign(number)], [number]);
      return;
    }
    const now = deps.monotonic();
    if (now - (searchedAt.get(number) ?? Number.NEGATIVE_INFINITY) < SEARCH_AGAIN_MS) return;
    searchedAt.set(number, now);
    if (await isInLane(number)) return;
    const lowest = await lowestOpen(campaign);
    if (lowest === null) return;
    log.info({ campaign: campaign.name, from: lowest }, 'feeding again from the lowest open id');
    await advanceScript(redis, [keys.campaign(number)], [cursor, lowest, lowest]);
  }

  async function isInLane(number: number): Promise<boolean> {
    const lane = (suffix: string) => keys.lane('cancel-campaign', suffix);
    const found = await Promise.all([
      redis.lrange(lane('wait'), 0, -1),
      redis.lrange(lane('active'), 0, -1),
      redis.zrange(lane('delayed'), '0', '-1'),
    ]);
    return found.flat().some((jobId) => jobId.startsWith(`${number}-`));
  }

  async function lowestOpen(campaign: Campaign): Promise<number | null> {
    for (let from = campaign.low; ; from += STEP) {
      const ids = await readIds(redis, keys, campaign.number, from, STEP);
      if (ids.length === 0) return null;
      const records = await ledger.look(ids);
      const index = records.findIndex((record) => isFeedable(record, campaign.number));
      if (index >= 0) return from + index;
      if (ids.length < STEP * ID_BYTES) return null;
    }
  }

  return {
    /** Fills the lane if it is worth it; a call while one is in progress waits for that one. */
    feed: (): Promise<void> => {
      feeding ??= feed().finally(() => {
        feeding = null;
      });
      return feeding;
    },
  };
}

function isFeedable(record: Look | null | undefined, campaign: number): boolean {
  return (
    record?.campaign === campaign && !record.busy && (record.state === 'open' || record.state === 'checking')
  );
}
