import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { TIMINGS } from '../../src/config/timings.ts';
import type { Fault, FaultRule } from '../../src/simulator/faults.ts';
import { pick, type Random, randomInteger } from '../../src/simulator/random.ts';
import type { SimulatorProcess } from '../support/simulator.ts';
import { quotas } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import type { Crew } from './crew.ts';
import type { Place } from './place.ts';
import type { RedisServer } from './server.ts';

/** What a fault can be done to. */
export interface Scene {
  crew: Crew;
  redis: Place;
  simulator: SimulatorProcess;
  random: Random;
  /** As in RATE_LIMITS. */
  limits: string;
  /** Waits, unless the round is over. */
  rest(ms: number): Promise<void>;
  /** Redis has lost everything: what was submitted is submitted again. */
  onLoss(): Promise<void>;
}

/** Plays one fault, from its beginning to its end. */
export type Play = (scene: Scene) => Promise<void>;

/** Longer than a claim (twice CALL_TIMEOUT), and than a lock of BullMQ's and the look for stalled jobs. */
const BEYOND_CLAIM_MS = 3_000;
const BEYOND_LOCK_MS = 2 * TIMINGS.lockMs + 2_000;

const STEPS: readonly [string, ...string[]] = [
  'standdown:begin',
  'call',
  'standdown:finish',
  'standdown:advance',
  'standdown:pulse',
  'moveToActive',
  'moveToFinished',
  'moveToDelayed',
];

/** Where a worker that stops becomes a zombie: it has claimed a request, and has not recorded what became of it. */
const IN_MID_CALL: readonly [string, ...string[]] = [
  'after standdown:begin',
  'before call',
  'after call',
  'before standdown:finish',
];

const pickFrom = (plays: Readonly<Record<string, Play>>, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (plays[name] ? [[name, plays[name]]] : [])));

const between = (random: Random, low: number, high: number) => low + randomInteger(random, high - low + 1);
const anyone = ({ crew, random }: Scene) => randomInteger(random, crew.size);

type CallFault = Pick<FaultRule, 'fault' | 'counted'>;

const anyPoint = ({ random }: Scene) =>
  `${pick(random, ['before', 'after'])} ${pick(random, STEPS)} ${between(random, 1, 12)}`;

/** Stops a worker in the middle of its way, and lets it go on as a zombie: others have taken over by then. */
async function stopWorker(scene: Scene, ms: number): Promise<void> {
  const { crew, random } = scene;
  const point = `${pick(random, IN_MID_CALL)} ${between(random, 1, 12)}`;
  const pid = crew.arm(anyone(scene), 'SIGSTOP', point);
  await untilStopped(pid);
  await scene.rest(ms);
  crew.thaw();
}

/** It may come to an end of its work before it comes to its point. */
async function untilStopped(pid: number): Promise<void> {
  const isStopped = async () =>
    /^State:\tT/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''));
  for (let looks = 0; looks < 200 && !(await isStopped()); looks++) await delay(25);
}

/** Rules at random rates for a while. */
async function misbehave(scene: Scene, rules: readonly FaultRule[], ms: number): Promise<void> {
  await scene.simulator.setFaults(rules);
  await scene.rest(ms);
  await scene.simulator.setFaults([]);
}

const CALL_FAULTS: readonly [CallFault, ...CallFault[]] = [
  { fault: { kind: 'status', status: 500 } },
  { fault: { kind: 'status', status: 503, applied: true } },
  { fault: { kind: 'html', status: 502 } },
  { fault: { kind: 'truncated', how: 'closed' } },
  { fault: { kind: 'truncated', how: 'broken-json' } },
  { fault: { kind: 'reset', when: 'before' } },
  { fault: { kind: 'reset', when: 'after' } },
  { fault: { kind: 'hang', applied: true } },
  { fault: { kind: 'slow', ms: 1_500 } },
  // Comes up to a call's timeout late, and is counted then.
  { counted: false, fault: { kind: 'slow', ms: 700 } },
];

export const WORKER_FAULTS: Readonly<Record<string, Play>> = {
  'worker killed': async (scene) => scene.crew.kill(anyone(scene)),
  'worker killed at a step': async (scene) => {
    scene.crew.arm(anyone(scene), 'SIGKILL', anyPoint(scene));
    await scene.rest(2_000);
  },
  'worker stopped beyond its claims': (scene) => stopWorker(scene, BEYOND_CLAIM_MS),
  'worker told to stop': async (scene) => scene.crew.term(anyone(scene)),
};

