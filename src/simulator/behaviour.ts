/** What Microsoft does not document and clients have seen both ways. */
export interface Behaviour {
  /** Cancelling an action that has ended: an error, or 200 with the object unchanged. Default `400`. */
  finalState: '400' | '200';
  /** Whether the object of a 200 says Cancelled, or goes on for `laterMs` first. Default `at-once`. */
  cancelled: 'at-once' | 'later';
  /** Default 5,000. */
  laterMs: number;
  /** Whether the role must be the one for the action's type instead of any cancel role. Default false. */
  permissionMustMatchType: boolean;
  /** Cancelling the action named by a key cancels the listed ones too. Default none. */
  siblings: Readonly<Record<string, readonly string[]>>;
  /** Get and cancel answer 404 for an action created less than this ago, by its own creation time. Default 0. */
  transient404Ms: number;
}

export const DEFAULT_BEHAVIOUR: Readonly<Behaviour> = {
  finalState: '400',
  cancelled: 'at-once',
  laterMs: 5_000,
  permissionMustMatchType: false,
  siblings: {},
  transient404Ms: 0,
};

export interface BehaviourSwitch {
  now(): Readonly<Behaviour>;
  set(patch: Partial<Behaviour>): void;
}

export function createBehaviour(initial: Partial<Behaviour>): BehaviourSwitch {
  let behaviour = merge(DEFAULT_BEHAVIOUR, initial);
  return {
    now: () => behaviour,
    set: (patch) => {
      behaviour = merge(behaviour, patch);
    },
  };
}

function merge(base: Readonly<Behaviour>, patch: Partial<Behaviour>): Behaviour {
  const merged = { ...base, ...patch };
  const siblings = Object.entries(merged.siblings).map(([id, others]) => [
    id.toLowerCase(),
    others.map((other) => other.toLowerCase()),
  ]);
  return { ...merged, siblings: Object.fromEntries(siblings) };
}
