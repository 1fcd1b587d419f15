import { availableParallelism } from 'node:os';
import { median } from '../bench/measure.ts';
import { ROOT, startNode } from '../support/processes.ts';
import type { TenantReport } from './judge.ts';
import type { Simulated } from './simulate.ts';
import type { Scale } from './tenant.ts';

/** 20,000 requests take a tenant more than 13 hours; all of them begin within two days. */
export const FULL: Scale = {
  tenants: 100,
  requests: 20_000,
  windows: [
    { max: 100, lengthMs: 60_000 },
    { max: 1_500, lengthMs: 3_600_000 },
  ],
  seed: 1,
  beginWithinMs: 2 * 86_400_000,
};

export interface SimulatedFleet extends Simulated {
  /** Real time, in s. */
  seconds: number;
}

/** Plays a simulation in as many processes, each with a Redis of its own, as there are cores. */
export async function simulateFleet(scale: Scale): Promise<SimulatedFleet> {
  const started = performance.now();
  const parts = Math.min(availableParallelism(), scale.tenants);
  const all = await Promise.all(
    Array.from({ length: parts }, (_, at) => simulatePart(scale, { at, of: parts })),
  );
  return {
    tenants: all.flatMap(({ tenants }) => tenants).sort((a, b) => a.index - b.index),
    simulatedMs: Math.max(...all.map(({ simulatedMs }) => simulatedMs)),
    scripts: all.reduce((sum, { scripts }) => sum + scripts, 0),
    seconds: (performance.now() - started) / 1_000,
  };
}

async function simulatePart(scale: Scale, part: { at: number; of: number }): Promise<Simulated> {
  const child = startNode(`${ROOT}/test/scale/part.ts`, [JSON.stringify(scale), JSON.stringify(part)]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`part ${part.at} of the simulation ended with ${code}: ${child.stderr}`);
  return JSON.parse(child.stdout) as Simulated;
}

/** What several tenants came to. */
export interface Summary {
  tenants: number;
  requests: number;
  /** Told an outcome, exactly one. */
  ended: number;
  calls: number;
  /** Calls that were not refused, over calls possible. */
  use: number;
  /** Makespan over ideal. */
  over: { median: number; most: number };
  refused: number;
  excess: number;
  repeats: number;
  crashes: number;
  outages: number;
  late: number;
  lost: number;
  violated: number;
}

export function summarize(reports: readonly TenantReport[]): Summary {
  const sum = (value: (report: TenantReport) => number) =>
    reports.reduce((total, report) => total + value(report), 0);
  const overs = reports.map(({ makespanMs, idealMs }) => makespanMs / idealMs);
  return {
    tenants: reports.length,
    requests: sum(({ requests }) => requests),
    ended: sum(({ outcomes }) => Object.values(outcomes).reduce((total, count) => total + count, 0)),
    calls: sum(({ calls }) => calls),
    use: sum(({ calls, refused }) => calls - refused) / sum(({ possible }) => possible),
    over: { median: median(overs), most: Math.max(...overs) },
    refused: sum(({ refused }) => refused),
    excess: sum(({ excess }) => excess),
    repeats: sum(({ repeats }) => repeats),
    crashes: sum(({ crashes }) => crashes),
    outages: sum(({ outages }) => outages),
    late: sum(({ fates }) => fates.late),
    lost: sum(({ fates }) => fates.lost),
    violated: sum(({ violated }) => violated),
  };
}

/** Those that have their application for themselves, and those that share it. */
export function byKind({ tenants }: Pick<Simulated, 'tenants'>): { alone: Summary; shared: Summary } {
  return {
    alone: summarize(tenants.filter(({ isShared }) => !isShared)),
    shared: summarize(tenants.filter(({ isShared }) => isShared)),
  };
}

/** For a table that shows both kinds side by side: what, its own, shared, nothing, target. */
export function scaleRows(fleet: SimulatedFleet): string[][] {
  const { alone, shared } = byKind(fleet);
  const row = (what: string, show: (summary: Summary) => string, target = '') => [
    what,
    show(alone),
    show(shared),
    '',
    target,
  ];
  const count = (key: keyof Omit<Summary, 'over'>) => (summary: Summary) =>
    summary[key].toLocaleString('en-US');
  return [
    row('requests', count('requests')),
    row('ended exactly once', count('ended'), 'all'),
    row('calls', count('calls')),
    row('of those possible, %', ({ use }) => (100 * use).toFixed(2)),
    row('first to last call, over the ideal, median', ({ over }) => over.median.toFixed(4), '≤ 1.01'),
    row('… at most', ({ over }) => over.most.toFixed(4)),
    row('refused (429)', count('refused'), '0 alone'),
    row('more than a window allows', count('excess'), '0'),
    row('calls repeated', count('repeats')),
    row('workers killed in the middle', count('crashes')),
    row('answers late', count('late')),
    row('answers lost', count('lost')),
    row('anything else that must not be', count('violated'), '0'),
  ];
}
