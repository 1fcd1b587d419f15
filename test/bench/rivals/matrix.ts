import type { SetUp } from './set-up.ts';

/** A set-up that everybody who can goes through. */
export interface Entry {
  setUp: SetUp;
  /** How often; medians are shown. */
  runs: number;
  /** Whether there is one run more in which a process is killed. */
  kill: boolean;
}

const MODES = ['sliding', 'fixed', 'token-bucket'] as const;
const PLAIN: SetUp = { scale: 60, mode: 'sliding', latency: 'narrow', ids: 450, processes: 1 };
/** As many as make the longer window count: 100 more than it allows. */
const BEYOND = 1_600;

/** The most telling ones, in about 20 minutes. */
export const TELLING: readonly Entry[] = [
  { setUp: PLAIN, runs: 3, kill: true },
  { setUp: { ...PLAIN, processes: 4 }, runs: 3, kill: true },
  { setUp: { ...PLAIN, ids: BEYOND }, runs: 1, kill: false },
  { setUp: { ...PLAIN, scale: 10 }, runs: 1, kill: false },
  { setUp: { ...PLAIN, mode: 'fixed' }, runs: 1, kill: false },
  { setUp: { ...PLAIN, mode: 'token-bucket' }, runs: 1, kill: false },
  { setUp: { ...PLAIN, latency: 'wide' }, runs: 1, kill: false },
  { setUp: { ...PLAIN, latency: 'slow' }, runs: 1, kill: false },
];

/** All of them, in hours. */
export function wholeMatrix(): Entry[] {
  const setUps = [60, 10].flatMap((scale) =>
    MODES.flatMap((mode) =>
      ['narrow', 'wide', 'slow'].flatMap((latency) =>
        [1, 4].map((processes) => ({ ...PLAIN, scale, mode, latency, processes }) as SetUp),
      ),
    ),
  );
  const beyond = MODES.flatMap((mode) =>
    [1, 4].map((processes) => ({ ...PLAIN, mode, processes, ids: BEYOND })),
  );
  return [
    ...setUps.map((setUp) => ({ setUp, runs: 3, kill: true })),
    ...beyond.map((setUp) => ({ setUp, runs: 1, kill: false })),
  ];
}
