import type { Seen } from './cell.ts';
import { type Cell, overIdeal } from './compare.ts';
import { describe } from './set-up.ts';

/** The first of the contenders is the one who has to reach them. */
const OURS = 'Standdown';

/** Rows of what was to be reached: what, Standdown's, that of the best who was never refused, the target. */
export function againstTargets(cells: readonly Cell[]): string[][] {
  const ours = cells.filter(({ name }) => name === OURS);
  const all = ours.flatMap(({ runs, killed }) => (killed ? [...runs, killed] : runs));
  const total = (of: (seen: Seen) => number) => String(all.reduce((sum, seen) => sum + of(seen), 0));
  const narrow = (scale: number, target: string) => {
    const its = cells.filter(({ setUp }) => setUp.scale === scale && setUp.latency === 'narrow');
    const [own, other] = [worst(its.filter(({ name }) => name === OURS)), best(its.filter(isFlawlessRival))];
    return [
      `1:${scale}, narrow: × ideal (worst set-up; of others the best)`,
      shown(own),
      shown(other),
      '',
      target,
    ];
  };
  const overtaken = ours.filter((own) => fasterThan(own, cells).length > 0);
  return [
    ['refused, all cells and runs', total(({ refused }) => refused), '', '', '0'],
    ['lost, all cells and runs', total(({ lost }) => lost), '', '', '0'],
    narrow(60, '≤ 1.05'),
    narrow(10, '≤ 1.01'),
    ['set-ups where another is faster and not refused', String(overtaken.length), '', '', '0'],
    ...overtaken.flatMap((own) =>
      fasterThan(own, cells).map(({ name, runs }) => [
        `  ${describe(own.setUp)}: ${name}, with ${mostInShort(runs)} in a short window`,
        shown(overIdeal(own.runs)),
        shown(overIdeal(runs)),
        '',
        '',
      ]),
    ),
  ];
}

function fasterThan(own: Cell, cells: readonly Cell[]): Cell[] {
  return cells.filter(
    (cell) => cell.setUp === own.setUp && isFlawlessRival(cell) && overIdeal(cell.runs) < overIdeal(own.runs),
  );
}

function isFlawlessRival({ name, runs }: Cell): boolean {
  return name !== OURS && runs.every(({ refused, lost }) => refused === 0 && lost === 0);
}

/** More than the limit: a server that counts strictly would have refused it. */
function mostInShort(runs: readonly Seen[]): number {
  return Math.max(...runs.map(({ peaks }) => peaks[0] ?? 0));
}

function worst(cells: readonly Cell[]): number {
  return Math.max(...cells.map(({ runs }) => overIdeal(runs)));
}

function best(cells: readonly Cell[]): number {
  return Math.min(...cells.map(({ runs }) => overIdeal(runs)));
}

/** Of no cells there is neither worst nor best. */
function shown(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : '';
}
