import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Column, formatTable } from '../../src/cli/table.ts';
import { ROOT } from '../support/processes.ts';
import { isKind, type Kind, playableKinds, playRound, type Round } from './round.ts';

/*
 * `npm run gauntlet`: real workers, a real Redis and the simulator under random faults, for half an hour. Judges each round
 * by what the server saw and by what stands in Redis; prints one table; ends with 1 when something happened that must not.
 *
 *   -- --short          four minutes
 *   -- --seed 7         a schedule that begins elsewhere
 *   -- --only mixed:7   one round again, by its kind and seed
 */
const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string' },
    only: { type: 'string' },
  },
});

const MINUTE = 60_000;
/** No round begins after this; the last ones take two minutes more at most. */
const lastStart = values.short ? 2.5 * MINUTE : 28 * MINUTE;
const [AT_ONCE, MOST_WORKERS] = values.short ? [2, 4] : [2, 8];

const COLUMNS: readonly Column[] = [
  { title: 'round' },
  { title: 'workers', align: 'right' },
  { title: 'faults', align: 'right' },
  { title: 'requests', align: 'right' },
  { title: 'calls', align: 'right' },
  { title: 'over limit', align: 'right' },
  { title: 'lost', align: 'right' },
  { title: 'lost by Redis', align: 'right' },
  { title: 'counted twice', align: 'right' },
  { title: 'repeated calls', align: 'right' },
  { title: 's', align: 'right' },
];

interface Failure {
  kind: Kind;
  seed: number;
  error: Error;
}

async function playAll(seed: number): Promise<{ rounds: Round[]; failures: Failure[] }> {
  const rounds: Round[] = [];
  const failures: Failure[] = [];
  const playable = await playableKinds();
  // Its six servers more take what a small machine has.
  const kinds = playable.filter((kind) => kind !== 'cluster' || !values.short);
  if (!kinds.includes('clock'))
    process.stdout.write('without rounds of kind clock: there is no C compiler\n');
  const started = performance.now();
  let next = 0;
  const playSome = async () => {
    while (performance.now() - started < lastStart) {
      // A short run does not come to all kinds: which one is first depends on the seed.
      const its = seed + next++;
      await play(kinds[its % kinds.length] ?? 'mixed', its);
    }
  };
  const play = async (kind: Kind, its: number) => {
    try {
      const round = await playRound(kind, its, MOST_WORKERS);
      rounds.push(round);
      for (const violation of round.violations) process.stdout.write(`${kind}:${its}: ${violation}\n`);
      const held = round.violations.length === 0 ? 'held' : 'did not hold';
      process.stderr.write(`${kind}:${its} ${held} after ${Math.round(round.seconds)} s\n`);
    } catch (error) {
      failures.push({ kind, seed: its, error: error as Error });
      process.stdout.write(`${(error as Error).message}\n`);
    }
  };
  const [, kind = '', its] = /^(\w+):(\d+)$/.exec(values.only ?? '') ?? [];
  if (isKind(kind)) await play(kind, Number(its));
  else if (values.only !== undefined)
    throw new Error(`--only takes KIND:SEED; kinds are ${kinds.join(', ')}`);
  else await Promise.all(Array.from({ length: AT_ONCE }, playSome));
  return { rounds, failures };
}

function row(label: string, rounds: readonly Round[]): string[] {
  const sum = (of: (round: Round) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const [only] = rounds.length === 1 ? rounds : [];
  return [
    label,
    only ? String(only.workers) : '',
    ...[
      sum(({ faults }) => [...faults.values()].reduce((total, times) => total + times, 0)),
      sum(({ requests }) => requests),
      sum(({ calls }) => calls),
      sum(({ overLimit }) => overLimit),
      sum(({ lost }) => lost),
      sum(({ lostByRedis }) => lostByRedis),
      sum(({ doublyCounted }) => doublyCounted),
      sum(({ repeatedCalls }) => repeatedCalls),
      Math.round(sum(({ seconds }) => seconds)),
    ].map((number) => number.toLocaleString('en-US')),
  ];
}

async function main(): Promise<void> {
  const seed = values.seed === undefined ? randomInt(1, 1_000_000) : Number(values.seed);
  process.stdout.write(`seed ${seed}\n`);
  const { rounds, failures } = await playAll(seed);
  const rows = rounds.map((round) => row(`${round.kind}:${round.seed}`, [round]));
  process.stdout.write(`\n${formatTable(COLUMNS, [...rows, row('all', rounds)])}\n`);
  const faults = new Map<string, number>();
  for (const round of rounds)
    for (const [name, times] of round.faults) faults.set(name, (faults.get(name) ?? 0) + times);
  for (const [name, times] of [...faults].sort())
    process.stdout.write(`${String(times).padStart(5)}  ${name}\n`);
  const points = rounds.flatMap(({ points: reached }) => reached).length;
  process.stdout.write(`${String(points).padStart(5)}  of these at a step of the way\n`);
  const dir = join(ROOT, 'test-results');
  await mkdir(dir, { recursive: true });
  const plain = rounds.map((round) => ({ ...round, faults: Object.fromEntries(round.faults) }));
  await writeFile(join(dir, 'gauntlet.json'), `${JSON.stringify({ seed, rounds: plain }, null, 2)}\n`);
  const bad = [
    ...rounds
      .filter(({ violations }) => violations.length > 0)
      .map(({ kind, seed: its }) => `${kind}:${its}`),
    ...failures.map(({ kind, seed: its }) => `${kind}:${its}`),
  ];
  for (const name of bad) process.stdout.write(`failed; again with: npm run gauntlet -- --only ${name}\n`);
  process.stdout.write(
    `${rounds.length + failures.length - bad.length} rounds held, ${bad.length} did not\n`,
  );
  process.exitCode = bad.length > 0 || rounds.length === 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await main();
