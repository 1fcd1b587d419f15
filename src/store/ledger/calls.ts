import { randomInt } from 'node:crypto';
import { StanddownError } from '../../base/errors.ts';
import { type Limits, longestMs, type SlotClass, windowsFor } from '../../config/limits.ts';
import { type EpochContext, recover, shift } from '../budget/epoch.ts';
import { recoveryMs } from '../budget/pace.ts';
import { startTerm, type Term } from '../budget/term.ts';
import type { Operation } from '../keys.ts';
import { begin } from './begin.ts';
import { type Finished, type FinishInput, finish } from './finish.ts';
import type { BeginReply, Permit } from './permit.ts';
import type { View } from './view.ts';

export interface CallSettings {
  limits: Limits;
  /** Most time for one call, in ms. */
  callTimeoutMs: number;
  maxAttempts: number;
}

/**
 * The campaign of single cancels of one day. It may be deleted at any time, and be lost with Redis' data; then its number is nobody's, or
 * another campaign's.
 */
export interface DirectCampaign {
  name: string;
  /** Its number, as far as is known. */
  number(): Promise<number>;
  /** Its number when `gone` is not it any more: it is opened anew. */
  reopen(gone: number): Promise<number>;
}

/** One request's wish to call now. */
export interface Ask {
  /** The action's 16 bytes. */
  id: Buffer;
  operation: Operation;
  slotClass: SlotClass;
  /** Number of the campaign believed to own the action. */
  campaign: number;
  /** Whether an id the ledger does not know is to be opened in that campaign. */
  register: boolean;
  /** That campaign, so that it can be opened anew; default: `campaign` is not looked at more closely. */
  direct?: DirectCampaign | undefined;
  /** Number of the urgent campaign that the call would be for, whoever owns the action; default: the owner. */
  calledFor?: number | undefined;
  /** When this wish expires, in ms since 1970; null: never. */
  expiresAt: number | null;
  requestedBy: string | null;
  /** Ms since 1970; null: when its campaign was. */
  requestedAt: number | null;
}

/** Leave to make one call. */
export interface Grant {
  kind: 'granted';
  slot: string;
  /** Up to when the call may be counted, on Redis' clock, in ms. */
  untilMs: number;
  attempts: number;
  probe: boolean;
  /** Details of the 400 that is looked into, as stored. */
  check: readonly string[];
  /** Monotonic time before which the slot was not taken: the call's time starts here. */
  askedAt: number;
  term: Term;
}

type SettledPermit = Exclude<Permit, { kind: 'again' } | { kind: 'refused' }>;

/** An answer of the ledger that needs no other view of the keys. */
export type Answer = Exclude<SettledPermit, { kind: 'granted' }> | Grant;

export interface Begun {
  answer: Answer;
  /** Number of the campaign that owns the action. */
  campaign: number;
}

/** When a slot was asked for. */
interface Asked {
  askedAt: number;
  /** How many jumps had been seen by then. */
  jumps: number;
  term: Term;
}

export type FinishAsk = Omit<FinishInput, 'buckets'>;
export type Finish = Exclude<Finished, { kind: 'again' }>;

/** So often in a row Redis may take longer to answer than it did before; then something is wrong with it. */
const MOST_SLOWER = 10;

