import { StanddownError } from '../base/errors.ts';

/** The longest CALL_TIMEOUT, in ms. */
export const MOST_CALL_TIMEOUT_MS = 300_000;

/** The longest wait between two attempts for one action, in ms: no timing and no answer makes it longer. */
export const MOST_DELAY_MS = 60_000;

/** A connection without a word for longer counts as dead, so no blocking command may block for longer, in ms. */
export const LONGEST_BLOCK_MS = 20_000;

/**
 * How long locks, leases and graces last, and how often what may have changed is looked at again. No setting changes them: most hold
 * only in relation to others, and a worker with shorter ones would break what the workers beside it rely on.
 */
export interface Timings {
  /** A worker looks at the epoch, at its lanes' supply and at what others changed this often, in ms. */
  pulseMs: number;
  /** How long nothing is sent after a new epoch opened, in ms; the longest window, if that is shorter. */
  graceMs: number;
  /** How soon a request looks again that waits for another worker's call, whose end cannot be known, in ms. */
  lookAgainMs: number;

  /** A BullMQ job's lock lasts so long without renewal, and stalled jobs are looked for this often, in ms. */
  lockMs: number;
  /** A job that Redis failed under is looked at again after so long, in ms. */
  redisFailedMs: number;
  /** A job of a paused campaign looks again by itself after so long, in ms. Resuming brings it back at once. */
  pausedMs: number;
  /** A turn of the feeder is over by then, even if its worker died, in ms. */
  feedLeaseMs: number;
  /** Between two searches for ids that were lost from a lane, in ms. */
  lostSearchMs: number;

  /** A request that failed, a sign-in that failed, is tried again after so long at first, in ms; twice as long each time … */
  firstRetryMs: number;
  /** … up to so long, in ms. */
  lastRetryMs: number;
  /** An API of which every call failed for so long is down, in ms; it is sooner when many failed. */
  downMs: number;
  /** The first probe of an upstream that is down goes out after this, in ms; twice as long after each that fails … */
  firstProbeMs: number;
  /** … up to so long, in ms. */
  lastProbeMs: number;
  /** Between two looks with Get at what a 400 was about, in ms … */
  checkAgainMs: number;
  /** … and after this long without an explanation the 400 is taken as a refusal, in ms. */
  checkMs: number;
  /** RFC 8628, 3.5: by so much longer a login waits that was told to slow down, or heard nothing, in ms. */
  loginSlowerMs: number;
  /** How long the current token serves after a failed renewal before the next one is tried, in ms. */
  renewAgainMs: number;
  /** A 403 to a token that is older than this is believed only once a new token got it as well, in ms. */
  permissionsBelievedMs: number;

  /** The precheck waits for a list no longer than this, in ms: the list only saves calls. */
  precheckPatienceMs: number;
  /** How long the precheck is left out after an answer that is no list, in ms. */
  precheckSilenceMs: number;
  /** What was not final is verified again after so long, in ms. */
  verifyAgainMs: number;
  /** A worker that verifies says so at each call; one that died is replaced after so long, in ms, or after two call timeouts. */
  verifyLeaseMs: number;
  /** How long nothing is verified after a failure, in ms. */
  verifyFailedMs: number;

  /** The longest that a read of the inbox waits, in ms. */
  inboxBlockMs: number;
  /** How often it is looked for what dead workers held of the inbox, in ms. */
  inboxClaimMs: number;
  /** An inbox entry that a worker has held for this long goes to another worker, in ms. Taking in a part takes less. */
  inboxIdleMs: number;

  /** How often it is looked for what is to be notified, and for notices that are due, in ms. */
  noticeLookMs: number;
  /** A notice's receiver has so long to answer, in ms. */
  noticePostMs: number;
  /** How long one try to send a notice belongs to one worker, in ms. */
  noticeClaimMs: number;
  /** Before a campaign's end is told, in ms: it may be drained for a moment while its ids are being submitted. */
  noticeQuietMs: number;
  /** A hold that is not seen for longer has ended, in ms. */
  noticeGapMs: number;
  /** Between two tries to send a notice, in ms; the last one again and again. */
  noticeAgainMs: readonly number[];

  /** A stop may take so long beyond what a call may, in ms; then it is not waited for any more. */
  stopGraceMs: number;

  /** How often the tenants' file is looked at, in ms. */
  tenantsLookMs: number;
  /** A tenant that failed is started again after so long, in ms; twice as long after each further failure … */
  firstTenantPauseMs: number;
  /** … up to so long, in ms. */
  lastTenantPauseMs: number;
}

/** A wait up to this long is slept in the job's processor; a longer one is the lane's business. */
export const SHORT_WAIT_MS = 1_000;

