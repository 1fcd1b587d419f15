import { excerpt } from '../base/foreign.ts';
import { count, plural } from '../base/words/number.ts';
import { formatUtc } from '../base/words/time.ts';
import type { Counts, Tally } from '../files/select/tally.ts';

/** Values named one by one. */
const NAMED = 5;

/** What machine actions have in common, for a person. Names come from outside: they are made printable. */
export function describeTally(tally: Tally): string[] {
  const { total, byMachine } = tally;
  if (total === 0) return [plural(total, 'machine action')];
  const created =
    tally.oldest && tally.newest
      ? [`  ${'created'.padEnd(WIDTH)}${formatUtc(tally.oldest)} to ${formatUtc(tally.newest)}`]
      : [];
  return [
    plural(total, 'machine action'),
    ...created,
    line('type', tally.byType),
    line('status', tally.byStatus),
    line('requestor', tally.byRequestor),
    `  ${'machines'.padEnd(WIDTH)}${count(byMachine.length)}${mostOf(byMachine)}`,
  ];
}

const WIDTH = 11;

function line(title: string, counts: Counts): string {
  return `  ${title.padEnd(WIDTH)}${list(counts)}`;
}

function list(counts: Counts): string {
  const named = counts.slice(0, NAMED).map(([value, number]) => `${excerpt(value, 60)} ${count(number)}`);
  const more = counts.length - named.length;
  return [...named, ...(more > 0 ? [`${count(more)} others`] : [])].join(' · ');
}

/** Machines are as good as always one action each; only others are worth their names. */
function mostOf(counts: Counts): string {
  const several = counts.filter(([, number]) => number > 1);
  return several.length > 0 || counts.length <= NAMED ? `: ${list(counts)}` : '';
}

/** The same for a program. */
export function tallyToJson(tally: Tally) {
  const { total, oldest, newest } = tally;
  return {
    total,
    byType: Object.fromEntries(tally.byType),
    byStatus: Object.fromEntries(tally.byStatus),
    byRequestor: Object.fromEntries(tally.byRequestor),
    machines: tally.byMachine.length,
    oldest,
    newest,
  };
}
