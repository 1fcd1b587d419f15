import assert from 'node:assert/strict';
import { makeActions } from '../../../src/simulator/index.ts';
import { largestInWindow } from '../../../src/simulator/summary.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../../support/simulator.ts';
import { quotas } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import type { Contender, Crew, Field } from './contender.ts';
import { idealMs, LATENCIES, LIMITS, type SetUp } from './set-up.ts';

/** What the server saw of one run. */
export interface Seen {
  /** Calls refused with 429. */
  refused: number;
  /** From the first call's arrival to that of the last one that was served, over the ideal. */
  overIdeal: number;
  /** The most calls that arrived in any window, refused ones too; the shorter window first. */
  peaks: number[];
  /** Calls for an id that had been served before. */
  repeated: number;
  /** Ids that were never cancelled, though whoever had them has nothing left to do; or has done nothing for long. */
  lost: number;
  /** Whether it was given up before it had come to an end. */
  unfinished: boolean;
  /** Then the last of what its processes wrote on standard error. */
  said: string;
}

export interface CellOptions extends Pick<Field, 'redis' | 'client'> {
  setUp: SetUp;
  /** Whether a process is killed once half of the ids were cancelled. */
  kill: boolean;
}

/** Locks, claims and stall checks of everybody have passed twice, in ms. */
const RECOVERY_MS = 150_000;

export async function play(contender: Contender, { redis, client, setUp, kill }: CellOptions): Promise<Seen> {
  const limits = LIMITS[setUp.scale];
  const simulator = await startSimulatorProcess(limits, {
    ...LATENCIES[setUp.latency],
    limits: { mode: setUp.mode },
  });
  const made = makeActions({ count: setUp.ids });
  await simulator.addActions(made.actions);
  let crew: Crew | null = null;
  try {
    crew = await contender.start({ setUp, redis, client, simulator, ids: made.ids });
    await crew.go();
    if (kill) await killHalfWay(crew, simulator, setUp.ids);
    const ideal = idealMs(setUp.ids, quotas(limits));
    const { untilIdle } = crew;
    const unfinished = await eventually(untilIdle, RECOVERY_MS + 10 * ideal).then(
      () => false,
      () => true,
    );
    const said = unfinished ? crew.said().split('\n').slice(-5).join('\n') : '';
    return { ...(await judge(simulator, made.ids, setUp)), unfinished, said };
  } finally {
    await crew?.close();
    await simulator.stop();
  }
}

async function killHalfWay(crew: Crew, simulator: SimulatorProcess, ids: number): Promise<void> {
  let seen = 0;
  let served = 0;
  await eventually(async () => {
    const calls = await simulator.calls(seen);
    // One without an answer yet is looked at again, with those after it.
    const pending = calls.findIndex(({ verdict }) => verdict === 'pending');
    const decided = pending < 0 ? calls : calls.slice(0, pending);
    seen += decided.length;
    served += decided.filter(({ operation, applied }) => operation === 'cancel' && applied).length;
    assert.ok(served >= ids / 2);
  }, RECOVERY_MS);
  await crew.kill();
}

async function judge(
  simulator: SimulatorProcess,
  ids: readonly string[],
  setUp: SetUp,
): Promise<Omit<Seen, 'unfinished' | 'said'>> {
  const calls = (await simulator.calls()).filter(({ operation }) => operation === 'cancel');
  const served = calls.filter(({ verdict }) => verdict === 'served');
  const cancelled = new Set(served.filter(({ applied }) => applied).map(({ id }) => id));
  const arrivals = calls.map(({ arrivedAtMs }) => arrivedAtMs);
  const limits = quotas(LIMITS[setUp.scale]);
  const makespanMs = (served.at(-1)?.arrivedAtMs ?? 0) - (arrivals[0] ?? 0);
  return {
    refused: calls.filter(({ verdict }) => verdict === 'refused').length,
    overIdeal: makespanMs / idealMs(setUp.ids, limits),
    peaks: limits.map(({ windowMs }) => largestInWindow(arrivals, windowMs)),
    repeated: served.length - new Set(served.map(({ id }) => id)).size,
    lost: ids.filter((id) => !cancelled.has(id)).length,
  };
}
