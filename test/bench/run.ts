import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Column, formatTable } from '../../src/cli/table.ts';
import { FULL, scaleRows, simulateFleet } from '../scale/fleet.ts';
import { ROOT } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { abortOpen, drainQueue } from './abort.ts';
import { type Drained, type DrainOptions, drainWithBullmq, drainWithStanddown } from './drain.ts';
import { GROWTH_COLUMNS, growAll, growthRows } from './growth.ts';
import { holdBullmq, holdStanddown } from './held.ts';
import { fixed, median, repeat, usedMemory } from './measure.ts';
import { MICRO_COLUMNS, microRows, timeSteps } from './micro.ts';
import { type Reported, reportFinished } from './report.ts';
import { compareAll } from './rivals/compare.ts';
import { type Choice, nameChoice } from './rivals/matrix.ts';
import { holdsShort } from './rivals/short.ts';
import { againstTargets } from './rivals/targets.ts';
import { overheadSeconds, selectPending } from './select.ts';
import { addBulk, emptyRedis, submitFile } from './submit.ts';
import { type Idle, idleTenants } from './tenants.ts';
import { drainTraced } from './traces.ts';
import { compareUrgent, urgentRows } from './urgent.ts';

/*
 * `npm run bench`: what Standdown costs and how well it uses the quota, side by side in the same run with BullMQ alone
 * where that can do the same.
 * Prints tables and writes the raw numbers to bench-results/. Asserts nothing: machines differ, ratios hold.
 *
 * `npm run bench -- --real` runs the true limits for 65 minutes; its last result is kept in the repository.
 * `npm run bench -- --short` judges correctness only, in a minute; ends with 1 when Standdown was refused or lost something.
 * `npm run bench -- --full rivals` runs all that is compared, for hours; `--scale 60` only what is shortened so far, `--runs 1`
 * each once, `--no-kill` without the runs in which a process is killed, `--alone` nobody but Standdown.
 * `npm run bench -- rivals|quota|throughput|held|urgent|growth|micro|submit|abort|select|tenants|scale|report|traces` runs one part.
 */
const RUNS = 5;

interface Part {
  title: string;
  /** What it is measured beside. Default: BullMQ alone. */
  rival?: string;
  /** Default: Standdown, what it is measured beside, ratio, target. */
  columns?: readonly Column[];
  /** `file`: under which name its raw numbers are kept; by default the part's. */
  run(how: How): Promise<{ rows: string[][]; raw: unknown; file?: string }>;
}

interface How {
  /** Of the rivals. */
  choice: Choice;
  /** Tells what is known before the whole part is through. */
  say(text: string): void;
  /** Writes it, too. */
  keep(file: string, raw: unknown): Promise<void>;
}

function columns(rival = 'BullMQ alone'): readonly Column[] {
  return [
    { title: '' },
    { title: 'Standdown', align: 'right' },
    { title: rival, align: 'right' },
    { title: 'ratio', align: 'right' },
    { title: 'target', align: 'right' },
  ];
}

