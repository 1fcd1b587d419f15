import type { RedisClient } from '../../../src/store/script.ts';
import type { TestRedis } from '../../support/redis.ts';
import type { SimulatorProcess } from '../../support/simulator.ts';
import type { SetUp } from './set-up.ts';

/** What everybody in a cell is given. */
export interface Field {
  setUp: SetUp;
  redis: TestRedis;
  client: RedisClient;
  simulator: SimulatorProcess;
  ids: readonly string[];
}

/** Somebody who cancels all the ids within the limits. */
export interface Contender {
  name: string;
  version: string;
  /** Whether several processes of it can share one quota. */
  shares: boolean;
  /** Starts its processes; they are ready, and do not know the ids. */
  start(field: Field): Promise<Crew>;
}

export interface Crew {
  /** Hands the ids over. */
  go(): Promise<void>;
  /** Rejects while something is left that it would still do. */
  untilIdle(): Promise<void>;
  /** Ends the first process with SIGKILL, and does what a service manager would: starts what finds its work in Redis again. */
  kill(): Promise<void>;
  /** What its processes wrote on standard error. */
  said(): string;
  close(): Promise<void>;
}
