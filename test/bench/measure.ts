import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from '../../src/store/script.ts';
import type { Process } from '../support/processes.ts';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = low] = [sorted[middle - 1 + (sorted.length % 2)], sorted[middle]];
  return (low + high) / 2;
}

/** The value that so many percent of all do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}

/** Commands Redis has carried out so far, those inside scripts included. */
export async function commandsProcessed(redis: RedisClient): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1]);
}

/** Bytes that came to Redis and went from it so far. */
export async function bytesMoved(redis: RedisClient): Promise<number> {
  const info = await redis.info('stats');
  const bytes = (way: string) => Number(new RegExp(`total_net_${way}_bytes:(\\d+)`).exec(info)?.[1]);
  return bytes('input') + bytes('output');
}

/** CPU time Redis has used so far, in ms. */
export async function redisCpuMs(redis: RedisClient): Promise<number> {
  const info = await redis.info('cpu');
  const seconds = (kind: string) => Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)?.[1]);
  return 1_000 * (seconds('user') + seconds('sys'));
}

/** Bytes that Redis' data take, as it counts them itself. */
export async function usedMemory(redis: RedisClient): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}

/** The largest resident set of a process that still runs, in MiB. */
export async function peakRssMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
  return Number(peak ?? 0) / 1_024;
}

/** Waits for its end; Linux keeps the peak itself, as long as the process is there to be asked. */
export async function watchMemory(child: Process): Promise<number> {
  let peakMiB = 0;
  let isOver = false;
  const exited = child.exited.then(() => {
    isOver = true;
  });
  while (!isOver) {
    peakMiB = Math.max(peakMiB, await peakRssMiB(child.pid).catch(() => 0));
    await Promise.race([exited, delay(20)]);
  }
  return peakMiB;
}

/** CPU time a process has used so far, in ms. */
export async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Linux counts in hundredths of a second. */
const TICK_MS = 10;

export async function repeat<T>(times: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let at = 0; at < times; at++) results.push(await run());
  return results;
}

/** 12345.6 as 12,345.6. */
export function fixed(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** What goes on while nothing is done. */
export interface AtRest {
  /** Of one core. */
  workerPercent: number;
  redisPercent: number;
  commandsPerSecond: number;
}

/** Watches a worker, whose Redis nobody else uses, for a while. */
export async function watchAtRest(worker: Process, redis: RedisClient, forMs: number): Promise<AtRest> {
  const look = async () => [
    await cpuMs(worker.pid),
    await redisCpuMs(redis),
    await commandsProcessed(redis),
    performance.now(),
  ];
  const before = await look();
  await delay(forMs);
  const after = await look();
  const [workerMs = 0, redisMs = 0, commands = 0, ms = 1] = after.map(
    (value, at) => value - (before[at] ?? 0),
  );
  return {
    workerPercent: (100 * workerMs) / ms,
    redisPercent: (100 * redisMs) / ms,
    commandsPerSecond: (1_000 * commands) / ms,
  };
}
