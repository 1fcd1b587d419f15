import { type Column, formatTable } from '../../../src/cli/table.ts';
import { openTestRedis } from '../../support/redis.ts';
import { play, type Seen } from './cell.ts';
import { listContenders } from './contenders.ts';
import { describe, type SetUp } from './set-up.ts';

const PLAIN: SetUp = { scale: 60, mode: 'sliding', latency: 'narrow', ids: 250, processes: 1 };

const COLUMNS: readonly Column[] = [
  { title: '' },
  { title: 'refused', align: 'right' },
  { title: 'repeated', align: 'right' },
  { title: 'lost', align: 'right' },
];

/**
 * What has to be true on any machine, however busy: nobody's times. Everybody else once, so that their programs are known to
 * run.
 *
 * @returns whether Standdown was never refused and lost nothing.
 */
export async function holdsShort(say: (text: string) => void): Promise<boolean> {
  const [ours, ...others] = await listContenders();
  const redis = await openTestRedis('bench');
  const place = { redis, client: await redis.connect() };
  const rows: string[][] = [];
  const owned: Seen[] = [];
  const run = async (contender: typeof ours, setUp: SetUp, kill = false) => {
    const seen = await play(contender, { ...place, setUp, kill });
    if (contender === ours) owned.push(seen);
    const what = `${contender.name}: ${describe(setUp)}${kill ? ', one killed' : ''}`;
    rows.push([what, String(seen.refused), String(seen.repeated), String(seen.lost)]);
    if (seen.unfinished) say(`${what} did not come to an end: ${seen.said}`);
  };
  const runOurs = async () => {
    for (const mode of ['sliding', 'fixed', 'token-bucket'] as const) await run(ours, { ...PLAIN, mode });
    await run(ours, { ...PLAIN, processes: 4 });
  };
  const runOthers = async () => {
    for (const other of others) await run(other, { ...PLAIN, ids: 120 });
  };
  try {
    // At once: what a killed process had in hand has to be waited for.
    await Promise.all([run(ours, PLAIN, true), runOurs(), runOthers()]);
  } finally {
    await redis.close();
  }
  say(formatTable(COLUMNS, rows));
  return owned.every(({ refused, lost, unfinished }) => refused === 0 && lost === 0 && !unfinished);
}
