import type { Action } from '../../defender/classify.ts';

/** How many of each, most first. */
export type Counts = [value: string, count: number][];

/** What a number of machine actions has in common. */
export interface Tally {
  total: number;
  byType: Counts;
  byStatus: Counts;
  byRequestor: Counts;
  /** By name where there is one. */
  byMachine: Counts;
  /** ISO 8601 UTC; null: none says when it was created. */
  oldest: string | null;
  newest: string | null;
}

/** Counts actions as they come. */
export function createTally() {
  const fields = { byType: counter(), byStatus: counter(), byRequestor: counter(), byMachine: counter() };
  let total = 0;
  let oldest: string | null = null;
  let newest: string | null = null;
  return {
    add: ({ requestor, summary }: Action): void => {
      total++;
      fields.byType.add(summary.type);
      fields.byStatus.add(summary.status);
      fields.byRequestor.add(requestor);
      fields.byMachine.add(summary.computerDnsName ?? summary.machineId);
      const { createdAt } = summary;
      // Both are ISO 8601 in UTC with three decimals: they sort as text.
      if (createdAt !== null && (oldest === null || createdAt < oldest)) oldest = createdAt;
      if (createdAt !== null && (newest === null || createdAt > newest)) newest = createdAt;
    },
    result: (): Tally => ({
      total,
      byType: fields.byType.result(),
      byStatus: fields.byStatus.result(),
      byRequestor: fields.byRequestor.result(),
      byMachine: fields.byMachine.result(),
      oldest,
      newest,
    }),
  };
}

export function tallyOf(actions: Iterable<Action>): Tally {
  const tally = createTally();
  for (const action of actions) tally.add(action);
  return tally.result();
}

function counter() {
  const counts = new Map<string, number>();
  return {
    add: (value: string | null) => {
      const name = value ?? '(none)';
      counts.set(name, (counts.get(name) ?? 0) + 1);
    },
    result: (): Counts => [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)),
  };
}
