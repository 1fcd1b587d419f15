import type { Clock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { type Limits, type Window, windowsFor } from '../config/limits.ts';
import type { Timings } from '../config/timings.ts';
import type { DefenderClient } from '../defender/client.ts';
import { createReader } from '../defender/reader.ts';
import type { SignIn } from '../defender/sign-in.ts';
import { createInbox } from '../queue/inbox/inbox.ts';
import type { EpochContext, Stance } from '../store/budget/epoch.ts';
import type { Memory } from '../store/budget/memory.ts';
import { createOperationBudget } from '../store/budget/operation.ts';
import { createSweep } from '../store/campaign/sweep.ts';
import type { Keys } from '../store/keys.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import type { RedisClient } from '../store/script.ts';
import { createChronicle } from './chronicle.ts';
import { createExecutor } from './execute.ts';
import { createFeeder, LANE_OF } from './feeder.ts';
import { createGate } from './gate.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createLanes } from './lanes.ts';
import { createNotices } from './notices.ts';
import { type Observer, observeChronicle, observeClient, observeLedger } from './observer.ts';
import { createPrecheck } from './precheck.ts';
import type { Self } from './self.ts';
import { createSignInHold, type SignInHoldDeps } from './sign-in-hold.ts';
import { createSupply } from './supply.ts';
import { apart, type Tracing, traceSteps } from './tracing.ts';
import { createVerifier } from './verifier.ts';
import type { Vitals } from './vitals.ts';

export interface ServiceDeps {
  /** The connection of BullMQ; the ledger has one of its own. */
  lanesRedis: RedisClient;
  /** For reading the inbox, and for nothing else: it blocks. */
  inboxRedis: RedisClient;
  redis: RedisClient;
  keys: Keys;
  memory: Memory;
  ledger: Ledger;
  epoch: EpochContext;
  limits: Limits;
  signIn: SignIn;
  signInTurn: SignInHoldDeps['inTurn'];
  self: Self;
  client: DefenderClient;
  clock: Clock;
  callTimeoutMs: number;
  timings: Timings;
  concurrency: number;
  defaultComment: string | null;
  retentionMs: number;
  precheck: boolean;
  /** Whether campaigns are verified once they are drained. */
  verify: boolean;
  /** Null: nobody watches. */
  observer: Observer | null;
  /** Null: nobody follows. */
  tracing: Tracing | null;
  log: Logger;
}

export interface Service {
  start(): void;
  /** Takes no new job, ends waits, finishes calls in flight. May be called again. */
  stop(): Promise<void>;
  vitals(): Vitals;
  /** Aborted when it cannot go on in this process; the reason says why. */
  failed: AbortSignal;
}

/** One tenant's worker: its lanes and what keeps them going. */
export function createService(given: ServiceDeps): Service {
  const { observer, tracing } = given;
  const deps = observer ? observed(given, observer) : given;
  const { redis, keys, ledger, log, memory, timings } = deps;
  // What is stored and shown is in Redis' time, which all workers share, once it is known: a machine's clock may be off.
  const wall = () => Math.floor(memory.redisTime(deps.clock.monotonic()) ?? deps.clock.wall());
  const clock: Clock = { ...deps.clock, wall };
  const stopping = new AbortController();
  const failing = new AbortController();
  const random = Math.random;
  const notices = createNotices({ redis, keys, wall, log });
  const unobserved = createChronicle({ redis, keys, wall, epoch: () => memory.expect('cancel', 0).epoch });
  const chronicle = observer ? observeChronicle(unobserved, observer) : unobserved;
  const gate = createGate(clock);
  const sweep = createSweep({ redis, keys, ledger, log, wall });
  const budget = createOperationBudget({
    ...deps.epoch,
    windows: deps.limits.windows,
    callTimeoutMs: deps.callTimeoutMs,
  });
  let stance: Stance | null = null;

  const signInHold = createSignInHold({
    signIn: deps.signIn,
    notices,
    clock,
    inTurn: deps.signInTurn,
    pauseLanes: () => lanes.pause(),
    resumeLanes: () => lanes.resume(),
    log,
    stopping: stopping.signal,
  });
  const execute = createExecutor({
    ...traceSteps(deps, tracing),
    clock,
    gate,
    chronicle,
    notices,
    random,
    onRecovered: () => void lanes.release().catch((err) => log.debug({ err }, 'release')),
    stopping: stopping.signal,
  });
  const lanes = createLanes({
    ...deps,
    clock,
    redis: deps.lanesRedis,
    chronicle,
    execute,
    signInFailed: apart(tracing, signInHold.enter),
    onJob: apart(tracing, (lane) => {
      if (!supplies.some((supply) => supply.lane === lane && supply.isDue())) return;
      feeder.feed().catch((err) => log.debug({ err }, 'feeding'));
    }),
    onEnded: (lane) => {
      failing.abort(
        new StanddownError(
          'INTERNAL',
          `processing of the queue ${lane} ended unexpectedly; restart the worker`,
        ),
      );
    },
    door: doorOf(deps.limits.windows),
    stopping: stopping.signal,
  });
  const supplies = (['urgent', 'bulk'] as const).map((slotClass) => {
    const lane = LANE_OF[slotClass];
    return createSupply({
      lane,
      queue: lanes.queueOf(lane),
      memory,
      windows: windowsFor(deps.limits, slotClass),
      notBefore: () => stance?.notBefore ?? null,
      monotonic: () => clock.monotonic(),
    });
  });
  const feeder = createFeeder({
    redis,
    keys,
    ledger,
    supplies,
    precheck: deps.precheck ? createPrecheck({ ...deps, budget }) : null,
    timings,
    monotonic: () => clock.monotonic(),
    log,
  });
  const verifier = deps.verify
    ? createVerifier({
        ...deps,
        reader: createReader({ ...deps, budget, random, signal: stopping.signal, onWait: () => undefined }),
        wall,
        stopping: stopping.signal,
      })
    : null;
  const inbox = createInbox({ ...deps, blocking: deps.inboxRedis, clock, wall });
  const heartbeat = createHeartbeat({
    epoch: { ...deps.epoch, self: { id: deps.self.id, facts: () => deps.self.facts(signInHold.trouble()) } },
    lanes,
    feeder,
    sweep,
    ledger,
    notices,
    verifier,
    onStance: (seen) => {
      // Whoever resumed something may have granted a permission before.
      if (stance && stance.steer !== seen.steer) deps.signIn.doubt();
      stance = seen;
      observer?.looked(memory.expect('cancel', 0).epoch);
    },
    onOutdated: (error) => failing.abort(error),
    retentionMs: deps.retentionMs,
    clock,
    timings,
    log,
  });

  let stopped: Promise<void> | null = null;
  return {
    failed: failing.signal,
    vitals: () => ({
      turnedAt: heartbeat.turnedAt(),
      seenAt: heartbeat.seenAt(),
      endedLanes: lanes.ended(),
      signIn: signInHold.trouble(),
      stopping: stopping.signal.aborted,
    }),
    start: () => {
      lanes.start();
      heartbeat.start();
      inbox.start();
      signInHold.start();
    },
    stop: () => {
      stopped ??= (async () => {
        // First, or a job that goes back would be taken again at once.
        await lanes.pause();
        stopping.abort(new Error('the worker is stopping'));
        await inbox.stop();
        await heartbeat.stop();
        await verifier?.stop();
        await lanes.stop();
        // Where Redis is away it will be missed soon enough.
        const left = deps.self.leave(redis, keys).catch((err) => log.debug({ err }, 'leaving'));
        await Promise.race([left, clock.sleep(LEAVING_MS)]);
      })();
      return stopped;
    },
  };
}

function observed(deps: ServiceDeps, observer: Observer): ServiceDeps {
  const client = observeClient(deps.client, observer, deps.clock.monotonic);
  return { ...deps, client, ledger: observeLedger(deps.ledger, observer) };
}

/** A worker that stops waits so long at most until Redis knows, in ms. */
const LEAVING_MS = 500;

/** BullMQ's limiter has one window: the first. */
function doorOf(windows: readonly Window[]): { max: number; duration: number } {
  const [first] = windows;
  if (!first) throw new TypeError('no windows');
  return { max: first.max, duration: first.lengthMs };
}
