import type { Clock } from '../base/clock.ts';
import { describeDuration } from '../base/duration.ts';
import { messageOf, StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Timings } from '../config/timings.ts';
import { type EpochContext, type Pulse, pulse, type Stance } from '../store/budget/epoch.ts';
import type { Progress, Sweep } from '../store/campaign/sweep.ts';
import type { Operation } from '../store/keys.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import { causeOf, isNotPermitted } from '../store/redis/failure.ts';
import type { Feeder } from './feeder.ts';
import type { Lanes } from './lanes.ts';
import type { Notices } from './notices.ts';
import { forgetGone } from './self.ts';
import type { Verifier } from './verifier.ts';

export interface HeartbeatDeps {
  epoch: EpochContext;
  lanes: Pick<Lanes, 'release' | 'promote'>;
  feeder: Feeder;
  sweep: Sweep;
  ledger: Ledger;
  notices: Notices;
  /** Null: campaigns are not verified by themselves. */
  verifier: Verifier | null;
  /** Told what stands at each look. */
  onStance(stance: Stance): void;
  /** A later version works with the data, which this one does not understand. */
  onOutdated(error: StanddownError): void;
  retentionMs: number;
  clock: Clock;
  timings: Timings;
  log: Logger;
}

/** Every so many beats single cancels and campaigns that are due are ended. */
const DUE_BEATS = 2;
/** Every so many beats campaigns that are drained are looked for, to verify them. */
const VERIFY_BEATS = 5;
/** Every so many beats old campaigns are forgotten and full buckets split: an hour. */
const TIDY_BEATS = 1_800;

/**
 * What a worker does at each beat (`pulseMs`), whether it has work or not: looks at the data's version, at the epoch and at what
 * others changed, feeds the campaigns' lane, ends what has to end.
 */
export function createHeartbeat(deps: HeartbeatDeps) {
  const { clock, log } = deps;
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let feeding: Promise<void> = Promise.resolve();
  let steer: string | null = null;
  let epoch = '';
  let trouble = '';
  let said = '';
  let seenAt: number | null = null;
  let turnedAt = clock.monotonic();
  // A worker that was killed may have left something.
  let ending: Progress = 'more';

  async function beat(count: number): Promise<void> {
    const operations = new Set<Operation>(['cancel', ...deps.epoch.memory.operations()]);
    const seen = await pulse(deps.epoch, [...operations]);
    seenAt = clock.monotonic();
    await follow(seen);
    // It may ask for lists, which take long: no other part waits for that.
    feeding = deps.feeder.feed().catch(complain);
    if (ending !== 'done') ending = await deps.sweep.endCampaigns();
    if (count % DUE_BEATS === 0) await deps.sweep.endDue();
    if (count % VERIFY_BEATS === 0) deps.verifier?.look();
    if (count % TIDY_BEATS === 0) {
      await deps.sweep.forgetOld(deps.retentionMs);
      await deps.ledger.tidy();
      await forgetGone(deps.epoch.redis, deps.epoch.keys);
    }
  }

  async function follow(seen: Pulse): Promise<void> {
    if (seen.kind === 'reopened') {
      const wait = describeDuration(deps.epoch.graceMs);
      if (seen.why === 'new' && epoch === '')
        log.info(`this tenant is new in this Redis: waiting ${wait} before the first call`);
      else if (seen.why === 'clock')
        log.warn('the clock of Redis was changed: the call history was adjusted');
      else
        log.warn(
          { why: seen.why },
          `Redis restarted, lost data or changed its clock: the call history was rebuilt, calls resume within ${wait}`,
        );
      return deps.lanes.release();
    }
    if (seen.kind === 'skipped') return;
    deps.onStance(seen);
    if (trouble !== '' && seen.trouble === '') {
      log.info({ trouble }, 'calls are no longer blocked');
      deps.notices.clear(trouble === 'upstream' ? 'upstream' : 'unauthorized');
      await deps.lanes.release();
    }
    if (trouble === '' && seen.trouble !== '')
      log.warn({ trouble: seen.trouble }, 'calls are blocked; retrying');
    trouble = seen.trouble;
    // Without its data Redis counts from the beginning again: the same number need not mean that nothing was aborted.
    const { epoch: current } = deps.epoch.memory.expect('cancel', 0);
    if (epoch !== current) {
      ending = 'more';
      // Also where a request noticed first: the lanes wait by Redis' clock, which may have been set back.
      if (epoch !== '') await deps.lanes.release();
    }
    epoch = current;
    if (steer !== null && steer !== seen.steer) {
      ending = 'more';
      await deps.lanes.promote();
    }
    steer = seen.steer;
  }

  /** That Redis is away its connection says. What it refuses is said once, with what to do: nothing goes on until then. */
  function complain(err: unknown): void {
    const what = isNotPermitted(err) ? causeOf(err) : '';
    if (what === '' || what === said) log.debug({ err }, 'heartbeat');
    else
      log.error(
        { err: messageOf(err), cause: what },
        'Redis refuses a command that this worker needs; no calls until that is fixed',
      );
    said = what;
  }

  async function run(): Promise<void> {
    for (let count = 0; !stop.signal.aborted; count++) {
      const isDone = await beat(count).then(
        () => true,
        (err) => {
          if (err instanceof StanddownError && err.code === 'DATA_NEWER') deps.onOutdated(err);
          complain(err);
          return false;
        },
      );
      turnedAt = clock.monotonic();
      // More to end: the others get a moment in between.
      const pauseMs = isDone && ending === 'more' ? 20 : deps.timings.pulseMs;
      await clock.sleep(pauseMs, stop.signal).catch(() => undefined);
    }
  }

  return {
    /** When Redis last answered; monotonic, in ms; null: not yet. */
    seenAt: () => seenAt,
    /** When the last beat came to its end, well or not; monotonic, in ms. */
    turnedAt: () => turnedAt,
    start: () => {
      running = run();
    },
    stop: async () => {
      stop.abort();
      await running;
      await feeding;
    },
  };
}