export const TIMINGS: Timings = Object.freeze({
  pulseMs: 2_000,
  graceMs: 6_000,
  lookAgainMs: 1_000,

  lockMs: 15_000,
  redisFailedMs: 2_000,
  pausedMs: 30_000,
  feedLeaseMs: 10_000,
  lostSearchMs: 10_000,

  firstRetryMs: 1_000,
  lastRetryMs: 60_000,
  downMs: 20_000,
  firstProbeMs: 1_000,
  lastProbeMs: 30_000,
  checkAgainMs: 5_000,
  checkMs: 60_000,
  loginSlowerMs: 5_000,
  renewAgainMs: 15_000,
  permissionsBelievedMs: 5 * 60_000,

  precheckPatienceMs: 10_000,
  precheckSilenceMs: 60_000,
  verifyAgainMs: 15 * 60_000,
  verifyLeaseMs: 180_000,
  verifyFailedMs: 60_000,

  inboxBlockMs: 15_000,
  inboxClaimMs: 15_000,
  inboxIdleMs: 15_000,

  noticeLookMs: 5_000,
  noticePostMs: 10_000,
  noticeClaimMs: 30_000,
  noticeQuietMs: 3_000,
  noticeGapMs: 30_000,
  noticeAgainMs: Object.freeze([
    5_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
  ]),

  stopGraceMs: 10_000,

  tenantsLookMs: 1_000,
  firstTenantPauseMs: 1_000,
  lastTenantPauseMs: 60_000,
});

/** What a killed worker had in hand is taken up again within this, in ms; `docs/guarantees.md` promises it. */
export const TAKEN_UP_MS = 45_000;

/** Relations that do not hold, in words. */
function* brokenRelations(t: Timings): Generator<string> {
  for (const [name, value] of Object.entries(t)) {
    const all: unknown[] = Array.isArray(value) ? value : [value];
    if (all.length === 0 || !all.every((ms) => Number.isFinite(ms) && Number(ms) > 0))
      yield `${name} is no time`;
  }
  // BullMQ renews a lock after half of it: a loop that is held up for a second must not lose it.
  if (t.lockMs < 2_000) yield 'lockMs: is shorter than 2 s';
  // Taking in a part of the inbox takes less.
  if (t.inboxIdleMs < 2_000) yield 'inboxIdleMs: is shorter than 2 s';
  // A worker that missed a pulse still puts back what it remembers before anybody sends.
  if (t.graceMs < 3 * t.pulseMs) yield 'graceMs: is shorter than three of pulseMs';
  // A longer wait holds the whole lane, and nothing would wake it when the call that is waited for ends.
  if (t.lookAgainMs > SHORT_WAIT_MS) yield `lookAgainMs: is longer than a short wait (${SHORT_WAIT_MS})`;
  // A lock runs out within lockMs of a kill, and a look that comes up to lockMs later finds the job.
  if (2 * t.lockMs > TAKEN_UP_MS) yield `lockMs: twice that is longer than what is promised (${TAKEN_UP_MS})`;
  // An entry is held for inboxIdleMs, and then waits for the next claim, which a read that waits may put off.
  if (t.inboxIdleMs + t.inboxClaimMs + t.inboxBlockMs > TAKEN_UP_MS)
    yield `inboxIdleMs, inboxClaimMs, inboxBlockMs: together longer than what is promised (${TAKEN_UP_MS})`;
  if (t.inboxBlockMs > t.inboxClaimMs)
    yield 'inboxBlockMs: is longer than inboxClaimMs, which it would put off';
  // The connection is taken as dead when it owes an answer for longer.
  if (t.inboxBlockMs > LONGEST_BLOCK_MS)
    yield `inboxBlockMs: is longer than a connection bears (${LONGEST_BLOCK_MS})`;
  // Another worker would feed the same ids while the first one still waits for their list.
  if (t.feedLeaseMs < t.precheckPatienceMs) yield 'feedLeaseMs: is shorter than precheckPatienceMs';
  // Another worker would send a notice whose try is still under way.
  if (t.noticeClaimMs < 2 * t.noticePostMs) yield 'noticeClaimMs: is shorter than two of noticePostMs';
  // A hold would end between two looks that both see it.
  if (t.noticeGapMs < 3 * t.noticeLookMs) yield 'noticeGapMs: is shorter than three of noticeLookMs';
  // What cannot be read at first would be taken as a refusal without a second look.
  if (t.checkMs < 2 * t.checkAgainMs) yield 'checkMs: is shorter than two of checkAgainMs';
  // An outage of Get would be taken as its answer to what a 400 was about.
  if (t.checkMs < t.downMs + t.checkAgainMs) yield 'checkMs: is shorter than downMs and checkAgainMs';
  if (t.firstRetryMs > t.lastRetryMs) yield 'firstRetryMs: is longer than lastRetryMs';
  if (t.firstProbeMs > t.lastProbeMs) yield 'firstProbeMs: is longer than lastProbeMs';
  if (t.firstTenantPauseMs > t.lastTenantPauseMs)
    yield 'firstTenantPauseMs: is longer than lastTenantPauseMs';
  // A record does not believe in a longer wait: the next attempt would follow at once.
  if (Math.max(t.lastRetryMs, t.checkAgainMs) > MOST_DELAY_MS)
    yield `lastRetryMs, checkAgainMs: longer than a record may wait (${MOST_DELAY_MS})`;
}

/** @throws StanddownError INTERNAL when they do not fit each other. */
export function checkTimings(timings: Timings): void {
  const broken = [...brokenRelations(timings)];
  if (broken.length > 0) throw new StanddownError('INTERNAL', `timings: ${broken.join('; ')}`);
}

/** How long a worker's turn to verify lasts, in ms. It is renewed after each call, which may wait for a token before it is made. */
export function verifyLeaseFor({ verifyLeaseMs }: Timings, callTimeoutMs: number): number {
  return Math.max(verifyLeaseMs, 2 * callTimeoutMs);
}
