import { randomBytes } from 'node:crypto';
import { bytesToGuid } from '../base/guid.ts';
import type { Logger } from '../base/log.ts';
import { jobTraceOf } from '../base/traceparent.ts';
import type { SlotClass } from '../config/limits.ts';
import type { Timings } from '../config/timings.ts';
import { eachId, readIds } from '../store/campaign/ids.ts';
import { type Campaign, readCampaign } from '../store/campaign/registry.ts';
import { JOB_NAME, type Keys, type LaneName } from '../store/keys.ts';
import { ID_BYTES } from '../store/ledger/batch.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import type { Look } from '../store/ledger/look.ts';
import { isUrgentPlace, URGENT } from '../store/ledger/place.ts';
import { defineScript, type RedisClient } from '../store/script.ts';
import type { FedJob } from './fed-job.ts';
import { giveBackLease, takeLease } from './leases.ts';
import type { Precheck } from './precheck.ts';
import type { Supply } from './supply.ts';

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

export interface FeederDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  /** The lanes that it fills, the more urgent one first. */
  supplies: readonly Pick<Supply, 'lane' | 'queue' | 'demand'>[];
  /** Null: ids are called without a look at the list. */
  precheck: Precheck | null;
  timings: Timings;
  monotonic(): number;
  log: Logger;
}

/** How many ids are looked at in one step at most. */
const STEP = 1_000;

/** Steps of one feeding: a list that is mostly decided is walked in several. */
const STEPS = 200;

/** Where campaigns' jobs go. */
export const LANE_OF: Readonly<Record<SlotClass, LaneName>> = {
  urgent: 'cancel-urgent',
  bulk: 'cancel-campaign',
};

export type Feeder = ReturnType<typeof createFeeder>;

/**
 * Keeps the campaigns' lanes filled with about two minutes' worth of jobs, from running campaigns by priority. It asks
 * the ledger before it adds, and the ledger decides again when a job is taken: feeding twice does no harm, so any worker
 * may feed at any time. Taking turns only saves work.
 */
