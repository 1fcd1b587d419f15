import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { guidsToBytes } from '../../src/base/guid.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { createRandom, pick, randomInteger } from '../../src/simulator/random.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { LANES } from '../../src/store/keys.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { createCrew } from './crew.ts';
import {
  CLOCK_FAULTS,
  CLUSTER_FAULTS,
  FAILOVERS,
  HIDDEN,
  LONG_FAULTS,
  LOSSES,
  NETWORK_FAULTS,
  type Play,
  REDIS_FAULTS,
  type Scene,
  UPSTREAM_FAULTS,
  WORKER_FAULTS,
} from './faults.ts';
import { judge, type PlayedFault, type Verdict } from './invariants.ts';
import {
  buildClock,
  openBehindProxy,
  openCluster,
  openSentinels,
  openSingle,
  openWithClock,
  type Place,
} from './place.ts';

/** What a round is about; each has faults of its own, and of others. */
interface KindOfRound {
  faults: Readonly<Record<string, Play>>;
  /** Default: one server. */
  open?(): Promise<Place>;
  /** Longest pause between two faults, in ms; default 2 s. After each loss nothing goes out for six. */
  pauseMs?: number;
  /** Redis loses data: somebody has to live who remembers the calls. */
  lossy?: boolean;
  /** Calls may be refused. */
  shared?: boolean;
}

const KINDS = {
  mixed: { faults: { ...WORKER_FAULTS, ...UPSTREAM_FAULTS, ...REDIS_FAULTS } },
  workers: { faults: { ...WORKER_FAULTS, ...LONG_FAULTS } },
  redis: { faults: REDIS_FAULTS, pauseMs: 7_000 },
  loss: { faults: { ...LOSSES, ...UPSTREAM_FAULTS }, pauseMs: 7_000, lossy: true },
  sentinel: { faults: FAILOVERS, open: openSentinels, pauseMs: 4_000, lossy: true },
  cluster: { faults: CLUSTER_FAULTS, open: openCluster, pauseMs: 7_000, lossy: true },
  network: { faults: NETWORK_FAULTS, open: openBehindProxy },
  clock: { faults: CLOCK_FAULTS, open: openWithClock, pauseMs: 4_000 },
  upstream: { faults: UPSTREAM_FAULTS },
  shared: { faults: { ...HIDDEN, ...WORKER_FAULTS, ...UPSTREAM_FAULTS }, shared: true },
} as const satisfies Record<string, KindOfRound>;

export type Kind = keyof typeof KINDS;

export function isKind(name: string): name is Kind {
  return Object.hasOwn(KINDS, name);
}

/** What can be played on this machine. */
export async function playableKinds(): Promise<Kind[]> {
  const clock = await buildClock();
  return (Object.keys(KINDS) as Kind[]).filter((kind) => kind !== 'clock' || clock !== null);
}

export interface Round extends Verdict {
  kind: Kind;
  seed: number;
  workers: number;
  faults: Map<string, number>;
  /** Points of the way at which a worker was killed or stopped. */
  points: string[];
  /** Requests that Redis no longer had, or whose outcome it no longer had. */
  lostByRedis: number;
  seconds: number;
}

const LIMITS = '30/1s,240/15s';
const CAMPAIGN = 'gauntlet';
const MAX_ATTEMPTS = 8;
/** Longer than a lock and the look for stalled jobs take together. */
const FAULTS_MS = 40_000;
/** From the last fault on; then a round is stuck. */
const MOST_MS = 150_000;