const PARTS: Record<string, Part> = {
  rivals: {
    title: 'what each makes of 100 a minute and 1,500 an hour, against the targets',
    rival: 'best never refused',
    run: async ({ choice, say, keep }) => {
      const file = nameChoice(choice);
      // It may take hours: what there is stays, whatever becomes of the rest.
      const raw = await compareAll(choice, { say, keep: (cells) => keep(file, cells) });
      return { raw, rows: againstTargets(raw), file };
    },
  },
  quota: {
    title:
      '450 cancels under 100/1s,1500/60s; 4–16 ms latency, 10 at once, strict sliding server; medians of 5',
    run: async () => {
      const ideal = 4_000;
      const [ours, theirs] = await drainBoth({
        ids: 450,
        limits: '100/1s,1500/60s',
        latencyMs: { min: 4, max: 16 },
      });
      const refused = (runs: readonly Drained[]) => String(Math.max(...runs.map((run) => run.refused)));
      const makespans = [of(ours, 'makespanMs') / ideal, of(theirs, 'makespanMs') / ideal] as const;
      return {
        raw: { ours, theirs },
        rows: [
          ['refused (429), most in a run', refused(ours), refused(theirs), '', '0'],
          [
            'first to last call, over the ideal 4,000 ms',
            fixed(makespans[0], 3),
            fixed(makespans[1], 3),
            '',
            '≤ 1.05',
          ],
          commandsRow(ours, theirs),
        ],
      };
    },
  },
  throughput: {
    title: '5,000 cancels with the limits lifted; 0–1 ms latency, 10 at once; medians of 5',
    run: async () => {
      const [ours, theirs] = await drainBoth({
        ids: 5_000,
        limits: '1000000/1s',
        latencyMs: { min: 0, max: 1 },
      });
      const rates = [5e6 / of(ours, 'makespanMs'), 5e6 / of(theirs, 'makespanMs')] as const;
      return {
        raw: { ours, theirs },
        rows: [
          [
            'requests a second',
            fixed(rates[0], 0),
            fixed(rates[1], 0),
            fixed(rates[0] / rates[1], 2),
            '≥ 0.5 ×',
          ],
          commandsRow(ours, theirs),
          costRow('bytes between Redis and the others, per request', 'bytesPerId', [ours, theirs], 0),
          costRow('CPU of the worker per request, ms', 'workerCpuMsPerId', [ours, theirs], 2),
          costRow('CPU of Redis per request, ms', 'redisCpuMsPerId', [ours, theirs], 2),
        ],
      };
    },
  },
  held: {
    title: 'a worker whose window is full for an hour, with 47 left to do, for 15 s; medians of 3',
    run: async () => {
      const [ours, theirs] = [await repeat(3, holdStanddown), await repeat(3, holdBullmq)];
      return {
        raw: { ours, theirs },
        rows: [
          costRow('worker, % of a core', 'workerPercent', [ours, theirs], 1),
          costRow('Redis, % of a core', 'redisPercent', [ours, theirs], 1),
          costRow('Redis commands a second, in scripts too', 'commandsPerSecond', [ours, theirs], 1),
        ],
      };
    },
  },
  submit: {
    title:
      'submitting 1,000,000 ids from a file (BullMQ: addBulk of 1,000 at once, from memory); medians of 3',
    run: async () => {
      const count = 1_000_000;
      const ours = await repeat(3, () => submitFile(count));
      const theirs = [await addBulk(count)];
      const finished = await bytesPerFinished(50_000);
      const rates = [1e3 * (count / of(ours, 'tookMs')), 1e3 * (count / of(theirs, 'tookMs'))] as const;
      return {
        raw: { ours, theirs, bytesPerFinished: finished },
        rows: [
          ['ids a second', fixed(rates[0], 0), fixed(rates[1], 0), fixed(rates[0] / rates[1], 1), '≥ 5 ×'],
          ['peak memory of submit, MiB', fixed(of(ours, 'peakMiB'), 0), '', '', '< 200'],
          [
            'Redis bytes per waiting id',
            fixed(of(ours, 'bytesPerId'), 0),
            fixed(of(theirs, 'bytesPerId'), 0),
            '',
            '≤ 100',
          ],
          ['Redis bytes per finished id', fixed(finished, 0), '', '', '≤ 350'],
          ['status, ms', fixed(of(ours, 'statusMs'), 1), '', '', '< 5'],
        ],
      };
    },
  },
  urgent: {
    title:
      '100 urgent cancels, 151 ms apart, while others wait under 100/3s with their part of it used up (BullMQ: first in its queue); 3 runs, all waits together',
    run: async () => {
      const raw = await compareUrgent();
      return { raw: Object.fromEntries(raw), rows: urgentRows(raw) };
    },
  },
  growth: {
    title: 'so many requests waiting; medians of 3',
    columns: GROWTH_COLUMNS,
    run: async () => {
      const raw = await growAll();
      return { raw: Object.fromEntries(raw), rows: growthRows(raw) };
    },
  },
  micro: {
    title: 'single steps, one after the other, with the way to Redis and back',
    columns: MICRO_COLUMNS,
    run: async () => {
      const raw = await timeSteps();
      return { raw, rows: microRows(raw) };
    },
  },
  abort: {
    title:
      'aborting a campaign of 100,000 open ids, each with its outcome (BullMQ: drain, which forgets them); medians of 5',
    run: async () => {
      const count = 100_000;
      const [ours, theirs] = [
        await repeat(RUNS, () => abortOpen(count)),
        await repeat(RUNS, () => drainQueue(count)),
      ];
      const [own, other] = [of(ours, 'tookMs') / 1e3, of(theirs, 'tookMs') / 1e3];
      return {
        raw: { ours, theirs },
        rows: [
          [
            'abort, process start included, s',
            fixed(own, 2),
            fixed(other, 2),
            fixed(own / other, 2),
            '≤ 2 s',
          ],
        ],
      };
    },
  },
  select: {
    title: 'selecting 10,000 pending actions; medians of 5',
    rival: 'its list calls alone',
    run: async () => {
      const raw = await selectPending(10_000);
      const [own, bare] = [median(raw.tookMs) / 1e3, median(raw.callsMs) / 1e3];
      return {
        raw,
        rows: [
          [
            `select, process start included; ${raw.calls} list calls, s`,
            fixed(own, 2),
            fixed(bare, 2),
            fixed(own / bare, 2),
            '',
          ],
          ['longer than the calls alone by, s', fixed(overheadSeconds(raw), 2), '', '', '≤ 1'],
        ],
      };
    },
  },
  tenants: {
    title: 'one worker for tenants that have nothing to do, for 15 s; one run each',
    rival: 'for each tenant',
    run: async () => {
      const raw = new Map<number, Idle>();
      for (const count of [1, 50, 200]) raw.set(count, await idleTenants(count));
      const alone = raw.get(1);
      const row = (count: number, what: string, key: keyof Idle, digits: number, target = '') => {
        const value = raw.get(count)?.[key] ?? Number.NaN;
        const more = (value - (alone?.[key] ?? 0)) / (count - 1);
        return [
          `${count} tenants: ${what}`,
          fixed(value, digits),
          count > 1 ? fixed(more, digits + 1) : '',
          '',
          target,
        ];
      };
      const rows = [...raw.keys()].flatMap((count) => [
        row(count, 'peak memory, MiB', 'peakMiB', 0, count === 200 ? '< 500' : ''),
        row(count, 'worker, % of a core', 'workerPercent', 1),
        row(count, 'Redis, % of a core', 'redisPercent', 1),
        row(count, 'Redis commands a second, in scripts too', 'commandsPerSecond', 0),
        row(count, 'connections to Redis', 'connections', 0, count > 1 ? `≤ ${5 * count}` : ''),
      ]);
      return { raw: Object.fromEntries(raw), rows };
    },
  },
  traces: {
    title: '5,000 cancels with the limits lifted, without traces and with them exported; medians of 5',
    rival: 'with traces',
    run: async () => {
      const raw = await drainTraced(5_000, RUNS);
      const { off, on } = raw;
      const row = (what: string, of: (run: Drained) => number, digits: number) => {
        const [without, with_] = [median(off.map(of)), median(on.map(of))];
        return [what, fixed(without, digits), fixed(with_, digits), fixed(with_ / without, 2), ''];
      };
      return {
        raw,
        rows: [
          row('requests a second', ({ makespanMs }) => 5e6 / makespanMs, 0),
          row('CPU of the worker per request, ms', ({ workerCpuMsPerId }) => workerCpuMsPerId, 2),
          ['spans per request', '0', fixed(raw.spansPerId, 1), '', ''],
        ],
      };
    },
  },
  scale: {
    title:
      'simulated: 100 tenants with 20,000 requests each under 100/1m,1500/1h, one in four shares its application',
    rival: 'sharing',
    run: async () => {
      const raw = await simulateFleet(FULL);
      return { raw, rows: scaleRows(raw) };
    },
  },
  report: {
    title: 'reporting a campaign of 1,000,000 finished ids; medians of 3, of the page one run',
    run: async () => {
      const { csv, html } = await reportFinished(1_000_000);
      const row = (what: string, runs: readonly Reported[], key: keyof Reported, target: string) => [
        what,
        fixed(of(runs, key), key === 'seconds' ? 1 : 0),
        '',
        '',
        target,
      ];
      return {
        raw: { csv, html },
        rows: [
          row('report --format csv, s', csv, 'seconds', '≤ 60'),
          row('its peak memory, MiB', csv, 'peakMiB', '< 200'),
          row('report --format html, s', html, 'seconds', '≤ 60'),
          row('its peak memory, MiB', html, 'peakMiB', '< 200'),
          row('size of the page, MiB', html, 'sizeMiB', ''),
        ],
      };
    },
  },
};

