import type { Outcome } from '../../src/base/outcome.ts';
import { type Random, randomGuid } from '../../src/simulator/random.ts';

/** A machine action as the model has it. */
export interface Action {
  status: 'Pending' | 'Succeeded' | 'Cancelled';
  /** Stays as it is although its cancel is taken. */
  isSlow: boolean;
  /** Cancels that were taken. */
  cancels: number;
}

/** Ids that are asked for, and the actions that there are among them. */
export interface MadeActions {
  ids: string[];
  actions: Map<string, Action>;
}

export function makeActions(random: Random, count: number): MadeActions {
  const ids: string[] = [];
  const actions = new Map<string, Action>();
  while (ids.length < count) {
    const id = randomGuid(random);
    const chance = random();
    ids.push(id);
    if (chance < 0.01) continue;
    actions.set(id, { status: chance < 0.05 ? 'Succeeded' : 'Pending', isSlow: chance > 0.98, cancels: 0 });
  }
  return { ids, actions };
}

/** Why an outcome is not what became of the action; null: it is. */
export function untruth(
  action: Action | undefined,
  { outcome, uncertain, attempts }: { outcome: Outcome; uncertain: boolean; attempts: number },
): string | null {
  const status = action?.status ?? 'nothing';
  const isTrue = () => {
    switch (outcome) {
      case 'cancelled':
        return status === 'Cancelled';
      case 'accepted':
        return status === 'Pending' && action?.isSlow === true && action.cancels > 0;
      case 'not_found':
        return status === 'nothing';
      // Whether Get could say what the 400 was about.
      case 'already_final':
      case 'rejected':
        return status === 'Succeeded' || (status === 'Cancelled' && uncertain);
      case 'unresolved':
        return attempts > 1;
      default:
        return false;
    }
  };
  return isTrue() ? null : `${outcome} after ${attempts} attempts, but the action is ${status}`;
}