/** One campaign under one random schedule of faults, and what became of it. */
export async function playRound(kind: Kind, seed: number, mostWorkers: number): Promise<Round> {
  const random = createRandom(seed);
  const started = performance.now();
  const count = 500 + randomInteger(random, 400);
  const made = makeActions({ count, seed });
  const {
    faults: plays,
    open: openPlace = openSingle,
    pauseMs = 2_000,
    lossy = false,
    shared = false,
  }: KindOfRound = KINDS[kind];
  const redis = await openPlace();
  const admin = await redis.connect();
  const simulator = await startSimulatorProcess(LIMITS, { latencyMs: { min: 5, max: 500 } });
  await simulator.addActions(made.actions);
  const settings = { RATE_LIMITS: LIMITS, URGENT_RESERVE: 'none' };
  const tenant = await newTenant(admin, settings);
  await redis.nodes?.watch(tenant.keys.state);
  const submit = async () => {
    const parts = (async function* () {
      yield guidsToBytes(made.ids);
    })();
    return submitCampaign(tenant, { name: CAMPAIGN, comment: 'gauntlet', now: Date.now() }, parts);
  };
  await submit();
  // Where Redis loses its data somebody has to live who remembers.
  const workers = Math.max(lossy ? 2 : 1, 1 + randomInteger(random, mostWorkers));
  const crew = createCrew(workers, {
    ...simulator.settings,
    ...settings,
    REDIS_URL: redis.url,
    STANDDOWN_TENANT: tenant.label,
    CALL_TIMEOUT: '1s',
    MAX_ATTEMPTS: String(MAX_ATTEMPTS),
    CONCURRENCY: String(2 + randomInteger(random, 8)),
    PRECHECK: pick(random, ['auto', 'off']),
    LOG_LEVEL: 'warn',
  });
  const faults = new Map<string, number>();
  const played: PlayedFault[] = [];
  let losses = 0;
  let lostByRedis = 0;
  let mostDecided = 0;
  const decidedNow = async () => {
    const { total, open } = await findCampaign(admin, tenant.keys, CAMPAIGN);
    return total - open;
  };
  const scene: Scene = {
    crew,
    redis,
    simulator,
    random,
    limits: LIMITS,
    rest: (ms) => delay(ms),
    onLoss: async () => {
      const decided = mostDecided;
      // While a cluster has no master for them nothing can be submitted.
      const { accepted } = await eventually(submit, 60_000);
      mostDecided = await eventually(decidedNow, 60_000);
      losses++;
      lostByRedis += accepted > 0 ? accepted : Math.max(0, decided - mostDecided);
    },
  };
  const tending = setInterval(() => {
    crew.tend();
    decidedNow().then(
      (decided) => {
        mostDecided = Math.max(mostDecided, decided);
      },
      () => undefined,
    );
  }, 200);
  const open = () => eventually(async () => (await findCampaign(admin, tenant.keys, CAMPAIGN)).open, 60_000);
  try {
    await eventually(async () => assert.ok((await simulator.calls()).length > 20), 60_000);
    const names = Object.keys(plays) as [string, ...string[]];
    const until = performance.now() + FAULTS_MS;
    while (performance.now() < until && (await open()) > 0) {
      const name = pick(random, names);
      faults.set(name, (faults.get(name) ?? 0) + 1);
      const fault: PlayedFault = { name, from: Date.now(), to: null };
      played.push(fault);
      await plays[name]?.(scene);
      fault.to = Date.now();
      await delay(500 + randomInteger(random, pauseMs));
    }
    await simulator.setFaults([]);
    await eventually(async () => assert.equal(await open(), 0), MOST_MS);
    // A dead worker's jobs go on, and end, when their locks have lapsed.
    await eventually(async () => {
      for (const lane of LANES) assert.equal(await admin.llen(tenant.keys.lane(lane, 'active')), 0);
    }, 60_000);
    clearInterval(tending);
    const ended = await crew.dismiss();
    const verdict = await judge({
      tenant,
      simulator,
      campaign: CAMPAIGN,
      ids: made.ids,
      limits: LIMITS,
      maxAttempts: MAX_ATTEMPTS,
      kills: crew.kills(),
      lossy: losses > 0,
      shared,
      clockSet: redis.stepClock !== undefined,
      played,
    });
    // One that was still starting has not heard of signals yet.
    const bad = ended.filter((how) => how !== 0 && how !== 'SIGTERM');
    if (bad.length > 0) verdict.violations.push(`told to stop, workers ended with ${bad.join(', ')}`);
    const seconds = (performance.now() - started) / 1_000;
    return { ...verdict, kind, seed, workers, faults, lostByRedis, points: crew.points(), seconds };
  } catch (error) {
    const said = crew.stderr().split('\n').slice(-12).join('\n');
    throw new Error(`round ${kind} of seed ${seed}: ${(error as Error).message}\n${said}`, { cause: error });
  } finally {
    clearInterval(tending);
    await crew.destroy();
    await simulator.stop();
    await redis.close();
  }
}