/** The two steps around a call. Each keeps the worker's own memory of the slots up to date. */
export function createCalls(deps: EpochContext & { settings: CallSettings; view: View }) {
  const { redis, keys, memory, settings, timings, view } = deps;
  const { maxAttempts } = settings;
  const spans = {
    longestMs: longestMs(settings.limits.windows),
    recoveryMs: recoveryMs(settings.limits.windows),
  };
  const beginSettings = { ...settings, ...spans, graceMs: deps.graceMs, timings };

  /** Takes in what a begin showed of the slots. A jump of Redis' clock gives back what was just granted. */
  async function takeIn(
    ask: Ask,
    permit: SettledPermit,
    reply: BeginReply,
    { askedAt, jumps, term }: Asked,
  ): Promise<Answer> {
    const jump = reply.sighting ? memory.learn(ask.operation, reply.sighting, askedAt, deps.monotonic()) : 0;
    const grant: Grant | null =
      permit.kind === 'granted'
        ? { ...permit, untilMs: permit.lapse + settings.callTimeoutMs, askedAt, term }
        : null;
    if (memory.jumps() !== jumps) {
      // This answer, or another one meanwhile, was told from slots that had not been moved yet.
      // They are moved before anything else is asked: until then a begin would be told from them, too.
      if (jump !== 0) await shift(deps, jump);
      if (grant) await giveBack(ask, grant);
      // Whether there is a grace, and for how long, the next answer says.
      if (grant || jump !== 0) return { kind: 'hold', reason: 'grace', ms: 0, look: false };
    }
    if (permit.kind !== 'granted' || !grant) return permit as Exclude<SettledPermit, { kind: 'granted' }>;
    memory.took(ask.operation, permit.slot, grant.untilMs, askedAt);
    return grant;
  }

  /** Asks whether an action may be called now, and if so takes a slot and claims it. */
  async function beginCall(ask: Ask): Promise<Begun> {
    const nonce = randomInt(1, 2 ** 31);
    let { campaign } = ask;
    const start = (): Asked => ({
      askedAt: deps.monotonic(),
      jumps: memory.jumps(),
      term: startTerm(deps, { callTimeoutMs: settings.callTimeoutMs, roundTripMs: memory.roundTripMs() }),
    });
    let asked = start();
    let isRepeat = false;
    let slower = 0;
    const attempt = async () => {
      asked = isRepeat ? { ...asked, jumps: memory.jumps() } : start();
      const expectation = memory.expect(ask.operation, deps.monotonic());
      // The reserve is of cancels only: nobody is in a hurry to read.
      const windows = windowsFor(settings.limits, ask.operation === 'cancel' ? ask.slotClass : 'urgent');
      const target = { campaign, directName: ask.direct?.name, buckets: view.buckets };
      const input = { ...ask, ...target, nonce, windows, expectation };
      const reply = await begin(redis, keys, view.bucketKey(ask.id), input, beginSettings);
      if (reply.permit.kind !== 'refused') return { ...reply, ...reply.permit };
      const found = await recover(
        deps,
        reply.permit.refusal,
        reply.permit.now,
        reply.permit.why,
        asked.askedAt,
        deps.monotonic(),
      );
      if (found.kind === 'skipped' && ++slower > MOST_SLOWER) {
        const problem =
          'Redis answers more and more slowly, so its clock cannot be compared with the clock of this machine';
        throw new StanddownError('REDIS_FAILED', problem);
      }
      return { ...reply, kind: 'again' as const };
    };
    // An answer lost on the way may have granted: asked with the same nonce, Redis says so.
    const attemptTwice = () =>
      attempt().catch((error: unknown) => {
        if (isRepeat) throw error;
        isRepeat = true;
        return attempt();
      });
    let isGone = false;
    const attemptThere = async () => {
      if (isGone && ask.direct) campaign = await ask.direct.reopen(campaign);
      isGone = false;
      return attemptTwice();
    };
    const { permit, sighting } = await view.settled(attemptThere, (again) => {
      if (again.permit.kind !== 'again') return;
      campaign = again.permit.campaign ?? campaign;
      isGone = again.permit.direct === true;
    });
    const settledPermit = permit as SettledPermit;
    const answer = await takeIn({ ...ask, campaign }, settledPermit, { permit, sighting }, asked);
    return { answer, campaign };
  }

  /** Settles the slot, and records what became of the request if the claim still stands. */
  async function finishCall(ask: FinishAsk): Promise<Finish> {
    if (ask.slotFate === 'answered') memory.settled(ask.operation, ask.slot, deps.monotonic());
    if (ask.slotFate === 'unsent') memory.returned(ask.operation, ask.slot);
    let { campaign } = ask;
    const options = { maxAttempts, ...spans, timings };
    return view.settled(
      () => finish(redis, keys, view.bucketKey(ask.id), { ...ask, campaign, buckets: view.buckets }, options),
      (again) => {
        if (again.kind === 'again') campaign = again.campaign ?? campaign;
      },
    );
  }

  /** Gives back a slot whose call provably never left, and releases the claim. */
  function giveBack(ask: Pick<Ask, 'id' | 'operation' | 'campaign'>, grant: Grant): Promise<Finish> {
    const { id, operation, campaign } = ask;
    return finishCall({
      id,
      operation,
      campaign,
      slot: grant.slot,
      untilMs: grant.untilMs,
      slotFate: 'unsent',
      verdict: { kind: 'wait', delayMs: 0, detail: {} },
      penaltyMs: 0,
      sign: 'none',
      probe: false,
      pauseReason: '',
      address: '',
    });
  }

  return { begin: beginCall, finish: finishCall, giveBack };
}
