import { formatWindows, type Window } from '../budget/windows.ts';
import type { NewCampaign } from '../campaign/registry.ts';
import { systemClock } from '../clock.ts';
import { guidToBytes } from '../guid.ts';
import { DEMO_MIX, type FaultRule, makeActions, type Simulator, startSimulator } from '../simulator/index.ts';
import { settingsFor } from './simulate.ts';

/** How much shorter the demo's windows are. */
const SPEED = 6;

/** The documented limits, and what is kept of each, as by default. */
const REAL: readonly Window[] = [
  { max: 100, lengthMs: 60_000 },
  { max: 1_500, lengthMs: 3_600_000 },
];
const RESERVES = [10, 30];

/** A made-up tenant in trouble. */
export interface DemoWorld {
  simulator: Simulator;
  /** How many times the windows are shortened. */
  speed: number;
  windows: readonly Window[];
  limits: string;
  /** The worker's environment, but for Redis. */
  settings: Record<string, string>;
  campaign: NewCampaign;
  ids(): AsyncGenerator<Buffer>;
  /** Monotonic ms. */
  startedAt: number;
}

export interface DemoWorldOptions {
  dir: string;
  actions: number;
  realTime: boolean;
}

export async function createDemoWorld({ dir, actions, realTime }: DemoWorldOptions): Promise<DemoWorld> {
  const speed = realTime ? 1 : SPEED;
  const windows = REAL.map(({ max, lengthMs }) => ({ max, lengthMs: lengthMs / speed }));
  const limits = formatWindows(windows);
  const now = Date.now();
  const made = makeActions({ count: actions, seed: now, mix: DEMO_MIX, nowMs: now });
  const quotas = windows.map(({ max, lengthMs }) => ({ max, windowMs: lengthMs }));
  const simulator = await startSimulator({
    dir,
    limits: { cancel: quotas, get: quotas, list: quotas },
    latencyMs: { min: 20, max: 80 },
    faults: [...made.faults, ...mishaps(made.ids, made.forbiddenIds)],
    actions: made.actions,
  });
  const name = `demo-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '-')}`;
  const reserves = windows.map((window, index) => ({ ...window, max: RESERVES[index] ?? 0 }));
  return {
    simulator,
    speed,
    windows,
    limits,
    settings: {
      ...settingsFor(simulator, limits),
      STANDDOWN_TENANT: name,
      URGENT_RESERVE: formatWindows(reserves),
      // What is listed as ended is settled without a call: here every id shall be called.
      PRECHECK: 'off',
      CALL_TIMEOUT: '5s',
    },
    campaign: { name, comment: 'Started by mistake; cancelled by the demo', requestedBy: 'demo', now },
    ids: async function* () {
      yield Buffer.concat(made.ids.map(guidToBytes));
    },
    startedAt: systemClock.monotonic(),
  };
}

/** Some ids answer 500 once, some lose their connection once. */
function mishaps(ids: readonly string[], besides: readonly string[]): FaultRule[] {
  const some = ids.filter((id) => !besides.includes(id));
  const times = { operation: 'cancel', perId: true, times: 1 } as const;
  return [
    { ...times, ids: some.slice(0, 3), fault: { kind: 'status', status: 500, code: 'InternalServerError' } },
    { ...times, ids: some.slice(3, 5), fault: { kind: 'reset', when: 'after' } },
  ];
}