export function createFeeder(deps: FeederDeps) {
  const { redis, keys, ledger, timings, log } = deps;
  const me = randomBytes(6).toString('hex');
  const searchedAt = new Map<number, number>();
  /** A lane that is being filled: an urgent one does not wait for the lists of the other. */
  const feeding = new Map<LaneName, Promise<void>>();

  async function feed(supply: FeederDeps['supplies'][number]): Promise<void> {
    const demand = supply.demand();
    if (demand === 0) return;
    const running = await readRunning();
    const numbers = running.filter(({ lane }) => lane === supply.lane).map(({ number }) => number);
    if (numbers.length > 0) await feedLane(supply, demand, numbers);
  }

  async function readRunning(): Promise<{ number: number; lane: LaneName }[]> {
    const flat = await redis.zrange(keys.running, '0', '99', 'WITHSCORES');
    return flat.flatMap((number, at) => {
      if (at % 2 === 1) return [];
      const lane = LANE_OF[isUrgentPlace(Number(flat[at + 1])) ? 'urgent' : 'bulk'];
      return [{ number: Number(number), lane }];
    });
  }

  async function feedLane(supply: Lane, demand: number, numbers: readonly number[]): Promise<void> {
    const waiting = await supply.queue.getWaitingCount();
    if (waiting > demand / 2) return;
    const lease = keys.feeder(supply.lane);
    if (!(await takeLease(redis, lease, me, timings.feedLeaseMs))) return;
    const until = deps.monotonic() + timings.feedLeaseMs;
    try {
      let wanted = demand - waiting;
      for (const number of numbers) {
        if (wanted <= 0 || deps.monotonic() >= until) break;
        wanted -= await feedFrom(supply, number, wanted, until);
      }
    } finally {
      await giveBackLease(redis, lease, me);
    }
  }

  /**
   * No step begins after `until`: by then another worker may feed, and where all that is listed has ended already no job would end it.
   *
   * @returns how many jobs were added.
   */
  async function feedFrom(supply: Lane, number: number, wanted: number, until: number): Promise<number> {
    const campaign = await readCampaign(redis, keys, number);
    if (campaign?.state !== 'running') return 0;
    let added = 0;
    let { cursor } = campaign;
    for (let step = 0; step < STEPS && added < wanted && deps.monotonic() < until; step++) {
      // A step that found little is followed by a larger one: this part of the list is decided.
      const size = Math.min(STEP, step === 0 ? wanted - added : STEP);
      const ids = await readIds(redis, keys, number, cursor, size);
      if (ids.length === 0) {
        await endOfList(supply, campaign, cursor);
        break;
      }
      const taken = await takeStep(supply, campaign, ids, wanted - added);
      const next = cursor + taken.places;
      if (!(await advanceScript(redis, [keys.campaign(number)], [cursor, next, '']))) break;
      cursor = next;
      added += taken.jobs;
    }
    return added;
  }

  /** Adds what is open among the next ids, at most `wanted`. Returns how far it came. */
  async function takeStep(
    supply: Lane,
    campaign: Campaign,
    ids: Buffer,
    wanted: number,
  ): Promise<{ places: number; jobs: number }> {
    // As the campaign sees them: what ended in it, and another one has opened again, is not its to call.
    const records = await ledger.look(ids, campaign.number);
    const open: Buffer[] = [];
    let places = 0;
    for (const id of eachId(ids)) {
      if (open.length >= wanted) break;
      if (isFeedable(records[places], campaign)) open.push(id);
      places++;
    }
    const isWorthALook = deps.precheck && open.length > 0 && campaign.priority !== URGENT;
    const seen = isWorthALook ? await deps.precheck?.(campaign.number, open) : null;
    const jobs = open.map((id) => bytesToGuid(id)).filter((id) => !seen?.settled.has(id));
    if (jobs.length > 0) await addJobs(supply, campaign, jobs, seen?.listed);
    return { places, jobs: jobs.length };
  }

  async function addJobs(
    { lane, queue }: Lane,
    campaign: Campaign,
    ids: string[],
    listed?: ReadonlySet<string>,
  ): Promise<void> {
    const feedingId = randomBytes(4).toString('hex');
    const dataOf = lane === 'cancel-campaign' ? fedJob : singleCancel;
    const metadata = jobTraceOf('link', campaign.traceparent);
    await queue.addBulk(
      ids.map((id, index) => ({
        name: JOB_NAME,
        data: dataOf(id, campaign, listed?.has(id)),
        // Means nothing but whose it is, which the search for lost ones reads.
        opts: {
          jobId: `${campaign.number}-${feedingId}-${index}`,
          ...(metadata !== null && { telemetry: { metadata } }),
        },
      })),
    );
  }

  /** Everything was handed out. What is open and not in the lane was lost from it: begin again at the lowest. */
  async function endOfList({ lane }: Lane, campaign: Campaign, cursor: number): Promise<void> {
    const { number } = campaign;
    if (campaign.open === 0) {
      await retireScript(redis, [keys.running, keys.campaign(number)], [number]);
      return;
    }
    const now = deps.monotonic();
    if (now - (searchedAt.get(number) ?? Number.NEGATIVE_INFINITY) < timings.lostSearchMs) return;
    searchedAt.set(number, now);
    if (await isInLane(lane, number)) return;
    const lowest = await lowestOpen(campaign);
    if (lowest === null) return;
    log.info(
      { campaign: campaign.name, from: lowest },
      'pending actions are missing from the queue; queuing them again',
    );
    await advanceScript(redis, [keys.campaign(number)], [cursor, lowest, lowest]);
  }

  async function isInLane(lane: LaneName, number: number): Promise<boolean> {
    const found = await Promise.all([
      redis.lrange(keys.lane(lane, 'wait'), 0, -1),
      redis.lrange(keys.lane(lane, 'active'), 0, -1),
      redis.zrange(keys.lane(lane, 'delayed'), '0', '-1'),
    ]);
    return found.flat().some((jobId) => jobId.startsWith(`${number}-`));
  }

  async function lowestOpen(campaign: Campaign): Promise<number | null> {
    for (let from = campaign.low; ; from += STEP) {
      const ids = await readIds(redis, keys, campaign.number, from, STEP);
      if (ids.length === 0) return null;
      const records = await ledger.look(ids, campaign.number);
      const index = records.findIndex((record) => isFeedable(record, campaign));
      if (index >= 0) return from + index;
      if (ids.length < STEP * ID_BYTES) return null;
    }
  }

  return {
    /** Fills the lanes where that is worth it; a call while one is being filled waits for that. */
    feed: async (): Promise<void> => {
      const all = deps.supplies.map((supply) => {
        const known = feeding.get(supply.lane);
        if (known) return known;
        const going = feed(supply).finally(() => feeding.delete(supply.lane));
        feeding.set(supply.lane, going);
        return going;
      });
      await Promise.all(all);
    },
  };
}

type Lane = Pick<Supply, 'lane' | 'queue'>;

/**
 * What another campaign owns that is open, an urgent one calls all the same: the outcome is that campaign's. What expired there before its
 * turn came opens here.
 */
function isFeedable(record: Look | null | undefined, { number, priority }: Campaign): boolean {
  if (!record || record.busy) return false;
  const isOwn = record.campaign === number;
  if (!isOwn && priority !== URGENT) return false;
  return record.state === 'open' || record.state === 'checking' || (!isOwn && record.state === 'expired');
}

function fedJob(id: string, { comment, number }: Campaign, listed = false): FedJob {
  return { v: 1, id, comment, campaign: number, ...(listed && { listed }) };
}

/** In a public lane it is what a service would put there, and for whom it is called: whose the id is, the ledger says. */
function singleCancel(id: string, { comment, number }: Campaign) {
  return { v: 1, machineActionId: id, comment, fedFor: number };
}
