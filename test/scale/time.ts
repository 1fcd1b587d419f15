import type { Clock } from '../../src/base/clock.ts';

/** Simulated time: what is to happen, in order. Between two events nothing passes. */
export interface Timeline {
  /** Ms since 1970, in whole microseconds. */
  now(): number;
  /**
   * Lets something happen in so many ms. Whatever it waits for in the real world, time waits for it: no other event begins
   * before. Of two at the same time the one that was asked for first comes first.
   *
   * @returns what calls it off.
   */
  after(ms: number, happen: () => unknown): () => void;
  /** Goes on until nothing is left to happen. */
  run(): Promise<void>;
}

interface Event {
  at: number;
  order: number;
  happen: (() => unknown) | null;
}

export function createTimeline(start: number): Timeline {
  const queue: Event[] = [];
  let now = start;
  let orders = 0;
  return {
    now: () => now,
    after: (ms, happen) => {
      const event: Event = {
        at: Math.round((now + Math.max(0, ms)) * 1_000) / 1_000,
        order: orders++,
        happen,
      };
      push(queue, event);
      return () => {
        event.happen = null;
      };
    },
    run: async () => {
      for (let event = pop(queue); event; event = pop(queue)) {
        if (!event.happen) continue;
        now = event.at;
        await event.happen();
        // What follows from it in promises happens at the same time: Node gets to this when none of them is left to run.
        await new Promise((resolve) => process.nextTick(resolve));
      }
    },
  };
}

/** Something that can end without notice: nothing that it waits for reaches it then. */
export interface Life {
  isAlive: boolean;
  /** Its machine is suspended until then, ms since 1970. */
  asleepUntil: number;
  /** For how long it was, in ms. */
  sleptMs: number;
}

export function newLife(): Life {
  return { isAlive: true, asleepUntil: 0, sleptMs: 0 };
}

/** The machine is suspended from now on: nothing of this life happens before it wakes. */
export function suspend(timeline: Timeline, life: Life, ms: number): void {
  const now = timeline.now();
  if (life.asleepUntil > now) return;
  // In whole ms: the timeline's times are rounded.
  life.asleepUntil = Math.ceil(now + ms);
  life.sleptMs += life.asleepUntil - now;
}

/** What reaches a process that sleeps reaches it when it wakes; a dead one never. */
export function reach(timeline: Timeline, life: Life, happen: () => void): void {
  const leftMs = life.asleepUntil - timeline.now();
  if (leftMs > 0) timeline.after(leftMs, () => reach(timeline, life, happen));
  else if (life.isAlive) happen();
}

/** A process' clocks. `rate`: how much faster its monotonic one runs than Redis'; `skewMs`: how far its wall clock is off. */
export function createSimulatedClock(
  timeline: Timeline,
  life: Life,
  { rate, skewMs }: { rate: number; skewMs: number },
): Clock {
  const bornAt = timeline.now();
  return {
    wall: () => Math.floor(timeline.now() + skewMs),
    monotonic: () => (timeline.now() - bornAt - life.sleptMs) * rate,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          callOff();
          reject(signal?.reason);
        };
        const callOff = timeline.after(Math.ceil(ms) / rate, () => {
          signal?.removeEventListener('abort', onAbort);
          reach(timeline, life, resolve);
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
  };
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A binary heap: the next event comes first. */
function push(queue: Event[], event: Event): void {
  let at = queue.push(event) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = queue[above] as Event;
    if (isBefore(parent, event)) break;
    queue[at] = parent;
    at = above;
  }
  queue[at] = event;
}

function pop(queue: Event[]): Event | undefined {
  const [first] = queue;
  const last = queue.pop();
  if (last && queue.length > 0) sink(queue, last);
  return first;
}

/** Puts one in place of the first. */
function sink(queue: Event[], event: Event): void {
  let at = 0;
  for (let below = 1; below < queue.length; below = 2 * at + 1) {
    const right = below + 1;
    if (right < queue.length && isBefore(queue[right] as Event, queue[below] as Event)) below = right;
    const child = queue[below] as Event;
    if (isBefore(event, child)) break;
    queue[at] = child;
    at = below;
  }
  queue[at] = event;
}
