import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Column } from '../../src/cli/table.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { startCli } from '../support/processes.ts';
import { TEST_DIR, type TestRedis } from '../support/redis.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { newLabel, newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { fixed, median, percentile, repeat, usedMemory } from './measure.ts';
import { emptyRedis, writeIds } from './submit.ts';

/** What so many waiting requests cost. */
interface Grown {
  /** `standdown submit` of a file, from the start of the process to its end. */
  submitMs: number;
  /** Everything that Redis holds for them. */
  redisBytes: number;
  /** Reading the campaign's status, median of 50. */
  statusMs: number;
  /** `standdown report` as JSON lines, of ids that are open, from the start of the process to its end. */
  reportMs: number;
  /** From the moment at which a place in the window is free again to the arrival of the call that takes it. */
  pickUpP50Ms: number;
  pickUpP99Ms: number;
}

/** How many requests wait; each ten times the one before. */
const SIZES = [1_000, 10_000, 100_000, 1_000_000];
const RUNS = 3;

export const GROWTH_COLUMNS: readonly Column[] = [
  { title: '' },
  ...SIZES.map((size): Column => ({ title: fixed(size, 0), align: 'right' })),
  { title: 'exponent', align: 'right' },
];

/** So few calls that a place is free at known moments, and nothing else is waited for. */
const MAX = 20;
const WINDOW_MS = 1_000;
const LIMITS = `${MAX}/1s`;
/** Pick-ups that are measured. */
const MEASURED = 200;

export async function growAll(): Promise<Map<number, Grown[]>> {
  const grown = new Map<number, Grown[]>();
  for (const size of SIZES) grown.set(size, await repeat(RUNS, () => growTo(size)));
  return grown;
}

/** The exponent from the last size but one to the last: what takes the same for any number weighs least there. */
export function growthRows(grown: ReadonlyMap<number, readonly Grown[]>): string[][] {
  const row = (what: string, digits: number, of: (its: Grown, size: number) => number) => {
    const values = [...grown].map(([size, runs]) => median(runs.map((its) => of(its, size))));
    const [less = Number.NaN, more = Number.NaN] = values.slice(-2);
    return [what, ...values.map((value) => fixed(value, digits)), fixed(exponent(less, more), 2)];
  };
  return [
    row('submit, process start included, s', 2, ({ submitMs }) => submitMs / 1e3),
    row('… ids a second', 0, ({ submitMs }, size) => (1e3 * size) / submitMs),
    row('Redis memory, MiB', 2, ({ redisBytes }) => redisBytes / 1_048_576),
    row('… bytes per id', 0, ({ redisBytes }, size) => redisBytes / size),
    row('a place in the window is free to its call, p50, ms', 1, ({ pickUpP50Ms }) => pickUpP50Ms),
    row('… p99, ms', 1, ({ pickUpP99Ms }) => pickUpP99Ms),
    row('status, ms', 2, ({ statusMs }) => statusMs),
    row('report, process start included, s', 2, ({ reportMs }) => reportMs / 1e3),
  ];
}

/** A campaign of so many ids on a Redis of its own. */
async function growTo(count: number): Promise<Grown> {
  const redis = await emptyRedis();
  const file = join(TEST_DIR, `bench-${newLabel()}`);
  try {
    await writeIds(file, count);
    const client = await redis.connect();
    const tenant = await newTenant(client, { RATE_LIMITS: LIMITS, URGENT_RESERVE: 'none' });
    const run = (args: readonly string[]) => timeCli(args, redis, tenant);
    const before = await usedMemory(client);
    const submitMs = await run(['submit', file, '--campaign', 'bench', '--comment', 'bench', '--yes']);
    const redisBytes = (await usedMemory(client)) - before;
    const statusMs = await timeStatus(tenant);
    const reportMs = await run(['report', 'bench', '--format', 'jsonl', '--output', `${file}.out`]);
    const waits = await pickUps(redis, tenant);
    return {
      submitMs,
      redisBytes,
      statusMs,
      reportMs,
      pickUpP50Ms: percentile(waits, 50),
      pickUpP99Ms: percentile(waits, 99),
    };
  } finally {
    await Promise.all([file, `${file}.out`].map((path) => rm(path, { force: true })));
    await redis.close();
  }
}

/** By which power of the number of requests something grows, from one to ten times as many: 0 is flat, 1 proportional. */
function exponent(less: number, more: number): number {
  return Math.log10(more / less);
}

async function timeCli(args: readonly string[], redis: TestRedis, { label }: TestTenant): Promise<number> {
  const started = performance.now();
  const child = startCli(args, {
    env: { REDIS_URL: redis.url, STANDDOWN_TENANT: label, STANDDOWN_DATA_DIR: TEST_DIR },
  });
  if ((await child.exited) !== 0) throw new Error(`${args[0]} failed: ${child.stderr}`);
  return performance.now() - started;
}

async function timeStatus(tenant: TestTenant): Promise<number> {
  const times: number[] = [];
  for (let look = 0; look < 50; look++) {
    const at = performance.now();
    await campaignStatus(tenant, 'bench');
    times.push(performance.now() - at);
  }
  return median(times);
}

/** A worker calls for the first of the ids; the API knows none of them, which costs it the same. */
async function pickUps(redis: TestRedis, { label }: TestTenant): Promise<number[]> {
  const simulator = await startSimulatorProcess(LIMITS, { latencyMs: { min: 4, max: 16 } });
  const worker = startCli(['worker'], {
    env: {
      ...simulator.settings,
      REDIS_URL: redis.url,
      STANDDOWN_TENANT: label,
      RATE_LIMITS: LIMITS,
      URGENT_RESERVE: 'none',
      PRECHECK: 'off',
      LOG_LEVEL: 'warn',
    },
  });
  try {
    const calls = await eventually(async () => {
      const all = (await simulator.calls()).filter(({ operation }) => operation === 'cancel');
      const answered = all.filter(({ answeredAtMs }) => answeredAtMs !== null);
      assert.ok(answered.length >= MEASURED + MAX, `${answered.length} calls: ${worker.stderr}`);
      return answered;
    }, 60_000);
    const answers = calls.map(({ answeredAtMs }) => answeredAtMs ?? 0).sort((a, b) => a - b);
    return calls.slice(MAX).map(({ arrivedAtMs }, n) => arrivedAtMs - (answers[n] ?? 0) - WINDOW_MS);
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
    await simulator.stop();
  }
}
