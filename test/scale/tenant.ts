import { guidsToBytes } from '../../src/base/guid.ts';
import { type Limits, longestMs } from '../../src/config/limits.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { createRandom, type Random } from '../../src/simulator/random.ts';
import { createMemory } from '../../src/store/budget/memory.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { type Keys, keysFor } from '../../src/store/keys.ts';
import { createLedger, type Ledger } from '../../src/store/ledger/ledger.ts';
import { type MadeActions, makeActions } from './actions.ts';
import { type Book, createBook } from './book.ts';
import { Defender } from './defender.ts';
import { createLane, type Hand, type Lane } from './lane.ts';
import { createNetwork, FATES, type Fate } from './network.ts';
import { type Outage, planOthers, planOutages } from './plan.ts';
import type { SimulatedRedis } from './redis.ts';
import { suspend, type Timeline } from './time.ts';
import type { Weather } from './weather.ts';
import { Ideal, type ServerWindow } from './windows.ts';
import { startWorker } from './worker.ts';

/** What is simulated. */
export interface Scale {
  tenants: number;
  /** Of each tenant. */
  requests: number;
  windows: readonly ServerWindow[];
  seed: number;
  /** Tenants begin within so many ms. */
  beginWithinMs: number;
  /** What is broken on purpose, in one worker of each tenant: its limits are a tenth too high, or it gives back slots of calls that left. */
  broken?: 'limits' | 'slots';
  weather?: Weather;
}

export const CALL_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 8;
const CONCURRENCY = 4;
const WORKERS = 2;
/** How often each worker is killed on the way, about. */
const CRASHES = 6;
/** How often each machine is suspended, about, where that is played. */
const SLEEPS = 30;
/** One in so many tenants shares its application with others. */
const SHARED_EVERY = 4;

/** A tenant in simulated time, from the first request to what the ledger says of the last one. */
export interface SimulatedTenant {
  index: number;
  keys: Keys;
  ledger: Ledger;
  book: Book;
  defender: Defender;
  made: MadeActions;
  isShared: boolean;
  outages: readonly Outage[];
  crashes: number;
  sleeps: number;
  fates: Record<Fate, number>;
}

interface Stage {
  scale: Scale;
  timeline: Timeline;
  redis: SimulatedRedis;
  random: Random;
  tenant: SimulatedTenant;
  /** How long it takes at least, in ms. */
  spanMs: number;
  isOver: boolean;
}

/**
 * Plays one tenant.
 *
 * @param onOver all its requests were told an outcome, or it took ten times as long as it should, and a day.
 */
export function playTenant(
  deps: Pick<Stage, 'scale' | 'timeline' | 'redis'>,
  index: number,
  onOver: (tenant: SimulatedTenant) => Promise<void>,
): void {
  const { scale, timeline } = deps;
  const random = createRandom(7_919 * scale.seed + index);
  timeline.after(scale.beginWithinMs * random(), async () => {
    const stage = setStage(deps, index, random);
    const { tenant, spanMs } = stage;
    await submit(stage);
    const end = () => {
      callOff();
      stage.isOver = true;
      // Calls that were given up may still arrive; their slots are to be there.
      timeline.after(3 * CALL_TIMEOUT_MS, () => onOver(tenant));
    };
    const lane = createLane({
      timeline,
      book: tenant.book,
      jobs: scale.requests,
      idOf: (job) => tenant.made.ids[job] as string,
      random,
      onDone: end,
    });
    for (let place = 0; place < WORKERS; place++) keepWorker(stage, lane, place);
    const callOff = timeline.after(10 * spanMs + 86_400_000, end);
  });
}

function setStage(deps: Pick<Stage, 'scale' | 'timeline' | 'redis'>, index: number, random: Random): Stage {
  const { scale, timeline } = deps;
  const begin = timeline.now();
  const ideal = new Ideal(scale.windows, begin, { outages: [], others: [] });
  let last = begin;
  for (let call = 0; call < scale.requests; call++) last = ideal.next();
  const spanMs = last - begin;
  const made = makeActions(random, scale.requests);
  const isShared = index % SHARED_EVERY === SHARED_EVERY - 1;
  const defender = new Defender(scale.windows, made.actions);
  if (isShared) planOthers(timeline, random, scale.windows, spanMs, (at) => defender.arriveOther(at));
  const keys = keysFor(`scale-${index}`);
  const tenant: SimulatedTenant = {
    index,
    keys,
    ledger: openLedger(deps, keys),
    book: createBook(),
    defender,
    made,
    isShared,
    outages: planOutages(random, begin, spanMs),
    crashes: 0,
    sleeps: 0,
    fates: Object.fromEntries(FATES.map((fate) => [fate, 0])) as Record<Fate, number>,
  };
  return { ...deps, random, tenant, spanMs, isOver: false };
}

