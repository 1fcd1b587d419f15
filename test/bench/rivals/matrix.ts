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

/** What of it is wanted. */
export interface Choice {
  /** All set-ups, not only the most telling ones. */
  isFull: boolean;
  /** Only those of one scale. */
  scale?: SetUp['scale'] | undefined;
  /** Another number of runs. */
  runs?: number | undefined;
  /** Whether there may be runs in which a process is killed. */
  mayKill: boolean;
  /** Nobody but Standdown. */
  isAlone: boolean;
}

export function chooseEntries({ isFull, scale, runs, mayKill }: Choice): Entry[] {
  const all = isFull ? wholeMatrix() : TELLING;
  return all
    .filter(({ setUp }) => scale === undefined || setUp.scale === scale)
    .map((entry) => ({ ...entry, runs: runs ?? entry.runs, kill: entry.kill && mayKill }));
}

/** Tells apart what different choices give: a part of a file's name. */
export function nameChoice({ isFull, scale, isAlone }: Choice): string {
  return ['rivals', isFull && 'full', scale && `1-${scale}`, isAlone && 'alone'].filter(Boolean).join('-');
}

/** The most telling ones, in about 20 minutes. */
const TELLING: readonly Entry[] = [
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
function wholeMatrix(): Entry[] {
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