/** The limits as they are. 65 minutes, and only when it is asked for. */
const REAL: Part = {
  title: '1,600 cancels under the real 100/1m,1500/1h, none kept for urgent; 50–300 ms latency, 10 at once',
  rival: 'ideal',
  run: async () => {
    const redis = await openTestRedis('bench-real');
    try {
      const limits = '100/1m,1500/1h';
      const seen = await drainWithStanddown({
        redis,
        ids: 1_600,
        limits,
        concurrency: 10,
        latencyMs: { min: 50, max: 300 },
        patienceMs: 75 * 60_000,
      });
      // The 1,600th may go when the 100th is an hour old.
      const idealMs = 3_600_000;
      const ratio = seen.makespanMs / idealMs;
      return {
        raw: { at: new Date().toISOString(), idealMs, ...seen },
        rows: [
          ['first to last call, s', fixed(seen.makespanMs / 1e3, 1), '3,600', fixed(ratio, 4), '≤ 1.003'],
          ['refused (429)', String(seen.refused), '', '', '0'],
          ['most calls in any minute', String(seen.peaks[0]), '100', '', '≤ 100'],
          ['most calls in any hour', String(seen.peaks[1]), '1,500', '', '≤ 1,500'],
        ],
      };
    } finally {
      await redis.close();
    }
  },
};