/** What sets a tenant up and looks at it in the end. */
function openLedger(
  { scale, redis: { redis }, timeline }: Pick<Stage, 'scale' | 'timeline' | 'redis'>,
  keys: Keys,
) {
  const limits = limitsOf(scale, false);
  return createLedger({
    redis,
    keys,
    memory: createMemory({ keepMs: longestMs(limits.windows), graceMs: TIMINGS.graceMs }),
    timings: TIMINGS,
    graceMs: TIMINGS.graceMs,
    monotonic: timeline.now,
    wall: timeline.now,
    settings: { limits, callTimeoutMs: CALL_TIMEOUT_MS, maxAttempts: MAX_ATTEMPTS },
  });
}

async function submit({ redis: { redis, tick }, timeline, tenant }: Stage): Promise<void> {
  const { keys, ledger, made } = tenant;
  tick();
  const parts = (async function* () {
    yield guidsToBytes(made.ids);
  })();
  const wanted = { name: 'scale', comment: 'scale', now: Math.floor(timeline.now()) };
  await submitCampaign({ redis, keys, ledger }, wanted, parts, { expected: made.ids.length });
}

function limitsOf({ windows }: Scale, isTooHigh: boolean): Limits {
  const share = isTooHigh ? 1.1 : 1;
  return {
    windows: windows.map(({ max, lengthMs }) => ({ max: Math.floor(max * share), lengthMs })),
    reserves: [],
  };
}

/** One of the tenant's workers, and its successors when it is killed. */
function keepWorker(stage: Stage, lane: Lane, place: number): void {
  const { timeline, random, tenant, scale, spanMs } = stage;
  let hand: Hand | null = null;
  /** It dies at its next calls, where that hurts most. */
  let diesAtCall = false;

  const start = () => {
    if (stage.isOver) return;
    const isBroken = place === 0 ? scale.broken : undefined;
    hand = startWorker({
      timeline,
      redis: stage.redis,
      keys: tenant.keys,
      limits: limitsOf(scale, isBroken === 'limits'),
      callTimeoutMs: CALL_TIMEOUT_MS,
      maxAttempts: MAX_ATTEMPTS,
      concurrency: CONCURRENCY,
      random,
      ids: tenant.made.ids,
      mayRead: tenant.index % 2 === 0,
      weather: scale.weather ?? {},
      network: (life, clock) =>
        createNetwork({
          timeline,
          life,
          clock,
          random,
          defender: tenant.defender,
          book: tenant.book,
          callTimeoutMs: CALL_TIMEOUT_MS,
          isOut: (at) => tenant.outages.some(({ from, to }) => at >= from && at < to),
          onSent: () => {
            if (!diesAtCall) return;
            diesAtCall = false;
            timeline.after(300 * random(), crash);
          },
          tally: tenant.fates,
          lies: isBroken === 'slots',
        }),
      onRecovered: lane.release,
    });
    lane.join(hand);
  };
  const crash = () => {
    if (!hand || stage.isOver) return;
    tenant.crashes++;
    hand.life.isAlive = false;
    lane.lose(hand);
    hand = null;
    timeline.after(2_000 + 28_000 * random(), start);
  };
  const plan = () => {
    timeline.after((-Math.log(1 - random()) * spanMs) / CRASHES, () => {
      if (stage.isOver) return;
      if (random() < 0.5) crash();
      else diesAtCall = true;
      plan();
    });
  };
  /** The machine is suspended: for some seconds, or for longer than a minute's window. */
  const planSleep = () => {
    timeline.after((-Math.log(1 - random()) * spanMs) / SLEEPS, () => {
      if (stage.isOver) return;
      if (hand) {
        tenant.sleeps++;
        const mostMs = random() < 0.5 ? 20_000 : 600_000;
        suspend(timeline, hand.life, mostMs * random());
      }
      planSleep();
    });
  };
  start();
  plan();
  if (scale.weather?.sleeps) planSleep();
  // Its heart beats as long as it lives.
  const rest = () => {
    if (!stage.isOver) timeline.after(60_000, rest);
    else if (hand) hand.life.isAlive = false;
  };
  rest();
}
