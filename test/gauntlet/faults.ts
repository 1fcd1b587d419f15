import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from '../../src/script.ts';
import type { Fault, FaultRule } from '../../src/simulator/faults.ts';
import { pick, type Random, randomInteger } from '../../src/simulator/random.ts';
import type { SimulatorProcess } from '../support/simulator.ts';
import type { Crew } from './crew.ts';
import type { FragileRedis } from './redis.ts';

/** What a fault can be done to. */
export interface Scene {
  crew: Crew;
  redis: FragileRedis;
  admin: RedisClient;
  simulator: SimulatorProcess;
  random: Random;
  /** Waits, unless the round is over. */
  rest(ms: number): Promise<void>;
  /** Redis has lost everything: what was submitted is submitted again. */
  onLoss(): Promise<void>;
}

/** Plays one fault, from its beginning to its end. */
export type Play = (scene: Scene) => Promise<void>;

/** Longer than a claim (twice CALL_TIMEOUT), and than a lock of BullMQ's and the look for stalled jobs. */
const BEYOND_CLAIM_MS = 3_000;
const BEYOND_LOCK_MS = 32_000;

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

export const REDIS_FAULTS: Readonly<Record<string, Play>> = {
  'Redis killed and restarted': async (scene) => {
    await scene.redis.kill();
    await scene.rest(between(scene.random, 100, 1_500));
    await scene.redis.start();
  },
  'Redis does not answer': async (scene) => {
    scene.redis.signal('SIGSTOP');
    await scene.rest(between(scene.random, 500, 4_000));
    scene.redis.signal('SIGCONT');
  },
  'Redis out of memory': async (scene) => {
    await scene.admin.config('SET', 'maxmemory', '1mb');
    await scene.rest(between(scene.random, 500, 3_000));
    await scene.admin.config('SET', 'maxmemory', '0');
  },
  'Redis a replica': async (scene) => {
    await scene.admin.replicaof('127.0.0.1', '1');
    await scene.rest(between(scene.random, 500, 3_000));
    await scene.admin.replicaof('NO', 'ONE');
  },
  'Redis forgot its scripts': async (scene) => {
    await scene.admin.script('FLUSH');
  },
};

/** Only where no worker is killed or stopped: what nobody remembers cannot be put back. */
export const LOSSES: Readonly<Record<string, Play>> = {
  'Redis lost its data': async (scene) => {
    await scene.admin.flushall();
    await scene.onLoss();
  },
};

/** The limits are exceeded for want of knowledge: others' calls cannot be counted, only made good for. */
export const HIDDEN: Readonly<Record<string, Play>> = {
  'somebody else uses the quota': async (scene) => {
    await scene.simulator.spend('cancel', between(scene.random, 3, 15));
  },
};
