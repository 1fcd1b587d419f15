import type { FaultRule } from './faults.ts';
import { completeAction, type MachineAction } from './machine-action.ts';
import { createRandom, pick, type Random, randomGuid, randomInteger, shuffle } from './random.ts';

/** Shares of the ids, in any unit. */
export interface ActionMix {
  pending?: number;
  inProgress?: number;
  succeeded?: number;
  failed?: number;
  timeOut?: number;
  cancelled?: number;
  /** Ids that no action has. */
  unknown?: number;
  /** Pending, but cancelling them is answered with 403 once `faults` is in force. */
  forbidden?: number;
}

/** What a tenant looks like some minutes after somebody started too much. */
export const DEMO_MIX: Readonly<ActionMix> = {
  pending: 80,
  inProgress: 10,
  succeeded: 4,
  failed: 1,
  cancelled: 2,
  unknown: 2,
  forbidden: 1,
};

export interface MakeActionsOptions {
  /** How many ids, unknown ones included. */
  count: number;
  /** Default 1. The same seed and `nowMs` give the same actions. */
  seed?: number;
  /** Default: all pending. */
  mix?: ActionMix;
  /** Default: all types by turns. */
  type?: string;
  /** Creation times lie in the `withinMs` (default 3,600,000) before `nowMs` (default: now). */
  nowMs?: number;
  withinMs?: number;
}

export interface MadeActions {
  /** For `addActions`. Of made-up machines of a made-up company. */
  actions: MachineAction[];
  /** All ids, in no particular order. */
  ids: string[];
  unknownIds: string[];
  forbiddenIds: string[];
  /** For `setFaults`: the 403 of the forbidden ones. */
  faults: FaultRule[];
}

type Part = keyof ActionMix;

const STATUS_BY_PART: Readonly<Record<Part, string>> = {
  pending: 'Pending',
  inProgress: 'InProgress',
  succeeded: 'Succeeded',
  failed: 'Failed',
  timeOut: 'TimeOut',
  cancelled: 'Cancelled',
  unknown: '',
  forbidden: 'Pending',
};

const TYPES = [
  'RunAntiVirusScan',
  'Isolate',
  'CollectInvestigationPackage',
  'StopAndQuarantineFile',
  'RestrictCodeExecution',
  'Unisolate',
  'LiveResponse',
  'UnrestrictCodeExecution',
  'Offboard',
] as const;

const SITES = ['berlin', 'lyon', 'oslo', 'porto', 'turin'] as const;
const KINDS = ['ws', 'srv', 'lap'] as const;
const REQUESTORS = ['analyst@contoso.example', 'soc@contoso.example', 'automation'] as const;

/** Machine actions as a tenant could have them; nothing in them is real. */
export function makeActions(options: MakeActionsOptions): MadeActions {
  const random = createRandom(options.seed ?? 1);
  const parts = shuffle(random, apportion(options.count, options.mix ?? { pending: 1 }));
  const made: MadeActions = { actions: [], ids: [], unknownIds: [], forbiddenIds: [], faults: [] };
  for (const [index, part] of parts.entries()) {
    const id = randomGuid(random);
    made.ids.push(id);
    if (part === 'unknown') made.unknownIds.push(id);
    else made.actions.push(makeAction({ id, index, part, random, options }));
    if (part === 'forbidden') made.forbiddenIds.push(id);
  }
  if (made.forbiddenIds.length > 0) made.faults.push(forbid(made.forbiddenIds));
  return made;
}

interface Blank {
  id: string;
  index: number;
  part: Part;
  random: Random;
  options: MakeActionsOptions;
}

function makeAction({ id, index, part, random, options }: Blank): MachineAction {
  const nowMs = options.nowMs ?? Date.now();
  const createdMs = nowMs - 1_000 - randomInteger(random, options.withinMs ?? 3_600_000);
  const updatedMs = createdMs + randomInteger(random, nowMs - createdMs);
  const type = options.type ?? TYPES[index % TYPES.length] ?? TYPES[0];
  const status = STATUS_BY_PART[part];
  const requestor = pick(random, REQUESTORS);
  const cancelled = status === 'Cancelled';
  return completeAction(
    {
      id,
      type,
      status,
      scope: type === 'RunAntiVirusScan' || type === 'Isolate' ? 'Full' : null,
      requestor,
      requestorComment: `Started by ${requestor}`,
      machineId: (randomGuid(random) + randomGuid(random)).replaceAll('-', '').slice(0, 40),
      computerDnsName: machineName(index, random),
      creationDateTimeUtc: apiTime(createdMs),
      lastUpdateDateTimeUtc: apiTime(updatedMs),
      ...(cancelled && {
        cancellationRequestor: 'soc@contoso.example',
        cancellationComment: 'No longer needed',
        cancellationDateTimeUtc: apiTime(updatedMs),
      }),
      errorHResult: status === 'Failed' ? -2_147_024_894 : 0,
    },
    nowMs,
  );
}

function machineName(index: number, random: Random): string {
  return `${pick(random, KINDS)}-${pick(random, SITES)}-${String(index + 1).padStart(5, '0')}.contoso.example`;
}

/** The API writes seven decimals. */
function apiTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}0000Z`;
}

/** Exactly `count` parts in these shares; what rounding leaves over goes to the largest remainders. */
function apportion(count: number, mix: ActionMix): Part[] {
  const shares = Object.entries(mix) as [Part, number][];
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  const quotas = shares.map(([part, share]) => ({ part, exact: total > 0 ? (count * share) / total : 0 }));
  const byRemainder = quotas.toSorted((a, b) => (b.exact % 1) - (a.exact % 1));
  const whole = quotas.reduce((sum, { exact }) => sum + Math.floor(exact), 0);
  const extra = new Set(byRemainder.slice(0, count - whole).map(({ part }) => part));
  return quotas.flatMap(({ part, exact }) => {
    const size = Math.floor(exact) + (extra.has(part) ? 1 : 0);
    return new Array<Part>(size).fill(part);
  });
}

function forbid(ids: readonly string[]): FaultRule {
  const message = 'The application has no access to the machine group of this machine.';
  return { operation: 'cancel', ids, fault: { kind: 'status', status: 403, code: 'Forbidden', message } };
}
