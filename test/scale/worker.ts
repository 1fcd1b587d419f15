import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Limits, longestMs } from '../../src/config/limits.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import type { DefenderClient } from '../../src/defender/client.ts';
import type { SignIn } from '../../src/defender/sign-in.ts';
import type { Random } from '../../src/simulator/random.ts';
import { type EpochContext, pulse } from '../../src/store/budget/epoch.ts';
import { createMemory } from '../../src/store/budget/memory.ts';
import { type Keys, OPERATIONS } from '../../src/store/keys.ts';
import { createLedger } from '../../src/store/ledger/ledger.ts';
import { createChronicle } from '../../src/worker/chronicle.ts';
import { createExecutor, type Work } from '../../src/worker/execute.ts';
import { createGate } from '../../src/worker/gate.ts';
import { createNotices } from '../../src/worker/notices.ts';
import type { Hand } from './lane.ts';
import type { SimulatedRedis } from './redis.ts';
import { createSimulatedClock, type Life, newLife, type Timeline } from './time.ts';
import type { Weather } from './weather.ts';

export interface WorkerDeps {
  timeline: Timeline;
  redis: SimulatedRedis;
  keys: Keys;
  limits: Limits;
  callTimeoutMs: number;
  maxAttempts: number;
  concurrency: number;
  random: Random;
  ids: readonly string[];
  mayRead: boolean;
  weather: Weather;
  network(life: Life, clock: Clock): DefenderClient;
  onRecovered(): void;
}

/** A real one looks every two seconds; nothing here that changes goes unnoticed by the next `begin`. In ms. */
const PULSE_MS = 60_000;

/** The way of a request as a worker builds it (see service.ts), with everything that is time, chance or network given to it. */
export function startWorker(deps: WorkerDeps): Hand {
  const { timeline, keys, limits, random, callTimeoutMs, maxAttempts } = deps;
  const life = newLife();
  // As far from Redis' pace as NTP slews a clock at most; the wall clock is off by up to a second.
  const rate = 1 + (random() - 0.5) / 1_000;
  const skewMs = 2_000 * (random() - 0.5);
  const own = createSimulatedClock(timeline, life, { rate, skewMs });
  const redis = deps.redis.connect(life, () => (deps.weather.redisLegMs ?? 0) + redisLegMs(random));
  // The system of half of them says for how long it slept.
  const signs = { wall: own.wall, suspendedMs: () => (skewMs > 0 ? life.sleptMs : 0) };
  const memory = createMemory({ keepMs: longestMs(limits.windows), signs, graceMs: TIMINGS.graceMs });
  const epoch: EpochContext = {
    redis,
    keys,
    memory,
    timings: TIMINGS,
    graceMs: TIMINGS.graceMs,
    monotonic: own.monotonic,
    wall: own.wall,
  };
  const wall = () => Math.floor(memory.redisTime(own.monotonic()) ?? own.wall());
  const clock: Clock = { ...own, wall };
  const execute = createExecutor({
    ledger: createLedger({ ...epoch, settings: { limits, callTimeoutMs, maxAttempts } }),
    signIn: signedIn(deps.mayRead),
    client: deps.network(life, clock),
    gate: createGate(clock),
    chronicle: createChronicle({ redis, keys, wall, epoch: () => memory.expect('cancel', 0).epoch }),
    notices: createNotices({ redis, keys, wall }),
    clock,
    timings: TIMINGS,
    callTimeoutMs,
    random,
    onRecovered: deps.onRecovered,
    log: silentLog,
    stopping: new AbortController().signal,
  });
  void beat(epoch, clock, life, deps.weather.pulseMs ?? PULSE_MS);
  return {
    life,
    held: new Set(),
    concurrency: deps.concurrency,
    execute: (job) => {
      const machineActionId = deps.ids[job] as string;
      const request = { machineActionId, comment: 'scale', requestedBy: null, expiresAt: null, again: false };
      const work: Work = { request, slotClass: 'bulk', campaign: 1, fed: true, requestedAt: null };
      return execute(work, () => undefined);
    },
  };
}

async function beat(epoch: EpochContext, clock: Clock, life: Life, pulseMs: number): Promise<void> {
  while (life.isAlive) {
    await pulse(epoch, OPERATIONS);
    await clock.sleep(pulseMs);
  }
}

/** Half a round trip. One in a thousand is slow: longer than a worker may be held up before it sends. */
function redisLegMs(random: Random): number {
  return random() < 0.001 ? 3_000 * random() : 0.1 + random();
}

function signedIn(mayRead: boolean): SignIn {
  const token = {
    accessToken: 'scale',
    roles: ['Machine.Scan', ...(mayRead ? ['Machine.Read.All'] : [])],
    isDelegated: false,
    askedAt: 0,
    renewAt: Number.POSITIVE_INFINITY,
    expiresAt: Number.POSITIVE_INFINITY,
  };
  return {
    token: async () => token,
    renewed: async () => token,
    refuse: () => undefined,
    isRefused: () => false,
    suspect: () => undefined,
    believes: () => true,
    doubt: () => undefined,
    dueMs: () => 3_600_000,
  };
}
