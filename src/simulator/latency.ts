import type { Clock } from '../base/clock.ts';
import type { Random } from './random.ts';

export interface LatencyOptions {
  /** How long each call of the API takes, spread evenly. Default none. */
  latencyMs?: { min: number; max: number };
  /** The share of calls, 0 to 1, that take `slowMs` instead. Default 0. */
  slowShare?: number;
  /** Default 1,000. */
  slowMs?: number;
}

export interface LatencyDeps extends LatencyOptions {
  random: Random;
  clock: Clock;
  /** Ends every wait when the simulator stops. */
  signal: AbortSignal;
}

/** Waits as long as a call takes; null where it takes no time, so that nothing is awaited in vain. */
export type Latency = () => Promise<void> | null;

export function createLatency(deps: LatencyDeps): Latency {
  const { random, clock, signal, slowShare = 0, slowMs = 1_000 } = deps;
  const { min, max } = deps.latencyMs ?? { min: 0, max: 0 };
  return () => {
    const ms = slowShare > 0 && random() < slowShare ? slowMs : min + random() * (max - min);
    return ms > 0 ? clock.sleep(ms, signal) : null;
  };
}
