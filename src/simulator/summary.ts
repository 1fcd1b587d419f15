import { type ApiOperation, type Call, OPERATIONS, type Operation, type Verdict } from './calls.ts';
import type { Quota } from './limiter.ts';

/** The most arrivals that any window of this length held. */
export interface Peak {
  windowMs: number;
  /** The limit for this window; null where none is set. */
  max: number | null;
  /** Calls that used quota. */
  counted: number;
  /** All calls that arrived, refused ones too. */
  arrivals: number;
}

export interface OperationSummary {
  calls: number;
  counted: number;
  applied: number;
  verdicts: Partial<Record<Verdict, number>>;
  /** By status; `none` for calls without an answer. */
  statuses: Record<string, number>;
  peaks: Peak[];
}

export interface Summary {
  elapsedMs: number;
  calls: number;
  /** Ms since start; null while there was no call. */
  firstArrivalMs: number | null;
  lastArrivalMs: number | null;
  unknownPaths: number;
  operations: Record<Operation, OperationSummary>;
  /** How many machine actions are in which status. */
  actions: Record<string, number>;
}

export interface SummaryInput {
  calls: readonly Call[];
  elapsedMs: number;
  actions: Record<string, number>;
  quotas: Record<ApiOperation, readonly Quota[]>;
  /** One more window to give the peak of. */
  windowMs?: number | undefined;
}

/** The largest number of arrivals in any half-open window of `windowMs`; `arrivals` ascend. */
export function largestInWindow(arrivals: readonly number[], windowMs: number): number {
  let largest = 0;
  let first = 0;
  for (const [last, arrival] of arrivals.entries()) {
    while (arrival - (arrivals[first] ?? arrival) >= windowMs) first += 1;
    largest = Math.max(largest, last - first + 1);
  }
  return largest;
}

/** How many of an operation's calls that used quota came in the busiest window of this length. */
export function peakOf(calls: readonly Call[], operation: ApiOperation, windowMs: number): number {
  const counted = calls.filter((call) => call.operation === operation && call.counted);
  return largestInWindow(
    counted.map((call) => call.arrivedAtMs),
    windowMs,
  );
}

export function summarize(input: SummaryInput): Summary {
  const { calls } = input;
  const of = (operation: Operation) => summarizeOperation(operation, input);
  return {
    elapsedMs: input.elapsedMs,
    calls: calls.length,
    firstArrivalMs: calls[0]?.arrivedAtMs ?? null,
    lastArrivalMs: calls.at(-1)?.arrivedAtMs ?? null,
    unknownPaths: calls.filter((call) => call.verdict === 'unknown-path').length,
    operations: Object.fromEntries(OPERATIONS.map((name) => [name, of(name)])) as Summary['operations'],
    actions: input.actions,
  };
}

function summarizeOperation(operation: Operation, input: SummaryInput): OperationSummary {
  const calls = input.calls.filter((call) => call.operation === operation);
  return {
    calls: calls.length,
    counted: calls.filter((call) => call.counted).length,
    applied: calls.filter((call) => call.applied).length,
    verdicts: countBy(calls, (call) => call.verdict),
    statuses: countBy(calls, (call) => String(call.status ?? 'none')),
    peaks: peaksOf(calls, operation === 'token' ? [] : input.quotas[operation], input.windowMs),
  };
}

function peaksOf(calls: readonly Call[], quotas: readonly Quota[], windowMs: number | undefined): Peak[] {
  const lengths = new Set(quotas.map((quota) => quota.windowMs));
  if (windowMs !== undefined) lengths.add(windowMs);
  const arrivals = calls.map((call) => call.arrivedAtMs);
  const counted = calls.filter((call) => call.counted).map((call) => call.arrivedAtMs);
  return [...lengths].map((length) => ({
    windowMs: length,
    max: quotas.find((quota) => quota.windowMs === length)?.max ?? null,
    counted: largestInWindow(counted, length),
    arrivals: largestInWindow(arrivals, length),
  }));
}

export function countBy<T>(items: Iterable<T>, key: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1;
  return counts;
}
