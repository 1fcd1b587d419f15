import { type ActionSummary, OUTCOMES, type Outcome, wasStopped } from '../../base/outcome.ts';
import type { Window } from '../../config/limits.ts';
import { createTimes, type Timeline } from './timeline.ts';

/** An outcome, that there is none yet, or that nobody knows it. */
export type OutcomeOrOpen = Outcome | 'open' | 'unknown';

export const OUTCOMES_OR_OPEN: readonly OutcomeOrOpen[] = [...OUTCOMES, 'open', 'unknown'];

/** Numbers by something's name, the largest first. */
export type Counts = [name: string, count: number][];

/** One group of lines, such as those of one type of action. */
export interface Group {
  name: string;
  total: number;
  outcomes: ReadonlyMap<OutcomeOrOpen, number>;
}

/** What a whole report adds up to. */
export interface Summary {
  total: number;
  outcomes: ReadonlyMap<OutcomeOrOpen, number>;
  /** Ids whose action is known to be cancelled. */
  stopped: number;
  uncertain: number;
  /** Ids that another campaign owns, with the outcome there. */
  tracked: number;
  /** Ids whose action was read again afterwards. */
  verified: number;
  /** What the actions' states are, by outcome. */
  states: ReadonlyMap<OutcomeOrOpen, Counts>;
  types: Group[];
  timeline: Timeline | null;
}

/** Names that are counted one by one. They come from outside, and nobody says how many there are. */
const MOST_NAMES = 40;
const OTHERS = 'others';

/** What is added up of a line. Times in ms since 1970, or ISO 8601. */
export interface Tallied {
  outcome: Outcome | 'unknown' | null;
  decidedAt: string | number | null;
  action?: Pick<ActionSummary, 'status' | 'type'>;
  errorCode?: string;
  verifiedAt?: string | number;
  uncertain: boolean;
  campaign: string;
  httpStatus?: number;
}

/** Adds up lines as they pass by. */
export function createTally(campaign: string) {
  const all = createGroup();
  const types = new Map<string, ReturnType<typeof createGroup>>();
  const states = new Map<OutcomeOrOpen, Map<string, number>>();
  const times = createTimes();
  const counted = { stopped: 0, uncertain: 0, tracked: 0, verified: 0 };

  return {
    add: (line: Tallied): void => {
      const outcome = line.outcome ?? 'open';
      all.add(outcome);
      entryOf(types, line.action?.type ?? 'unknown', createGroup).add(outcome);
      const ofOutcome = entryOf(states, outcome, () => new Map<string, number>());
      const status = line.action?.status;
      if (status) countIn(ofOutcome, nameIn(ofOutcome, status));
      if (wasStopped(line)) counted.stopped++;
      if (line.uncertain) counted.uncertain++;
      if (line.verifiedAt !== undefined) counted.verified++;
      if (line.campaign !== campaign && line.outcome !== 'unknown') counted.tracked++;
      // Only an answered call has an HTTP status; that of what is tracked is another campaign's.
      else if (line.decidedAt !== null && line.httpStatus !== undefined) times.add(toMs(line.decidedAt));
    },
    summary: (windows: readonly Window[]): Summary => ({
      ...all.group(''),
      ...counted,
      states: new Map([...states].map(([outcome, counts]) => [outcome, descending([...counts])])),
      types: [...types].map(([name, group]) => group.group(name)).sort((a, b) => b.total - a.total),
      timeline: times.timeline(windows),
    }),
  };
}

function toMs(time: string | number): number {
  return typeof time === 'number' ? time : Date.parse(time);
}

function createGroup() {
  const outcomes = new Map<OutcomeOrOpen, number>();
  let total = 0;
  return {
    add: (outcome: OutcomeOrOpen): void => {
      total++;
      countIn(outcomes, outcome);
    },
    group: (name: string): Group => ({ name, total, outcomes }),
  };
}

function entryOf<Key extends string, T>(entries: Map<Key | typeof OTHERS, T>, key: Key, create: () => T): T {
  const name = nameIn(entries, key);
  const known = entries.get(name) ?? create();
  entries.set(name, known);
  return known;
}

function nameIn<Key extends string>(entries: ReadonlyMap<Key | typeof OTHERS, unknown>, name: Key) {
  return entries.has(name) || entries.size < MOST_NAMES ? name : OTHERS;
}

function countIn<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function descending(counts: Counts): Counts {
  return counts.sort(([, a], [, b]) => b - a);
}