/** Taking turns, so that whatever else the machine does hits both. */
async function drainBoth(
  options: Pick<DrainOptions, 'ids' | 'limits' | 'latencyMs'>,
): Promise<[Drained[], Drained[]]> {
  const redis = await openTestRedis('bench');
  const both: [Drained[], Drained[]] = [[], []];
  try {
    for (let run = 0; run < RUNS; run++) {
      both[0].push(await drainWithStanddown({ ...options, redis, concurrency: 10 }));
      both[1].push(await drainWithBullmq({ ...options, redis, concurrency: 10 }));
    }
    return both;
  } finally {
    await redis.close();
  }
}

/** All that Redis holds more than before, BullMQ's remains included, once so many ids are cancelled. */
async function bytesPerFinished(ids: number): Promise<number> {
  const redis: TestRedis = await emptyRedis();
  try {
    const client = await redis.connect();
    const before = await usedMemory(client);
    await drainWithStanddown({
      redis,
      ids,
      limits: '1000000/1s',
      concurrency: 10,
      latencyMs: { min: 0, max: 0 },
    });
    return ((await usedMemory(client)) - before) / ids;
  } finally {
    await redis.close();
  }
}

function of<Key extends string>(runs: readonly Record<Key, number>[], key: Key): number {
  return median(runs.map((run) => run[key]));
}

function costRow<Key extends string>(
  what: string,
  key: Key,
  [ours, theirs]: readonly [readonly Record<Key, number>[], readonly Record<Key, number>[]],
  digits: number,
): string[] {
  const [own, other] = [of(ours, key), of(theirs, key)];
  return [what, fixed(own, digits), fixed(other, digits), fixed(own / other, 2), ''];
}

function commandsRow(ours: readonly Drained[], theirs: readonly Drained[]): string[] {
  const [own, other] = [of(ours, 'commandsPerId'), of(theirs, 'commandsPerId')];
  return [
    'Redis commands per request, in scripts too',
    fixed(own, 1),
    fixed(other, 1),
    fixed(own / other, 2),
    '≤ 2 ×',
  ];
}

const say = (text: string) => void process.stdout.write(`${text}\n`);

async function main(wanted: readonly string[], isReal: boolean, choice: Choice): Promise<void> {
  const unknown = wanted.filter((name) => !(name in PARTS));
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}: ${Object.keys(PARTS).join(', ')}`);
  const dir = join(ROOT, 'bench-results');
  await mkdir(dir, { recursive: true });
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}`;
  say(machine);
  const parts = isReal ? { real: REAL } : PARTS;
  for (const [name, part] of Object.entries<Part>(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const { title } = part;
    const keep = (file: string, raw: unknown) =>
      writeFile(
        join(dir, `${file}.json`),
        `${JSON.stringify({ machine, title, load: loadNow(), raw }, null, 2)}\n`,
      );
    const { rows, raw, file = name } = await part.run({ choice, say, keep });
    say(`\n${title}; load ${loadNow()}\n${formatTable(part.columns ?? columns(part.rival), rows)}`);
    await keep(file, raw);
  }
}

function loadNow(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}

function readScale(text: string | undefined): Choice['scale'] {
  const scale = ([60, 10] as const).find((known) => String(known) === text);
  if (text !== undefined && scale === undefined) throw new Error('--scale: 60 or 10');
  return scale;
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    real: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    scale: { type: 'string' },
    runs: { type: 'string' },
    kill: { type: 'boolean', default: true },
    alone: { type: 'boolean', default: false },
  },
});
if (values.short) process.exitCode = (await holdsShort(say)) ? 0 : 1;
else {
  await main(positionals, values.real, {
    isFull: values.full,
    scale: readScale(values.scale),
    runs: values.runs === undefined ? undefined : Math.max(1, Number(values.runs)),
    mayKill: values.kill,
    isAlone: values.alone,
  });
}
