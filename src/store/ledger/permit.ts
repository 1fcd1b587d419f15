import type { Outcome } from '../../base/outcome.ts';
import { sighting } from '../budget/epoch.ts';
import type { Sighting } from '../budget/memory.ts';
import { asList, asNumber, asText } from '../script.ts';

/** Keys were built from an outdated view; `direct`: the campaign of single cancels is gone, or the number another's. */
export interface Again {
  kind: 'again';
  buckets?: number;
  campaign?: number;
  direct?: true;
}

/** Reads what a script says of an outdated view. */
export function readAgain([, what, number]: readonly unknown[]): Again {
  if (what === 'direct') return { kind: 'again', direct: true };
  return { kind: 'again', [what === 'buckets' ? 'buckets' : 'campaign']: asNumber(number) };
}

/** What the ledger and the budget say to a request. Waits in ms. */
export type Permit =
  /** Call now. `lapse`: when the claim ends, on Redis' clock. */
  | { kind: 'granted'; slot: string; lapse: number; attempts: number; probe: boolean; check: string[] }
  /** It has ended already; `position` is its place in the campaign's results. */
  | { kind: 'outcome'; outcome: Outcome; position: number }
  /** It ended just now, without another call: values of its results entry; `paused`: that paused the campaign. */
  | { kind: 'decided'; values: readonly unknown[]; paused: boolean }
  /** A 400 is being looked into: Get only. */
  | { kind: 'check' }
  /** No longer in `checking`: cancel again. */
  | { kind: 'open' }
  | { kind: 'unknown' }
  /** The owner may not run: paused, or ended while the id was unknown. Or the urgent campaign may not that the call would be for. */
  | { kind: 'owner'; state: string }
  /** This wish has expired; the action's own campaign goes on. */
  | { kind: 'lapsed' }
  | { kind: 'later'; ms: number }
  | { kind: 'claimed'; ms: number }
  /** `look`: not an exact wait, only when to look again. */
  | { kind: 'hold'; reason: string; ms: number; look: boolean }
  | { kind: 'window'; ms: number; look: boolean }
  | Again
  /** The epoch is another one, or Redis' clock is off: nothing was taken. */
  | { kind: 'refused'; refusal: string; now: number; why: string };

export interface BeginReply {
  permit: Permit;
  /** What changed among the slots, where the script looked at them. */
  sighting: Sighting | null;
}

/** Reads what the script `begin` answered. */
export function readBegin(reply: readonly unknown[]): BeginReply {
  const permit = readPermit(reply);
  const looked = permit.kind === 'granted' || permit.kind === 'hold' || permit.kind === 'window';
  const head = looked ? reply.at(-2) : null;
  return { permit, sighting: Array.isArray(head) ? sighting(head, reply.at(-1)) : null };
}

function readPermit(reply: readonly unknown[]): Permit {
  const [kind, first, second, third, fourth, fifth] = reply;
  switch (kind) {
    case 'granted':
      return {
        kind,
        slot: asText(first),
        lapse: asNumber(second),
        attempts: asNumber(third),
        probe: fourth === 'probe',
        check: typeof fifth === 'string' && fifth.startsWith('[') ? (JSON.parse(fifth) as string[]) : [],
      };
    case 'outcome':
      return { kind, outcome: asText(first) as Outcome, position: asNumber(second) };
    case 'decided':
      return { kind, values: asList(first), paused: second === 'paused' };
    case 'check':
    case 'open':
    case 'unknown':
    case 'lapsed':
      return { kind };
    case 'owner':
      return { kind, state: asText(first) };
    case 'later':
    case 'claimed':
      return { kind, ms: asNumber(first) };
    case 'hold':
      return { kind, reason: asText(first), ms: asNumber(second), look: asNumber(third) === 1 };
    case 'window':
      return { kind, ms: asNumber(first), look: asNumber(second) === 1 };
    case 'again':
      return readAgain(reply);
    case 'epoch':
    case 'time':
      return { kind: 'refused', refusal: kind, now: asNumber(first), why: asText(second) };
    default:
      throw new TypeError(`begin answered ${JSON.stringify(reply)}`);
  }
}
