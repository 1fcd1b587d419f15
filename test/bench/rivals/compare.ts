import { loadavg } from 'node:os';
import { count } from '../../../src/base/words/number.ts';
import { type Column, formatTable } from '../../../src/cli/table.ts';
import { openTestRedis } from '../../support/redis.ts';
import { median } from '../measure.ts';
import { play, type Seen } from './cell.ts';
import type { Contender, Field } from './contender.ts';
import { listContenders } from './contenders.ts';
import { type Choice, chooseEntries, type Entry } from './matrix.ts';
import { describe, type SetUp } from './set-up.ts';

/** One contender in one set-up. */
export interface Cell {
  setUp: SetUp;
  name: string;
  version: string;
  runs: Seen[];
  /** The run in which a process was killed half-way; null: there was none. */
  killed: Seen | null;
  /** Processes that wanted a core, on average over the last minute of it. */
  load: number;
}

const COLUMNS: readonly Column[] = [
  { title: '' },
  { title: 'refused', align: 'right' },
  { title: '× ideal', align: 'right' },
  { title: 'most in the short window', align: 'right' },
  { title: 'long', align: 'right' },
  { title: 'repeated', align: 'right' },
  { title: 'lost', align: 'right' },
  { title: 'one killed: refused', align: 'right' },
  { title: 'repeated', align: 'right' },
  { title: 'lost', align: 'right' },
];

/** Everybody in every set-up; tells the table of each, and hands on all there is, as soon as it is through. */
export async function compareAll(
  choice: Choice,
  { say, keep }: { say(text: string): void; keep(cells: readonly Cell[]): Promise<void> },
): Promise<Cell[]> {
  const redis = await openTestRedis('bench');
  const place = { redis, client: await redis.connect() };
  const contenders = (await listContenders()).slice(0, choice.isAlone ? 1 : undefined);
  say(contenders.map(({ name, version }) => `${name} ${version}`.trim()).join(', '));
  const all: Cell[] = [];
  try {
    for (const entry of chooseEntries(choice)) {
      const able = contenders.filter(({ shares }) => shares || entry.setUp.processes === 1);
      const cells = await compare(able, entry, place);
      all.push(...cells);
      const load = median(cells.map((cell) => cell.load)).toFixed(1);
      say(`\n${describe(entry.setUp)}; ${runsOf(entry)}; load ${load}`);
      say(formatTable(COLUMNS, cells.map(row)));
      await keep(all);
    }
    return all;
  } finally {
    await redis.close();
  }
}

/** Taking turns, so that whatever else the machine does hits all. */
async function compare(
  contenders: readonly Contender[],
  { setUp, runs, kill }: Entry,
  place: Pick<Field, 'redis' | 'client'>,
): Promise<Cell[]> {
  const cells = contenders.map(
    ({ name, version }): Cell => ({ setUp, name, version, runs: [], killed: null, load: 0 }),
  );
  for (let run = 0; run < runs + Number(kill); run++) {
    for (const [at, contender] of contenders.entries()) {
      const cell = cells[at];
      if (!cell) continue;
      const seen = await play(contender, { ...place, setUp, kill: run === runs });
      if (run === runs) cell.killed = seen;
      else cell.runs.push(seen);
      cell.load = loadavg()[0] ?? 0;
    }
  }
  return cells;
}

function runsOf({ runs, kill }: Entry): string {
  const its = runs === 1 ? 'one run' : `medians of ${runs} runs`;
  return kill ? `${its}, and one in which a process is killed` : its;
}

/** Of counts the worst in any run, of times the median. */
function row({ name, runs, killed }: Cell): string[] {
  const most = (of: (seen: Seen) => number | undefined) =>
    count(Math.max(...runs.map((seen) => of(seen) ?? 0)));
  const mark = runs.some(({ unfinished }) => unfinished) ? ' (gave up)' : '';
  return [
    name,
    most(({ refused }) => refused),
    overIdeal(runs).toFixed(3),
    most(({ peaks }) => peaks[0]),
    most(({ peaks }) => peaks[1]),
    most(({ repeated }) => repeated),
    most(({ lost }) => lost) + mark,
    ...(killed ? [killed.refused, killed.repeated, killed.lost].map(count) : ['', '', '']),
  ];
}

export function overIdeal(runs: readonly Seen[]): number {
  return median(runs.map((seen) => seen.overIdeal));
}