export const LONG_FAULTS: Readonly<Record<string, Play>> = {
  'worker stopped beyond its locks': (scene) => stopWorker(scene, BEYOND_LOCK_MS),
};

export const UPSTREAM_FAULTS: Readonly<Record<string, Play>> = {
  'calls fail at random': async (scene) => {
    const { random } = scene;
    const rules = [1, 2, 3].map(() => ({
      operation: 'cancel' as const,
      rate: between(random, 5, 25) / 100,
      ...pick(random, CALL_FAULTS),
    }));
    await misbehave(scene, rules, between(random, 1_000, 3_000));
  },
  outage: async (scene) => {
    const fault = { kind: 'status', status: 503 } as const;
    await misbehave(scene, [{ fault }], between(scene.random, 2_000, 5_000));
  },
  '429 with a time': async (scene) => {
    const fault = { kind: 'status', status: 429, retryAfter: between(scene.random, 1, 2) } as const;
    await scene.simulator.addFault({ operation: 'cancel', times: between(scene.random, 1, 3), fault });
  },
  'sign-in fails': async (scene) => {
    const fault = pick<Fault>(scene.random, [
      { kind: 'status', status: 503 },
      { kind: 'status', status: 429, retryAfter: 1 },
      { kind: 'hang' },
    ]);
    await scene.simulator.revokeTokens();
    await misbehave(scene, [{ operation: 'token', fault }], between(scene.random, 1_000, 3_000));
  },
  'tokens revoked': async (scene) => scene.simulator.revokeTokens(),
};

/** Does something to the server for a while, and undoes it. */
async function trouble(
  scene: Scene,
  [from, to]: readonly [number, number],
  begin: (server: RedisServer) => unknown,
  end: (server: RedisServer) => unknown,
): Promise<void> {
  const server = await scene.redis.server();
  await begin(server);
  await scene.rest(between(scene.random, from, to));
  await end(server);
}

const killed: Play = (scene) =>
  trouble(
    scene,
    [100, 1_500],
    (server) => server.kill(),
    (server) => server.start(),
  );

const silent: Play = (scene) =>
  trouble(
    scene,
    [500, 4_000],
    (server) => server.signal('SIGSTOP'),
    (server) => server.signal('SIGCONT'),
  );

/** Some ms for each key that is read, and a look at those who ask in between. */
const LOADING_SLOWLY = ['--key-load-delay', '400', '--loading-process-events-interval-bytes', '1024'];

export const REDIS_FAULTS: Readonly<Record<string, Play>> = {
  'Redis killed and restarted': killed,
  'Redis does not answer': silent,
  'Redis takes long to load': (scene) =>
    trouble(
      scene,
      [100, 500],
      (server) => server.kill(),
      (server) => server.start(LOADING_SLOWLY),
    ),
  'Redis out of memory': (scene) =>
    trouble(
      scene,
      [500, 3_000],
      ({ admin }) => admin.config('SET', 'maxmemory', '1mb'),
      ({ admin }) => admin.config('SET', 'maxmemory', '0'),
    ),
  'Redis has a full disk': (scene) =>
    trouble(
      scene,
      [1_500, 4_000],
      (server) => server.fillDisk(true),
      (server) => server.fillDisk(false),
    ),
  'Redis a replica': (scene) =>
    trouble(
      scene,
      [500, 3_000],
      ({ admin }) => admin.replicaof('127.0.0.1', '1'),
      ({ admin }) => admin.replicaof('NO', 'ONE'),
    ),
  'Redis forgot its scripts': async (scene) => {
    const { admin } = await scene.redis.server();
    await admin.script('FLUSH');
  },
};

/** Only where no worker is killed or stopped: what nobody remembers cannot be put back. */
export const LOSSES: Readonly<Record<string, Play>> = {
  'Redis lost its data': async (scene) => {
    const { admin } = await scene.redis.server();
    await admin.flushall();
    await scene.onLoss();
  },
  'Redis restored from older files': async (scene) => {
    const server = await scene.redis.server();
    await server.keepFiles();
    await scene.rest(between(scene.random, 1_000, 5_000));
    await server.kill();
    await server.restoreFiles();
    await server.start();
    await scene.onLoss();
  },
};

