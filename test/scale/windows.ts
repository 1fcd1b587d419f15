/** `max` calls at most in any `lengthMs`, both ends included: the strictest reading. */
export interface ServerWindow {
  max: number;
  lengthMs: number;
}

/**
 * How a strict server counts: by arrival, in every window that could be laid. Written apart from the budget, so that two
 * check each other.
 */
export class WindowCount {
  readonly #window: ServerWindow;
  /** The last `max` arrivals, in a ring. */
  readonly #arrivals: Float64Array;
  #count = 0;

  constructor(window: ServerWindow) {
    this.#window = window;
    this.#arrivals = new Float64Array(window.max);
  }

  /** From when on one more is within the limit, in ms. */
  freeFrom(): number {
    const { max, lengthMs } = this.#window;
    if (this.#count < max) return Number.NEGATIVE_INFINITY;
    // In whole microseconds, as all times here: the first one at which the oldest is outside.
    return (this.#arrivals[this.#count % max] as number) + lengthMs + 0.001;
  }

  count(at: number): void {
    this.#arrivals[this.#count % this.#window.max] = at;
    this.#count++;
  }
}

/** Several windows that hold at once. */
export class Quota {
  readonly #counts: WindowCount[];

  constructor(windows: readonly ServerWindow[]) {
    this.#counts = windows.map((window) => new WindowCount(window));
  }

  freeFrom(): number {
    return Math.max(...this.#counts.map((count) => count.freeFrom()));
  }

  count(at: number): void {
    for (const window of this.#counts) window.count(at);
  }
}

/** When no call can succeed, or somebody else's call took a place. */
export interface Circumstance {
  outages: readonly { from: number; to: number }[];
  /** Arrivals of others, ascending. */
  others: readonly number[];
}

/**
 * When calls could have arrived at the earliest by one who knows everything: each as soon as the windows, what others took and
 * the outages allow.
 */
export class Ideal {
  readonly #quota: Quota;
  readonly #circumstance: Circumstance;
  #at: number;
  #other = 0;

  constructor(windows: readonly ServerWindow[], from: number, circumstance: Circumstance) {
    this.#quota = new Quota(windows);
    this.#circumstance = circumstance;
    this.#at = from;
  }

  /** When the next call arrives. */
  next(): number {
    for (;;) {
      const at = this.#outside(Math.max(this.#at, this.#quota.freeFrom()));
      const other = this.#circumstance.others[this.#other];
      if (other === undefined || other > at) {
        this.#at = at;
        this.#quota.count(at);
        return at;
      }
      this.#other++;
      this.#quota.count(other);
    }
  }

  #outside(at: number): number {
    let free = at;
    for (const { from, to } of this.#circumstance.outages) if (free >= from && free < to) free = to;
    return free;
  }
}
