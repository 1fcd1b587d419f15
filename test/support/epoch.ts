import { systemClock } from '../../src/base/clock.ts';
import { longestMs } from '../../src/config/limits.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import type { EpochContext } from '../../src/store/budget/epoch.ts';
import { createMemory, type Memory } from '../../src/store/budget/memory.ts';
import { createLedger, type Ledger } from '../../src/store/ledger/ledger.ts';
import { createProbe, type Probe } from './ledger.ts';
import type { TestTenant } from './tenant.ts';

/** What one worker process has of its own: memory and clocks that can be moved. */
export interface TestWorker {
  memory: Memory;
  /** The longest that an answer of Redis has taken so far, in ms: by as much two clocks may be misjudged. */
  slowestMs(): number;
  ledger: Ledger;
  context: EpochContext;
  probe: Probe;
  /** Moves both of this worker's clocks: the same as Redis' clock jumping the other way. */
  shiftClock(ms: number): void;
  /** Its machine has been suspended for so long: its monotonic clock stood still. `told`: its system says so. */
  sleep(ms: number, told?: boolean): void;
  /** Its machine's wall clock is set. */
  setWall(ms: number): void;
}

export function newWorker(tenant: TestTenant, graceMs: number): TestWorker {
  const { redis, keys } = tenant;
  const { limits, callTimeoutMs, maxAttempts } = tenant.config;
  let shifted = 0;
  let set = 0;
  let slept = 0;
  let suspendedMs = 0;
  const wall = () => systemClock.wall() + shifted + set;
  const signs = { wall, suspendedMs: () => suspendedMs };
  const inner = createMemory({ keepMs: longestMs(limits.windows), signs, graceMs });
  let slowestMs = 0;
  const memory: Memory = {
    ...inner,
    learn: (operation, sighting, sentAt, receivedAt) => {
      slowestMs = Math.max(slowestMs, receivedAt - sentAt);
      return inner.learn(operation, sighting, sentAt, receivedAt);
    },
    compare: (now, sentAt, receivedAt) => {
      slowestMs = Math.max(slowestMs, receivedAt - sentAt);
      return inner.compare(now, sentAt, receivedAt);
    },
  };
  const context: EpochContext = {
    redis,
    keys,
    memory,
    graceMs,
    timings: TIMINGS,
    monotonic: () => systemClock.monotonic() + shifted - slept,
    wall,
  };
  const inside = createLedger({ ...context, settings: { limits, callTimeoutMs, maxAttempts } });
  const ledger: Ledger = {
    ...inside,
    // A slot is noted when the answer to its call came, and in Redis when this has got there.
    finish: async (ask) => {
      const sentAt = systemClock.monotonic();
      const finished = await inside.finish(ask);
      slowestMs = Math.max(slowestMs, systemClock.monotonic() - sentAt);
      return finished;
    },
  };
  return {
    memory,
    slowestMs: () => slowestMs,
    ledger,
    context,
    probe: createProbe({ ...tenant, memory, ledger }),
    shiftClock: (ms) => {
      shifted += ms;
    },
    sleep: (ms, told = false) => {
      slept += ms;
      if (told) suspendedMs += ms;
    },
    setWall: (ms) => {
      set += ms;
    },
  };
}
