import type { SleepSigns } from '../../base/clock.ts';
import { lengthen } from '../../config/limits.ts';
import type { Operation } from '../keys.ts';
import { TIME_TOLERANCE_MS } from './guard.ts';

/** What a script is told, so that it can refuse before it takes anything. Times in ms of Redis' clock. */
export interface Expectation {
  /** Empty before the first look. */
  epoch: string;
  seq: number;
  /** What Redis' clock should show now; 0 before the first look, and while it may have jumped just before that. */
  time: number;
  /** How far it may be from that, in ms. */
  tolerance: number;
  /** Changes since this time are wanted; 0 for all. */
  seen: number;
}

/** What a script answers about the slots. */
export interface Sighting {
  /** Redis' clock in ms. */
  now: number;
  epoch: string;
  seq: number;
  /** When a worker last found that Redis' clock ran on, in ms of it; 0: never. Default: 0. */
  steady?: number;
  /** Slot number and stamp (ms of Redis' clock; in flight: still to come) of all that changed since `seen`. */
  slots: readonly (readonly [slot: string, stamp: number])[];
}

/** A slot to put back after a loss: `own` ones are known exactly, others' only as last seen. */
export interface Remembered {
  slot: string;
  /** Ms of Redis' clock. */
  stamp: number;
  own: boolean;
}

/** Redis' clock did not run on as this worker's monotonic one did. */
export interface Jump {
  /** By how many ms at least and at most; negative: it was set back. */
  least: number;
  most: number;
  /**
   * `redis`: Redis' clock jumped. `suspended`: this machine slept for as long, says its system. `perhaps`: its wall clock agrees with Redis'.
   * Then either it slept, or Redis runs on the same machine, whose clock was set.
   */
  cause: 'redis' | 'suspended' | 'perhaps';
}

export interface Memory {
  /** Keeps slots for at least so many ms: a window has become longer. */
  keepFor(ms: number): void;
  expect(operation: Operation, monotonic: number): Expectation;
  /**
   * The slot number at which nothing of the operation can have changed since it was last looked at, because nothing is
   * in flight; null: it can have. Goes through all that is remembered.
   */
  quietAt(operation: Operation, monotonic: number): number | null;
  /**
   * Takes in an answer. `sentAt` and `receivedAt` are monotonic.
   *
   * @returns by how many ms, at most, Redis' clock has jumped since the last answer; 0 when it ran on.
   */
  learn(operation: Operation, sighting: Sighting, sentAt: number, receivedAt: number): number;
  /** Compares clocks only; for an answer that says nothing about slots. Returns as `learn` does. */
  compare(now: number, sentAt: number, receivedAt: number): number;
  /** How many jumps were seen so far. */
  jumps(): number;
  /** The last jump that was seen. */
  lastJump(): Jump | null;
  /** That jump was this machine's own sleep: what is remembered from before is older than the monotonic clock says. */
  slept(): void;
  /** What a round trip to Redis takes, in ms: the longest of late, up to 5 s. */
  roundTripMs(): number;
  /** Whether a call of its own is in flight, or was lost and may still arrive. */
  isCalling(monotonic: number): boolean;
  /** Another epoch holds from slot number `seq` on; what is remembered stays. */
  entered(epoch: string, seq: number): void;
  /** `takenAt` is monotonic. */
  took(operation: Operation, slot: string, untilMs: number, takenAt: number): void;
  settled(operation: Operation, slot: string, monotonic: number): void;
  returned(operation: Operation, slot: string): void;
  remembered(operation: Operation): Remembered[];
  /** Stamps of all known slots on the monotonic clock, ascending. */
  stamps(operation: Operation): number[];
  /** What a call takes from slot to answer, in ms: a moving mean of this worker's own; null before the first. */
  latencyMs(operation: Operation): number | null;
  /** What Redis' clock shows at a monotonic time, or null before the first look. */
  redisTime(monotonic: number): number | null;
  /** Operations of which slots are remembered. */
  operations(): Operation[];
}

interface Entry {
  /** Monotonic ms; in flight: the time up to which it may still be counted. */
  at: number;
  own: boolean;
  /** Monotonic ms; only of own ones in flight. */
  takenAt?: number;
}

interface Slots {
  /** By slot, in about the order of their stamps. */
  known: Map<string, Entry>;
  othersInFlight: Set<string>;
  latencyMs: number | null;
}

