import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Timings } from '../../config/timings.ts';
import { isCommandRefused } from '../../store/redis/failure.ts';
import type { RedisClient } from '../../store/script.ts';
import { isAhead, lowerLastId } from './ahead.ts';
import type { InboxEntry } from './entry.ts';
import { createIntake, type IntakeDeps } from './intake.ts';
import { createInboxStream } from './stream.ts';

export interface InboxDeps extends IntakeDeps {
  /** A connection for what blocks and for nothing else, in the role of a worker. */
  blocking: RedisClient;
  clock: Clock;
  timings: Timings;
}

/** While more single cancels than this wait in their lane, others stay in the inbox, where they cost a tenth. */
const MOST_WAITING = 1_000;

/** How often the lane is looked at then, in ms, unless something new comes. */
const FULL_MS = 1_000;

/** After a failure. */
const PAUSE_MS = 1_000;

/** Takes in what services without BullMQ put into the inbox. Any number of workers may do so at once. */
export function createInbox(deps: InboxDeps) {
  const { redis, keys, clock, timings, wall, log } = deps;
  const stop = new AbortController();
  const stream = createInboxStream(deps);
  const intake = createIntake(deps);
  let running: Promise<void> = Promise.resolve();
  let isReady = false;
  let claimedAt = Number.NEGATIVE_INFINITY;
  let said = '';

  async function turn(): Promise<void> {
    if (!isReady) await stream.prepare();
    isReady = true;
    if (clock.monotonic() - claimedAt >= timings.inboxClaimMs) {
      await claimAll();
      await keepInOrder();
    }
    if ((await redis.llen(keys.lane('cancel', 'wait'))) > MOST_WAITING) {
      await takeIn(await stream.peek(FULL_MS), true);
    } else {
      await takeIn(await stream.read(timings.inboxBlockMs));
    }
    said = '';
  }

  /** What fails is looked at again, also while the lane is full. */
  async function takeIn(entries: readonly InboxEntry[], onlyPressing = false): Promise<void> {
    await intake.take(entries, onlyPressing);
    // What is ahead of the clock is no place to look on from: what comes next may be before it.
    const inOrder = entries.filter(({ id }) => !isAhead(id, wall()));
    stream.passed(inOrder);
    if (inOrder.length < entries.length) await keepInOrder();
  }

  /** Takes in what its service numbered far ahead, also while the lane is full: until then others may add nothing. */
  async function keepInOrder(): Promise<void> {
    let order = await lowerLastId(deps);
    while (order.ahead !== null && !stop.signal.aborted) {
      await intake.take(await stream.from(order.ahead));
      order = await lowerLastId(deps);
    }
    if (order.lowered)
      log.warn('reset the last id of the inbox: a service had added an entry with an id far in the future');
  }

  /** Before anything else, also when the lane is full: they have waited for long. */
  async function claimAll(): Promise<void> {
    for await (const entries of stream.claim()) {
      if (entries.length === 0) continue;
      log.info({ entries: entries.length }, 'took over inbox entries from a worker that stopped responding');
      await intake.take(entries);
    }
    claimedAt = clock.monotonic();
  }

  async function recover(error: unknown): Promise<void> {
    if (stop.signal.aborted) return;
    // Without its data Redis has no group either; making one that is there changes nothing.
    isReady = false;
    const what = messageOf(error);
    // A refusal ends the worker, which says so once.
    if (what !== said && !isCommandRefused(error)) log.warn({ err: what }, 'cannot read the inbox; retrying');
    said = what;
    await clock.sleep(PAUSE_MS, stop.signal).catch(() => undefined);
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) await turn().catch(recover);
  }

  return {
    start: () => {
      running = run();
    },
    /** Takes in what it has read; what it has not stays for others. */
    stop: async () => {
      stop.abort();
      stream.close();
      await running;
    },
  };
}
