import { systemClock } from '../base/clock.ts';
import { guidToBytes } from '../base/guid.ts';
import { formatWindows, type Window } from '../config/limits.ts';
import { DEMO_MIX, type FaultRule, makeActions, type Simulator, startSimulator } from '../simulator/index.ts';
import type { NewCampaign } from '../store/campaign/registry.ts';
import { settingsFor } from './simulate.ts';

/** How many times shorter the demo's windows are. */
const SPEED = 6;

/** Defender's documented rate limits, and the default reserve of each. */
const REAL: readonly Window[] = [
  { max: 100, lengthMs: 60_000 },
  { max: 1_500, lengthMs: 3_600_000 },
];
const RESERVES = [10, 30];

/** A made-up tenant with actions to cancel. */
export interface DemoWorld {
  simulator: Simulator;
  actions: number;
  /** How many times the windows are shortened. */
  speed: number;
  windows: readonly Window[];
  /** The worker's environment, except for Redis. */
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
  // A tenant of its own, so that calls of an earlier demo do not count.
  const tenant = `demo-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '-')}`;
  const reserves = windows.map((window, index) => ({ ...window, max: RESERVES[index] ?? 0 }));
  return {
    simulator,
    actions,
    speed,
    windows,
    settings: {
      ...settingsFor(simulator, limits),
      STANDDOWN_TENANT: tenant,
      URGENT_RESERVE: formatWindows(reserves),
      // The precheck spares calls for finished actions; the demo shows a call for every action.
      PRECHECK: 'off',
      CALL_TIMEOUT: '5s',
    },
    campaign: { name: 'stop-scan', comment: 'Scan started by mistake', requestedBy: 'demo', now },
    ids: async function* () {
      yield Buffer.concat(made.ids.map(guidToBytes));
    },
    startedAt: systemClock.monotonic(),
  };
}

/** For some actions the first call is answered with 500, for some its connection is lost. */
function mishaps(ids: readonly string[], besides: readonly string[]): FaultRule[] {
  const some = ids.filter((id) => !besides.includes(id));
  const times = { operation: 'cancel', perId: true, times: 1 } as const;
  return [
    { ...times, ids: some.slice(0, 3), fault: { kind: 'status', status: 500, code: 'InternalServerError' } },
    { ...times, ids: some.slice(3, 5), fault: { kind: 'reset', when: 'after' } },
  ];
}
