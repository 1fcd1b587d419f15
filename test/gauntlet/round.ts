import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { findCampaign } from '../../src/campaign/registry.ts';
import { submitCampaign } from '../../src/campaign/submit.ts';
import { guidsToBytes } from '../../src/guid.ts';
import { LANES } from '../../src/keys.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { createRandom, pick, randomInteger } from '../../src/simulator/random.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { createCrew } from './crew.ts';
import {
  HIDDEN,
  LONG_FAULTS,
  LOSSES,
  type Play,
  REDIS_FAULTS,
  type Scene,
  UPSTREAM_FAULTS,
  WORKER_FAULTS,
} from './faults.ts';
import { judge, type Verdict } from './invariants.ts';
import { openFragileRedis } from './redis.ts';

/** What a round is about; each has faults of its own, and of others. */
const KINDS = {
  workers: { ...WORKER_FAULTS, ...LONG_FAULTS },
  upstream: UPSTREAM_FAULTS,
  redis: REDIS_FAULTS,
  mixed: { ...WORKER_FAULTS, ...UPSTREAM_FAULTS, ...REDIS_FAULTS },
  loss: { ...LOSSES, ...UPSTREAM_FAULTS },
  shared: { ...HIDDEN, ...WORKER_FAULTS, ...UPSTREAM_FAULTS },
} as const satisfies Record<string, Readonly<Record<string, Play>>>;

export type Kind = keyof typeof KINDS;
export const ORDER: readonly Kind[] = ['mixed', 'workers', 'redis', 'loss', 'upstream', 'shared'];

export interface Round extends Verdict {
  kind: Kind;
  seed: number;
  workers: number;
  faults: Map<string, number>;
  /** Points of the way at which a worker was killed or stopped. */
  points: string[];
  /** Ids that Redis had lost and that were submitted again. */
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
  const redis = await openFragileRedis();
  const admin = await redis.connect();
  const simulator = await startSimulatorProcess(LIMITS, { latencyMs: { min: 5, max: 500 } });
  await simulator.addActions(made.actions);
  const settings = { RATE_LIMITS: LIMITS, URGENT_RESERVE: 'none' };
  const tenant = await newTenant(admin, settings);
  const submit = async () => {
    const parts = (async function* () {
      yield guidsToBytes(made.ids);
    })();
    await submitCampaign(tenant, { name: CAMPAIGN, comment: 'gauntlet', now: Date.now() }, parts);
  };
  await submit();
  // Where Redis loses its data somebody has to live who remembers.
  const workers = Math.max(kind === 'loss' ? 2 : 1, 1 + randomInteger(random, mostWorkers));
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
  let lostByRedis = 0;
  const scene: Scene = {
    crew,
    redis,
    admin,
    simulator,
    random,
    rest: (ms) => delay(ms),
    onLoss: async () => {
      lostByRedis += made.ids.length;
      await submit();
    },
  };
  const tending = setInterval(crew.tend, 200);
  const open = async () => (await findCampaign(admin, tenant.keys, CAMPAIGN)).open;
  try {
    await eventually(async () => assert.ok((await simulator.calls()).length > 20), 60_000);
    const names = Object.keys(KINDS[kind]) as [string, ...string[]];
    const until = performance.now() + FAULTS_MS;
    while (performance.now() < until && (await open()) > 0) {
      const name = pick(random, names);
      const play: Play | undefined = (KINDS[kind] as Readonly<Record<string, Play>>)[name];
      faults.set(name, (faults.get(name) ?? 0) + 1);
      await play?.(scene);
      // A grace after each loss of Redis is six seconds: shorter pauses would let nothing go out.
      await delay(500 + randomInteger(random, kind === 'redis' || kind === 'loss' ? 7_000 : 2_000));
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
      lossy: lostByRedis > 0,
      shared: kind === 'shared',
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
