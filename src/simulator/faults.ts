import type { Operation } from './calls.ts';
import type { Random } from './random.ts';

/** What goes wrong with a call. `applied`: whether the call takes effect all the same; default false. */
export type Fault =
  /** An error answer. `code` and `message` default to the usual ones; `retryAfter` in seconds, or a text as it is. */
  | {
      kind: 'status';
      status: number;
      code?: string;
      message?: string;
      retryAfter?: number | string;
      applied?: boolean;
    }
  /** A gateway's page instead of JSON. */
  | { kind: 'html'; status: number; body?: string; applied?: boolean }
  /** A 200 whose JSON is cut: the connection ends early, or the length is right and the JSON broken. `applied` defaults to true. */
  | { kind: 'truncated'; how: 'closed' | 'broken-json'; applied?: boolean }
  /** The connection is reset before or after the call took effect. */
  | { kind: 'reset'; when: 'before' | 'after' }
  /** No answer until the simulator stops. */
  | { kind: 'hang'; applied?: boolean }
  /**
   * Served `ms` later than usual, and only then takes effect. With `counted: false` it is the way here that takes longer:
   * the call arrives, is recorded and judged by the limits `ms` later, also when its client has given up by then.
   */
  | { kind: 'slow'; ms: number }
  /** `status` defaults to 302, `location` to `/elsewhere`. */
  | { kind: 'redirect'; status?: number; location?: string };

/** Which calls a fault happens to. Without conditions: every call of the API, sign-in excepted. */
export interface FaultRule {
  /** Default: cancel, get and list. `token` must be named. */
  operation?: Operation;
  /** Machine action ids. Default: any. */
  ids?: readonly string[];
  /** How often it happens. Default: always. */
  times?: number;
  /** Whether `times` counts for each id. Default false: in total. */
  perId?: boolean;
  /** The share of matching calls it happens to, 0 to 1. Default 1. */
  rate?: number;
  /** False: happens in front of the limits and the sign-in check, and the call uses no quota. Default true. */
  counted?: boolean;
  fault: Fault;
}

/** `gateway` comes before limits and sign-in check, `service` after. */
export type FaultPlace = 'gateway' | 'service';

export interface Faults {
  replace(rules: readonly FaultRule[]): void;
  add(rule: FaultRule): void;
  /** The fault of the first rule that applies, which is thereby used once; null: none. */
  take(call: { operation: Operation | null; id: string | null }, place: FaultPlace): Fault | null;
}

interface ActiveRule {
  rule: FaultRule;
  place: FaultPlace;
  ids: ReadonlySet<string> | null;
  used: Map<string, number>;
}

export function createFaults({ random }: { random: Random }): Faults {
  let active: ActiveRule[] = [];
  return {
    replace: (rules) => {
      active = rules.map(activate);
    },
    add: (rule) => {
      active.push(activate(rule));
    },
    take: ({ operation, id }, place) => {
      for (const candidate of active) {
        if (candidate.place !== place || !matches(candidate, operation, id)) continue;
        if (!hasTurnsLeft(candidate, id) || !drawn(candidate, random)) continue;
        use(candidate, id);
        return candidate.rule.fault;
      }
      return null;
    },
  };
}

function activate(rule: FaultRule): ActiveRule {
  return {
    rule,
    place: rule.counted === false ? 'gateway' : 'service',
    ids: rule.ids ? new Set(rule.ids.map((id) => id.toLowerCase())) : null,
    used: new Map(),
  };
}

function matches({ rule, ids }: ActiveRule, operation: Operation | null, id: string | null): boolean {
  if (rule.operation === undefined ? operation === 'token' : rule.operation !== operation) return false;
  return ids === null || (id !== null && ids.has(id));
}

function hasTurnsLeft({ rule, used }: ActiveRule, id: string | null): boolean {
  return rule.times === undefined || (used.get(turnKey(rule, id)) ?? 0) < rule.times;
}

function drawn({ rule }: ActiveRule, random: Random): boolean {
  return rule.rate === undefined || random() < rule.rate;
}

function use({ rule, used }: ActiveRule, id: string | null): void {
  if (rule.times === undefined) return;
  const key = turnKey(rule, id);
  used.set(key, (used.get(key) ?? 0) + 1);
}

function turnKey(rule: FaultRule, id: string | null): string {
  return rule.perId ? (id ?? '') : '';
}