/** How much faster or slower one clock may run than the other: twice what NTP slews at most. */
const DRIFT = 0.001;
/** What two readings of a steady clock may differ by beyond that, in ms. */
const JITTER_MS = 5;
/** What is shorter is taken as a step of Redis' clock: no other clock, and no other worker's look, tells it for certain. In ms. */
const SHORTEST_SLEEP_MS = 2 * TIME_TOLERANCE_MS;
/** A sleep and what another clock says of it may differ by so much, in ms. */
const SLEEP_TOLERANCE_MS = 500;
/** A Redis that takes longer to answer is in trouble, and not just far away. In ms. */
const MOST_ROUND_TRIP_MS = 5_000;

/**
 * Each worker's own memory of the slots of the last hour, in monotonic time: its own, and the others' from what Redis
 * returns. Redis is the truth while it is whole; this is what is put back when it is not, or when its clock jumped.
 *
 * @param options.keepMs how long a slot can matter: the longest window.
 * @param options.graceMs by then a worker that lives has looked.
 * @param options.signs without them each jump is taken as one of Redis' clock.
 */
export function createMemory(options: { keepMs: number; graceMs: number; signs?: SleepSigns }): Memory {
  const { signs, graceMs } = options;
  let keepMs = lengthen(options.keepMs);
  const operations = new Map<Operation, Slots>();
  const seen = new Map<Operation, Pick<Sighting, 'now' | 'seq'>>();
  let epoch = '';
  let seq = 0;
  let jumps = 0;
  let lastJump: Jump | null = null;
  /** What was remembered when it came. */
  let fromBefore: Entry[] = [];
  let roundTripMs = 0;
  let suspendedMs = signs?.suspendedMs() ?? 0;
  /** How far the wall clock is ahead of the monotonic one. */
  let wallAheadMs = 0;
  /** Redis' clock minus the monotonic one lies between these, as read at `readAt`. */
  let offset: { low: number; high: number; readAt: number } | null = null;

  /** When it first looked: on Redis' clock, and on the monotonic one. */
  let first: { now: number; at: number } | null = null;
  /** Whether the slots are known to have been moved with Redis' clock, should that have jumped before the first look. */
  let isSure = false;

  const of = (operation: Operation): Slots => {
    const slots = operations.get(operation) ?? {
      known: new Map(),
      othersInFlight: new Set(),
      latencyMs: null,
    };
    operations.set(operation, slots);
    return slots;
  };

  function compareClocks(now: number, sentAt: number, receivedAt: number): number {
    const read = { low: now - receivedAt, high: now - sentAt, readAt: receivedAt };
    roundTripMs = Math.min(MOST_ROUND_TRIP_MS, Math.max(receivedAt - sentAt, 0.75 * roundTripMs));
    const aheadBefore = wallAheadMs;
    if (signs) wallAheadMs = signs.wall() - receivedAt;
    if (!offset) {
      offset = read;
      return 0;
    }
    const slack = DRIFT * Math.max(0, receivedAt - offset.readAt);
    const low = Math.max(read.low, offset.low - slack);
    const high = Math.min(read.high, offset.high + slack);
    if (low - high > JITTER_MS) {
      const least = read.low - offset.high;
      const most = read.high - offset.low;
      lastJump = { least, most, cause: causeOf(least, most, wallAheadMs - aheadBefore) };
      fromBefore = stampedUpTo(offset.readAt);
      offset = read;
      jumps++;
      return most;
    }
    // Readings that miss each other by less than the jitter: the newer one is as good.
    offset = low <= high ? { low, high, readAt: receivedAt } : read;
    return 0;
  }

  /**
   * Who is wrong, Redis' clock or this worker's monotonic one, which only stands still. Where the wall clock agrees with neither, both may
   * have jumped: then it is taken as Redis', since stamps that are moved too far only wait longer.
   */
  function causeOf(least: number, most: number, wallJump: number): Jump['cause'] {
    if (!signs) return 'redis';
    const before = suspendedMs;
    suspendedMs = signs.suspendedMs();
    const explains = (ms: number) => ms >= least - SLEEP_TOLERANCE_MS && ms <= most + SLEEP_TOLERANCE_MS;
    if (least < SHORTEST_SLEEP_MS) return 'redis';
    if (explains(suspendedMs - before)) return 'suspended';
    return explains(wallJump) ? 'perhaps' : 'redis';
  }

  /**
   * What had its stamp by then, and what others have in flight. What was settled since may have been so before a sleep or after it, and an
   * own call that was in flight went on after it, for as long as this clock says: better too late.
   */
  function stampedUpTo(monotonic: number): Entry[] {
    return [...operations.values()].flatMap(({ known, othersInFlight }) =>
      [...known]
        .filter(([slot, { at }]) => at <= monotonic || othersInFlight.has(slot))
        .map(([, entry]) => entry),
    );
  }

  function takeIn(operation: Operation, sighting: Sighting, mid: number): void {
    const { known, othersInFlight } = of(operation);
    const present = new Set<string>();
    for (const [slot, stamp] of sighting.slots) {
      present.add(slot);
      if (known.get(slot)?.own) continue;
      put(operation, slot, { at: stamp - mid, own: false });
      if (stamp > sighting.now) othersInFlight.add(slot);
      else othersInFlight.delete(slot);
    }
    // What was in flight and is not shown any more was given back, unless its time is simply over.
    for (const slot of othersInFlight) {
      if (present.has(slot)) continue;
      othersInFlight.delete(slot);
      const entry = known.get(slot);
      if (entry && entry.at > sighting.now - mid) known.delete(slot);
    }
    prune(known, sighting.now - mid - keepMs);
  }

  /** Somebody else has looked since it first did, or nobody is there who could. */
  function makeSure({ now, steady = 0 }: Sighting, at: number): void {
    first ??= { now, at };
    isSure ||= steady === 0 || (steady >= first.now && steady <= now) || at - first.at >= graceMs;
  }

  /** Newly known stamps go to the end, so that the oldest are found at the beginning. */
  function put(operation: Operation, slot: string, entry: Entry): void {
    const { known } = of(operation);
    known.delete(slot);
    known.set(slot, entry);
  }

  function isQuiet(operation: Operation, monotonic: number): boolean {
    const { known, othersInFlight } = of(operation);
    if (othersInFlight.size > 0) return false;
    for (const entry of known.values()) if (entry.at > monotonic) return false;
    return true;
  }

  return {
    keepFor: (ms) => {
      keepMs = Math.max(keepMs, lengthen(ms));
    },
    expect: (operation, monotonic) => ({
      epoch,
      seq,
      time: offset && isSure ? monotonic + middle(offset) : 0,
      tolerance: TIME_TOLERANCE_MS + roundTripMs,
      seen: seen.get(operation)?.now ?? 0,
    }),
    quietAt: (operation, monotonic) =>
      isQuiet(operation, monotonic) ? (seen.get(operation)?.seq ?? null) : null,
    learn: (operation, sighting, sentAt, receivedAt) => {
      const jump = compareClocks(sighting.now, sentAt, receivedAt);
      if (jump !== 0 || !offset) return jump;
      epoch = sighting.epoch;
      seq = Math.max(seq, sighting.seq);
      takeIn(operation, sighting, middle(offset));
      makeSure(sighting, receivedAt);
      seen.set(operation, { now: sighting.now, seq: sighting.seq });
      return 0;
    },
    compare: compareClocks,
    jumps: () => jumps,
    lastJump: () => lastJump,
    slept: () => {
      for (const entry of fromBefore) entry.at -= lastJump?.least ?? 0;
      fromBefore = [];
    },
    roundTripMs: () => roundTripMs,
    isCalling: (monotonic) =>
      [...operations.values()].some(({ known }) =>
        [...known.values()].some(({ at, takenAt }) => takenAt !== undefined && at > monotonic),
      ),
    entered: (next, number) => {
      epoch = next;
      seq = number;
      seen.clear();
    },
    took: (operation, slot, untilMs, takenAt) => {
      if (!offset) return;
      put(operation, slot, { at: untilMs - middle(offset), own: true, takenAt });
      // The answer that granted it showed it, too.
      of(operation).othersInFlight.delete(slot);
    },
    settled: (operation, slot, monotonic) => {
      const slots = of(operation);
      const entry = slots.known.get(slot);
      if (!entry) return;
      if (entry.takenAt !== undefined) slots.latencyMs = blend(slots.latencyMs, monotonic - entry.takenAt);
      put(operation, slot, { at: Math.min(entry.at, monotonic), own: true });
    },
    returned: (operation, slot) => {
      of(operation).known.delete(slot);
    },
    remembered: (operation) => {
      const known = offset;
      if (!known) return [];
      return [...of(operation).known].map(([slot, entry]) => ({
        slot,
        stamp: entry.at + known.high,
        own: entry.own,
      }));
    },
    stamps: (operation) => [...of(operation).known.values()].map((entry) => entry.at).sort((a, b) => a - b),
    latencyMs: (operation) => of(operation).latencyMs,
    redisTime: (monotonic) => (offset ? monotonic + middle(offset) : null),
    operations: () => [...operations.keys()].filter((operation) => of(operation).known.size > 0),
  };
}

/** Follows a change within some ten calls. */
function blend(mean: number | null, next: number): number {
  return mean === null ? next : mean + (next - mean) / 8;
}

function prune(known: Map<string, Entry>, horizon: number): void {
  for (const [slot, entry] of known) {
    if (entry.at >= horizon) return;
    known.delete(slot);
  }
}

function middle(bounds: { low: number; high: number }): number {
  return (bounds.low + bounds.high) / 2;
}
