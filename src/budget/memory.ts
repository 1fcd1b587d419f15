import type { Operation } from '../keys.ts';

/** What a script is told, so that it can refuse before it takes anything. Times in ms of Redis' clock. */
export interface Expectation {
  run: string;
  /** Empty before the first look. */
  epoch: string;
  seq: number;
  /** What Redis' clock should show now; 0 before the first look. */
  time: number;
  /** Changes since this time are wanted; 0 for all. */
  seen: number;
}

/** What a script answers about the slots. */
export interface Sighting {
  /** Redis' clock in ms. */
  now: number;
  epoch: string;
  seq: number;
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

export interface Memory {
  /** The run id of the Redis process this worker is connected to. */
  connected(run: string): void;
  expect(operation: Operation, monotonic: number): Expectation;
  /**
   * Takes in an answer. `sentAt` and `receivedAt` are monotonic.
   *
   * @returns by how many ms Redis' clock has jumped since the last answer; 0 when it ran on.
   */
  learn(operation: Operation, sighting: Sighting, sentAt: number, receivedAt: number): number;
  /** Compares clocks only; for an answer that says nothing about slots. Returns as `learn` does. */
  compare(now: number, sentAt: number, receivedAt: number): number;
  /** Another epoch holds from slot number `seq` on; what is remembered stays. */
  entered(epoch: string, seq: number): void;
  took(operation: Operation, slot: string, untilMs: number): void;
  settled(operation: Operation, slot: string, monotonic: number): void;
  returned(operation: Operation, slot: string): void;
  remembered(operation: Operation): Remembered[];
  /** Stamps of all known slots on the monotonic clock, ascending. */
  stamps(operation: Operation): number[];
  /** What Redis' clock shows at a monotonic time, or null before the first look. */
  redisTime(monotonic: number): number | null;
  /** Operations of which slots are remembered. */
  operations(): Operation[];
}

interface Entry {
  /** Monotonic ms; in flight: the time up to which it may still be counted. */
  at: number;
  inFlight: boolean;
  own: boolean;
}

/** How much faster or slower one clock may run than the other: twice what NTP slews at most. */
const DRIFT = 0.001;
/** What two readings of a steady clock may differ by beyond that, in ms. */
const JITTER_MS = 5;

/**
 * Each worker's own memory of the slots of the last hour, in monotonic time: its own, and the others' from what Redis
 * returns. Redis is the truth while it is whole; this is what is put back when it is not, or when its clock jumped.
 *
 * @param options.keepMs how long a slot can matter: the longest window.
 */
export function createMemory(options: { keepMs: number }): Memory {
  const slots = new Map<Operation, Map<string, Entry>>();
  const seen = new Map<Operation, number>();
  let run = '';
  let epoch = '';
  let seq = 0;
  /** Redis' clock minus the monotonic one lies between these, as read at `readAt`. */
  let offset: { low: number; high: number; readAt: number } | null = null;

  const of = (operation: Operation): Map<string, Entry> => {
    const known = slots.get(operation) ?? new Map<string, Entry>();
    slots.set(operation, known);
    return known;
  };

  function compareClocks(now: number, sentAt: number, receivedAt: number): number {
    const read = { low: now - receivedAt, high: now - sentAt, readAt: receivedAt };
    if (!offset) {
      offset = read;
      return 0;
    }
    const slack = DRIFT * Math.max(0, receivedAt - offset.readAt);
    const low = Math.max(read.low, offset.low - slack);
    const high = Math.min(read.high, offset.high + slack);
    if (low - high > JITTER_MS) {
      const jump = middle(read) - middle(offset);
      offset = read;
      return jump;
    }
    // Readings that miss each other by less than the jitter: the newer one is as good.
    offset = low <= high ? { low, high, readAt: receivedAt } : read;
    return 0;
  }

  function takeIn(operation: Operation, sighting: Sighting, mid: number): void {
    const known = of(operation);
    const present = new Set<string>();
    for (const [slot, stamp] of sighting.slots) {
      present.add(slot);
      const entry = known.get(slot);
      if (entry?.own) continue;
      known.set(slot, { at: stamp - mid, inFlight: stamp > sighting.now, own: false });
    }
    const horizon = sighting.now - mid - options.keepMs;
    for (const [slot, entry] of known) {
      const givenBack = entry.inFlight && !entry.own && !present.has(slot) && entry.at > sighting.now - mid;
      if (entry.at < horizon || givenBack) known.delete(slot);
    }
  }

  return {
    connected: (id) => {
      run = id;
    },
    expect: (operation, monotonic) => ({
      run,
      epoch,
      seq,
      time: offset ? monotonic + middle(offset) : 0,
      seen: seen.get(operation) ?? 0,
    }),
    learn: (operation, sighting, sentAt, receivedAt) => {
      const jump = compareClocks(sighting.now, sentAt, receivedAt);
      if (jump !== 0 || !offset) return jump;
      epoch = sighting.epoch;
      seq = Math.max(seq, sighting.seq);
      takeIn(operation, sighting, middle(offset));
      seen.set(operation, sighting.now);
      return 0;
    },
    compare: compareClocks,
    entered: (next, number) => {
      epoch = next;
      seq = number;
      seen.clear();
    },
    took: (operation, slot, untilMs) => {
      if (offset) of(operation).set(slot, { at: untilMs - middle(offset), inFlight: true, own: true });
    },
    settled: (operation, slot, monotonic) => {
      const entry = of(operation).get(slot);
      if (entry) of(operation).set(slot, { at: Math.min(entry.at, monotonic), inFlight: false, own: true });
    },
    returned: (operation, slot) => {
      of(operation).delete(slot);
    },
    remembered: (operation) => {
      const known = offset;
      if (!known) return [];
      return [...of(operation)].map(([slot, entry]) => ({
        slot,
        stamp: entry.at + known.high,
        own: entry.own,
      }));
    },
    stamps: (operation) => [...of(operation).values()].map((entry) => entry.at).sort((a, b) => a - b),
    redisTime: (monotonic) => (offset ? monotonic + middle(offset) : null),
    operations: () => [...slots.keys()].filter((operation) => of(operation).size > 0),
  };
}

function middle(bounds: { low: number; high: number }): number {
  return (bounds.low + bounds.high) / 2;
}
