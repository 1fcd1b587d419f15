import { unreachable } from '../../base/errors.ts';
import { foreign } from '../../base/foreign.ts';
import type { Outcome } from '../../base/outcome.ts';
import { commandFor, titled } from '../../base/words/name.ts';
import { describeHold, withoutQuotes } from '../../files/words/blocked.ts';
import { describeCancelled } from '../../files/words/campaign.ts';
import type { Hold } from '../../store/budget/view.ts';
import type { Campaign, DisplayState } from '../../store/campaign/registry.ts';
import { isOver, type Numbers } from '../../store/campaign/status.ts';

/** `ended`: nothing of it is open any more, nor of what it tracks. `refused`: paused after refusals. */
export type NoticeKind = 'ended' | 'held' | 'refused';

/** What a receiver is told. No id of an action, no comment, no person, nor what the API or the sign-in service said. */
export interface Notice {
  v: 1;
  /** The same at each try: whoever sees it twice has seen it. */
  id: string;
  kind: NoticeKind;
  /** When it happened; of a hold, since when it stands. ISO 8601 UTC. */
  at: string;
  tenant: string;
  campaign: string;
  /** All of it in words, for a chat. Times are those of the worker's zone, as of when the notice was written. */
  text: string;
  state: DisplayState;
  /** As `status` has them, those that it tracks included. */
  total: number;
  open: number;
  unknown: number;
  outcomes: Partial<Record<Outcome, number>>;
  /** Why nothing goes out; null unless it is held. */
  hold: { reason: string; until: string | null } | null;
}

/** What happens once: the marker says which time of its kind it is. */
export interface Event {
  campaign: number;
  kind: NoticeKind;
  marker: number;
  notice: Notice;
}

export interface Situation {
  tenant: string;
  /** Redis' clock, in ms. */
  now: number;
  /** What happened before is not told: nobody had asked for notices. */
  askedSince: number;
  /** The hold that stands, and since when; null: none. */
  held: { hold: Hold; since: number } | null;
  holdMs: number;
  /** Before an end is told, in ms. */
  quietMs: number;
}

/** What ended longer ago, in ms, is no news. */
export const STALE_MS = 86_400_000;

/** A campaign as notices see it. */
export interface Seen {
  campaign: Campaign;
  numbers: Numbers;
  /** When it came to its end, in ms since 1970; null: nobody knows, or it has not. */
  overAt: number | null;
  /** Whether something of it is to be called, here or in a campaign that owns it and runs. */
  isWaiting: boolean;
}

/** What is to be told of a campaign. Most of it has been told before. */
export function eventsOf(seen: Seen, situation: Situation): Event[] {
  if (seen.campaign.direct) return [];
  return [ended(seen, situation), refused(seen, situation), held(seen, situation)].filter(
    (event) => event !== null,
  );
}

function ended(seen: Seen, situation: Situation): Event | null {
  const { numbers, overAt } = seen;
  const { state } = seen.campaign;
  if (!isOver(numbers) || numbers.total === 0 || overAt === null) return null;
  if (state === 'paused' || state === 'deleted') return null;
  if (!isNews(overAt, situation) || situation.now - overAt < situation.quietMs) return null;
  return event(seen, situation, { kind: 'ended', at: overAt, marker: overAt });
}

/** Again after each pause: resumed, a campaign may meet the same answer. */
function refused(seen: Seen, situation: Situation): Event | null {
  const { state, pausedReason, pausedAt, decidedAt, createdAt } = seen.campaign;
  // An earlier version did not note when.
  const at = pausedAt ?? decidedAt ?? createdAt;
  if (state !== 'paused' || pausedReason === null || !isNews(at, situation)) return null;
  // Calls that were in flight may still change its last outcome: its time is no marker. Nor is a constant: in a Redis that lost
  // its data campaigns are numbered anew.
  return event(seen, situation, { kind: 'refused', at, marker: pausedAt ?? createdAt });
}

function held(seen: Seen, situation: Situation): Event | null {
  const { campaign, isWaiting } = seen;
  if (situation.held === null || campaign.state !== 'running' || !isWaiting) return null;
  const { hold, since } = situation.held;
  // One that came later has been held since then.
  if (situation.now - Math.max(since, campaign.createdAt) < situation.holdMs) return null;
  return event(seen, situation, { kind: 'held', at: since, marker: since, hold });
}

function isNews(at: number, { now, askedSince }: Situation): boolean {
  return at >= askedSince && now - at < STALE_MS;
}

function event(
  seen: Seen,
  { tenant, now }: Situation,
  { kind, at, marker, hold }: { kind: NoticeKind; at: number; marker: number; hold?: Hold },
): Event {
  const { number, name } = seen.campaign;
  const { state, total, open, unknown, outcomes } = seen.numbers;
  const notice: Notice = {
    v: 1,
    id: `${tenant}.${number}.${kind}.${marker}`,
    kind,
    at: toIso(at),
    tenant,
    campaign: name,
    text: foreign(describeEvent(seen, { tenant, now, kind, hold }), MOST_TEXT),
    state,
    total,
    open,
    unknown,
    outcomes,
    hold: hold ? { reason: hold.reason, until: hold.until === null ? null : toIso(hold.until) } : null,
  };
  return { campaign: number, kind, marker, notice };
}

/** A name and a tenant are bounded, and so is the rest. */
const MOST_TEXT = 1_000;

/**
 * What others said is left out: an answer of the API may name actions, devices and people, and a chat is often read by more people than
 * Redis, whose `status` shows it.
 */
function describeEvent(
  { campaign, numbers }: Seen,
  { tenant, now, kind, hold }: { tenant: string; now: number; kind: NoticeKind; hold: Hold | undefined },
): string {
  const { name, pausedReason } = campaign;
  const title = titled(name, tenant);
  const blocked = (words: Hold) =>
    describeHold({ ...withoutQuotes(words), until: words.until === null ? null : toIso(words.until) }, now);
  switch (kind) {
    case 'ended':
      return `${title} ${ENDS[numbers.state] ?? 'ended'}: ${describeCancelled(numbers)}.`;
    case 'held':
      return `${title} is blocked: ${hold ? blocked(hold) : ''}`;
    case 'refused': {
      const why = blocked({ reason: 'paused', until: null, detail: pausedReason ?? '' });
      return `${title} was paused after refusals: ${why} Run "${commandFor('status', name, tenant)}" for Defender’s answer and the next steps.`;
    }
    default:
      return unreachable(kind);
  }
}

const ENDS: Partial<Record<DisplayState, string>> = {
  done: 'finished',
  aborted: 'was aborted',
  expired: 'expired',
};

function toIso(ms: number): string {
  return new Date(Math.floor(ms)).toISOString();
}
