import type { Clock } from '../base/clock.ts';
import type { BehaviourSwitch } from './behaviour.ts';
import { completeAction, isFinal, type MachineAction, type SeedAction } from './machine-action.ts';
import { countBy } from './summary.ts';

export interface CancelWish {
  id: string;
  comment: string;
  requestor: string;
}

/** `applied`: whether this call is what cancels the action. */
export type CancelResult =
  | { kind: 'not-found' }
  | { kind: 'already-final'; action: MachineAction }
  | { kind: 'taken'; action: MachineAction; applied: boolean };

/** The tenant's machine actions. Ids are lower case. */
export interface ActionStore {
  /** Adds, or replaces by id. */
  add(seeds: readonly SeedAction[]): void;
  /** The action as it is, whatever the API would show of it. */
  peek(id: string): MachineAction | null;
  /** The action as Get and cancel see it: not in its first moments, when these are set to be blind. */
  find(id: string): MachineAction | null;
  all(): Iterable<MachineAction>;
  cancel(wish: CancelWish): CancelResult;
  countByStatus(): Record<string, number>;
  clear(): void;
}

interface Entry {
  action: MachineAction;
  /** Monotonic ms at which an accepted cancellation shows; null: none is under way. */
  cancelDueMs: number | null;
}

export function createActionStore({
  clock,
  behaviour,
}: {
  clock: Clock;
  behaviour: BehaviourSwitch;
}): ActionStore {
  const entries = new Map<string, Entry>();

  const finish = (entry: Entry) => {
    const now = new Date(clock.wall()).toISOString();
    entry.cancelDueMs = null;
    entry.action.status = 'Cancelled';
    entry.action.lastUpdateDateTimeUtc = now;
    entry.action.cancellationDateTimeUtc = now;
  };

  // Looked at only when somebody reads: no timers that could outlive the simulator.
  const settle = (entry: Entry): MachineAction => {
    if (entry.cancelDueMs !== null && entry.cancelDueMs <= clock.monotonic()) finish(entry);
    return entry.action;
  };

  const begin = (entry: Entry, { comment, requestor }: CancelWish): boolean => {
    if (entry.cancelDueMs !== null) return false;
    const { cancelled, laterMs } = behaviour.now();
    entry.action.cancellationRequestor = requestor;
    entry.action.cancellationComment = comment;
    if (cancelled === 'at-once') finish(entry);
    else entry.cancelDueMs = clock.monotonic() + laterMs;
    return true;
  };

  const cancelSiblings = (wish: CancelWish) => {
    for (const id of behaviour.now().siblings[wish.id] ?? []) {
      const entry = entries.get(id);
      if (entry && !isFinal(settle(entry).status)) begin(entry, wish);
    }
  };

  const peek = (id: string) => {
    const entry = entries.get(id);
    return entry ? settle(entry) : null;
  };
  function* all() {
    for (const entry of entries.values()) yield settle(entry);
  }
  const isTooNew = (action: MachineAction) =>
    clock.wall() - Date.parse(action.creationDateTimeUtc) < behaviour.now().transient404Ms;
  const find = (id: string) => {
    const action = peek(id);
    return action && !isTooNew(action) ? action : null;
  };

  return {
    add: (seeds) => {
      for (const seed of seeds) {
        const action = completeAction(seed, clock.wall());
        entries.set(action.id, { action, cancelDueMs: null });
      }
    },
    peek,
    find,
    all,
    cancel: (wish) => {
      const action = find(wish.id);
      const entry = entries.get(wish.id);
      if (!action || !entry) return { kind: 'not-found' };
      if (isFinal(action.status)) return { kind: 'already-final', action };
      const applied = begin(entry, wish);
      cancelSiblings(wish);
      return { kind: 'taken', action, applied };
    },
    countByStatus: () => countBy(all(), (action) => action.status),
    clear: () => entries.clear(),
  };
}