/** What the replica did not have is lost: as `LOSSES`. */
async function failOver(scene: Scene, begin: Play): Promise<void> {
  const before = await scene.redis.server();
  await begin(scene);
  await eventually(async () => assert.notEqual((await scene.redis.server()).port, before.port), 30_000);
  await scene.onLoss();
  // The one that was left becomes a replica, and has to follow before the next failover: else that loses everything.
  await eventually(
    async () =>
      assert.match(await before.admin.info('replication'), /role:slave[\s\S]*master_link_status:up/),
    60_000,
  );
}

export const FAILOVERS: Readonly<Record<string, Play>> = {
  'primary killed': (scene) => failOver(scene, killedForLong),
  'primary silent, then back': (scene) =>
    failOver(scene, (its) =>
      trouble(
        its,
        [4_000, 6_000],
        (server) => server.signal('SIGSTOP'),
        (server) => server.signal('SIGCONT'),
      ),
    ),
  'failover on demand': (scene) =>
    failOver(scene, async ({ redis }) => {
      await eventually(() => redis.failOver?.(), 30_000);
    }),
  ...UPSTREAM_FAULTS,
};

/** Longer than the others need to take it for dead, and to agree on the next one. */
const killedForLong: Play = (scene) =>
  trouble(
    scene,
    [4_000, 6_000],
    (server) => server.kill(),
    (server) => server.start(),
  );

export const CLUSTER_FAULTS: Readonly<Record<string, Play>> = {
  'slot moved to another node': async (scene) => {
    await scene.redis.nodes?.move();
  },
  'node lost, its replica takes over': async (scene) => {
    await killedForLong(scene);
    await scene.onLoss();
  },
  'replica takes over on demand': async (scene) => {
    await scene.redis.nodes?.takeOver();
    await scene.onLoss();
  },
  'another node lost': async (scene) => {
    const other = await scene.redis.nodes?.other();
    await other?.kill();
    await scene.rest(between(scene.random, 500, 5_000));
    await other?.start();
  },
  'node does not answer': silent,
};

/** Any one of two connections. */
const some =
  ({ random }: Scene) =>
  () =>
    random() < 0.5;

export const NETWORK_FAULTS: Readonly<Record<string, Play>> = {
  'network slow': async (scene) => {
    scene.redis.network?.slow(between(scene.random, 5, 250));
    await scene.rest(between(scene.random, 1_000, 5_000));
    scene.redis.network?.slow(0);
  },
  'network parted': async (scene) => {
    scene.redis.network?.part();
    await scene.rest(between(scene.random, 500, 5_000));
    scene.redis.network?.heal();
  },
  'network parted for some': async (scene) => {
    scene.redis.network?.part(some(scene));
    await scene.rest(between(scene.random, 500, 5_000));
    scene.redis.network?.heal();
  },
  'connections cut': async (scene) => scene.redis.network?.cut(some(scene)),
  ...WORKER_FAULTS,
};

/** From less than what two readings may differ by to more than any window. */
const STEPS_MS: readonly [number, ...number[]] = [100, 500, 2_000, 10_000, 600_000];

async function step(scene: Scene, sign: 1 | -1): Promise<void> {
  await scene.redis.stepClock?.(sign * pick(scene.random, STEPS_MS));
  await scene.rest(between(scene.random, 500, 8_000));
}

export const CLOCK_FAULTS: Readonly<Record<string, Play>> = {
  'Redis’ clock goes forth': (scene) => step(scene, 1),
  'Redis’ clock goes back': (scene) => step(scene, -1),
  ...pickFrom(UPSTREAM_FAULTS, ['calls fail at random', 'outage']),
  ...pickFrom(WORKER_FAULTS, ['worker killed']),
};

/** The limits are exceeded for want of knowledge: others' calls cannot be counted, only made good for. */
export const HIDDEN: Readonly<Record<string, Play>> = {
  'somebody else uses the quota': async (scene) => {
    await scene.simulator.spend('cancel', between(scene.random, 3, 15));
  },
  'limits lowered': async (scene) => {
    const [max] = quotas(scene.limits);
    assert(max);
    await scene.simulator.setLimits({ cancel: [{ ...max, max: between(scene.random, 10, max.max) }] });
    await scene.rest(between(scene.random, 2_000, 6_000));
    await scene.simulator.setLimits({ cancel: quotas(scene.limits) });
  },
};
