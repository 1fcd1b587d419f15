import type { Clock } from '../base/clock.ts';
import { messageOf, StanddownError, unreachable } from '../base/errors.ts';
import { guidToBytes } from '../base/guid.ts';
import type { Logger } from '../base/log.ts';
import type { CancelResult, Detail } from '../base/outcome.ts';
import type { SlotClass } from '../config/limits.ts';
import { SHORT_WAIT_MS, type Timings } from '../config/timings.ts';
import { classify, type Meaning } from '../defender/classify.ts';
import type { DefenderClient } from '../defender/client.ts';
import { createReadRefusals } from '../defender/read-refusals.ts';
import { describeRefusal } from '../defender/refusal.ts';
import { mayRead } from '../defender/roles.ts';
import { type SignIn, SignInError, type Token } from '../defender/sign-in.ts';
import type { Request } from '../queue/job.ts';
import type { Operation } from '../store/keys.ts';
import type { Answer, Ask, Begun, DirectCampaign, Finish, Grant } from '../store/ledger/calls.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import { detailFromArguments } from '../store/ledger/result.ts';
import type { Chronicle } from './chronicle.ts';
import type { Gate } from './gate.ts';
import type { Notices } from './notices.ts';
import { type Judgement, judgeCancel, judgeCheck } from './verdict.ts';

/** One job, as the way of a request sees it. */
export interface Work {
  request: Request;
  slotClass: SlotClass;
  /** The campaign that is believed to own the action: the job's own, or the day's of single cancels. */
  campaign: number;
  /** The latter; absent where the feeder put it into the lane. */
  direct?: DirectCampaign;
  /** Whether the feeder put it into the lane; otherwise a service did. */
  fed: boolean;
  /** The urgent campaign that the feeder put it into a public lane for; the action may be another's. */
  calledFor?: number | undefined;
  /** Whether the list showed the action just before it was fed. */
  listed?: boolean;
  /** Ms since 1970; null: when its campaign was. */
  requestedAt: number | null;
}

/** What is to happen to the job. */
export type Disposition =
  /** `unrecorded`: the ledger is as it was, so it has told nobody. `isKnown`: it was decided before, for another job. */
  | { kind: 'done'; result: CancelResult; unrecorded?: boolean; isKnown?: boolean }
  /** Nothing of this lane may go out for so long. */
  | { kind: 'hold'; ms: number; reason: string }
  /** This job waits; `paused`: for a campaign to be resumed. */
  | { kind: 'later'; ms: number; paused?: boolean }
  /** The feeder will bring it back when its campaign may run. */
  | { kind: 'drop'; reason: string };

export interface Executed {
  disposition: Disposition;
  /** Whether a call was made on the way. */
  called: boolean;
}

export interface ExecuteDeps {
  ledger: Ledger;
  signIn: SignIn;
  client: DefenderClient;
  gate: Gate;
  chronicle: Chronicle;
  notices: Notices;
  clock: Clock;
  callTimeoutMs: number;
  timings: Timings;
  /** From 0 to 1. */
  random(): number;
  /** A probe was answered: the hold of the upstream has ended. */
  onRecovered(): void;
  log: Logger;
  /** Aborted when the worker stops: waits end, calls in flight are finished. */
  stopping: AbortSignal;
}

/**
 * The way of a request: token ─ begin ─ call ─ finish, until it is decided or has to wait.
 *
 * @throws SignInError when no token is to be had; StanddownError REDIS_FAILED; the stop signal's reason.
 */
export function createExecutor(deps: ExecuteDeps) {
  const { ledger, signIn, gate, chronicle, clock, timings, stopping } = deps;
  const reading = createReadRefusals();

  /** @param onCall told when its call goes out. */
  return async function execute(work: Work, onCall: () => void): Promise<Executed> {
    const id = guidToBytes(work.request.machineActionId);
    const pass: Pass = {
      id,
      operation: 'cancel',
      campaign: work.campaign,
      freshToken: false,
      doubted: null,
      renewed: false,
      called: false,
    };
    for (;;) {
      const begun = await begin(work, pass);
      pass.campaign = begun.campaign;
      if (begun.answer.kind !== 'granted') {
        const disposition = await follow(work, pass, begun);
        if (disposition) return { disposition, called: pass.called };
        continue;
      }
      onCall();
      const { token } = begun;
      const judgement = await call(work, pass, token, begun.answer);
      const finished = await finish(work, pass, token, begun.answer, judgement);
      const disposition = (await conclude(work, pass, finished)) ?? (await renewDoubted(pass));
      if (disposition) return { disposition, called: pass.called };
    }
  };

  /** No slot is taken without a token to send: also where others had to be waited for, and one was refused meanwhile. */
  function begin(work: Work, pass: Pass): Promise<Begun & { token: Token }> {
    const { request } = work;
    const ask: Ask = {
      id: pass.id,
      operation: pass.operation,
      slotClass: work.slotClass,
      campaign: pass.campaign,
      register: !work.fed && work.calledFor === undefined,
      direct: work.direct,
      calledFor: work.calledFor,
      expiresAt: request.expiresAt,
      requestedBy: work.fed ? null : request.requestedBy,
      requestedAt: work.requestedAt,
    };
    const beginWithToken = async () => {
      const token = await signIn.token();
      return { ...(await ledger.begin(ask)), token };
    };
    return gate.pass(work.slotClass, beginWithToken, stopping);
  }

  async function call(work: Work, pass: Pass, token: Token, grant: Grant): Promise<Judgement> {
    const meaning = await send(work, pass, token, grant);
    pass.called ||= meaning.kind !== 'fault' || meaning.detail.httpStatus !== undefined || meaning.lost;
    // At once, so that no other call goes out with it.
    if (meaning.kind === 'unauthorized') signIn.refuse(token);
    const isDoubtful = mayBePermission(meaning) && !pass.renewed && !signIn.believes(token);
    pass.doubted = isDoubtful ? token : null;
    // At once, too: each of the others would meet the same. That reading is refused says nothing of cancels.
    if (pass.doubted && pass.operation === 'cancel') signIn.suspect(pass.doubted);
    const circumstances = {
      attempts: grant.attempts,
      random: deps.random(),
      mayRead: mayRead(token.roles) && !reading.isRefused(token),
      freshToken: pass.freshToken,
      listed: work.listed ?? false,
      timings,
    };
    if (pass.operation === 'get') reading.note(token, meaning);
    const judgement = pass.doubted
      ? judgeDoubted(meaning)
      : pass.operation === 'get'
        ? judgeCheck(meaning, circumstances, detailFromArguments(grant.check))
        : judgeCancel(meaning, circumstances);
    pass.freshToken ||= meaning.kind === 'unauthorized';
    deps.notices.observe(pass.operation, judgement, meaning.detail);
    return judgement;
  }

  async function send(work: Work, pass: Pass, token: Token, grant: Grant): Promise<Meaning> {
    const { machineActionId, comment } = work.request;
    const options = {
      accessToken: token.accessToken,
      timeoutMs: Math.max(1, deps.callTimeoutMs - grant.term.elapsed()),
      maySend: () => !signIn.isRefused(token) && grant.term.maySend(),
    };
    const answer =
      pass.operation === 'get'
        ? await deps.client.get(machineActionId, options)
        : await deps.client.cancel(machineActionId, comment, options);
    return classify(answer, machineActionId, clock.wall());
  }

  /** Records the answer. While Redis fails that is tried again: what became of a call must not be lost. */
  async function finish(
    work: Work,
    pass: Pass,
    token: Token,
    grant: Grant,
    judgement: Judgement,
  ): Promise<Finish> {
    const wish = work.fed ? {} : wishOf(work);
    const verdict = { ...judgement.verdict, detail: { ...judgement.verdict.detail, ...wish } };
    const { address } = deps.client;
    const giveUpAt = grant.askedAt + 2 * deps.callTimeoutMs;
    for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, 2_000)) {
      try {
        const finished = await ledger.finish({
          id: pass.id,
          operation: pass.operation,
          campaign: pass.campaign,
          slot: grant.slot,
          untilMs: grant.untilMs,
          ...judgement,
          verdict,
          probe: grant.probe,
          pauseReason: describeRefusal({ detail: verdict.detail, token, address }),
          address,
        });
        gate.nudge();
        if (grant.probe && judgement.sign === 'alive') deps.onRecovered();
        return finished;
      } catch (error) {
        // By then the claim has lapsed: another worker takes over, and marks the record uncertain.
        if (clock.monotonic() > giveUpAt) throw error;
        deps.log.warn(
          { id: work.request.machineActionId, err: messageOf(error) },
          'cannot record an outcome yet; retrying',
        );
        await clock.sleep(pauseMs);
      }
    }
  }

  /** What to do after a finish; null: begin again. */
  async function conclude(work: Work, pass: Pass, finished: Finish): Promise<Disposition | null> {
    switch (finished.kind) {
      case 'decided':
        return { kind: 'done', result: await decided(pass, finished) };
      case 'outcome':
        return {
          kind: 'done',
          result: await chronicle.recorded(pass.campaign, finished, work.request),
          isKnown: true,
        };
      case 'open':
        return finished.ms > SHORT_WAIT_MS ? { kind: 'later', ms: finished.ms } : null;
      case 'check':
        pass.operation = 'get';
        return null;
      case 'unknown':
        // Redis lost the record and not the job: what a service asked for begins again.
        return isOfService(work) ? null : { kind: 'drop', reason: 'unknown' };
      default:
        return unreachable(finished);
    }
  }

  /** What to do after a begin that granted nothing; null: begin again. */
  async function follow(work: Work, pass: Pass, begun: Begun): Promise<Disposition | null> {
    const answer = begun.answer as Exclude<Answer, Grant>;
    switch (answer.kind) {
      case 'outcome':
        return doneOrTaken(work, pass, await chronicle.recorded(pass.campaign, answer, work.request), true);
      case 'decided':
        return doneOrTaken(work, pass, await decided(pass, answer));
      case 'check':
      case 'open':
        pass.operation = answer.kind === 'check' ? 'get' : 'cancel';
        return null;
      case 'unknown':
        return { kind: 'drop', reason: 'unknown' };
      case 'owner':
        if (work.fed) return { kind: 'drop', reason: answer.state };
        if (answer.state === 'paused') return { kind: 'later', ms: timings.pausedMs, paused: true };
        if (work.calledFor !== undefined) return { kind: 'drop', reason: answer.state };
        return {
          kind: 'done',
          result: await chronicle.unrecorded(work, pass.campaign, 'withdrawn'),
          unrecorded: true,
        };
      case 'lapsed':
        return {
          kind: 'done',
          result: await chronicle.unrecorded(work, pass.campaign, 'expired'),
          unrecorded: true,
        };
      case 'later':
        return pauseOrLeave(answer.ms);
      case 'claimed':
        // Somebody else's call may end at any time: look again within a second, but do not sit on a place for it.
        return { kind: 'later', ms: Math.min(answer.ms, SHORT_WAIT_MS) };
      case 'hold':
      case 'window':
        return holdOrLater(pass.operation, answer);
      default:
        return unreachable(answer);
    }
  }

  async function decided(pass: Pass, ended: Extract<Finish, { kind: 'decided' }>): Promise<CancelResult> {
    const result = await chronicle.decided(pass.campaign, ended.values);
    if (ended.paused)
      deps.log.warn({ campaign: result.campaign }, 'campaign paused: Defender refuses its cancels');
    return result;
  }

  /** What expired elsewhere, and is wanted still by the urgent campaign that it was to be called for, opens there. Null: it has. */
  async function doneOrTaken(
    { calledFor }: Work,
    pass: Pass,
    result: CancelResult,
    isKnown = false,
  ): Promise<Disposition | null> {
    const done = { kind: 'done', result, isKnown } as const;
    if (result.outcome !== 'expired' || calledFor === undefined || calledFor === pass.campaign) return done;
    try {
      await ledger.submit(calledFor, pass.id);
      return null;
    } catch (error) {
      if (error instanceof StanddownError && error.code === 'CAMPAIGN_CLOSED') return done;
      throw error;
    }
  }

  /**
   * Gets the token with which the same call shall be made again. Where none is to be had, a Get waits for one, and others go on.
   *
   * @throws SignInError for a cancel: no other may be called with the doubted one.
   */
  async function renewDoubted(pass: Pass): Promise<Disposition | null> {
    if (!pass.doubted) return null;
    try {
      await signIn.renewed(pass.doubted);
      pass.renewed = true;
      return null;
    } catch (error) {
      if (!(error instanceof SignInError) || pass.operation === 'cancel') throw error;
      return { kind: 'later', ms: Math.max(SHORT_WAIT_MS, error.retryAt - clock.monotonic()) };
    }
  }

  async function pauseOrLeave(ms: number): Promise<Disposition | null> {
    if (ms > SHORT_WAIT_MS) return { kind: 'later', ms };
    await clock.sleep(ms, stopping);
    return null;
  }
}

/** A full window of cancel holds the lane; one of Get only those that ask. */
function holdOrLater(
  operation: Operation,
  answer: Extract<Answer, { kind: 'hold' | 'window' }>,
): Disposition {
  if (operation === 'get') return { kind: 'later', ms: answer.ms };
  return { kind: 'hold', ms: answer.ms, reason: answer.kind === 'hold' ? answer.reason : 'window' };
}

/** Others the feeder brings back. */
function isOfService({ fed, calledFor }: Work): boolean {
  return !fed && calledFor === undefined;
}

/** Where one run of a job stands. */
interface Pass {
  id: Buffer;
  operation: Operation;
  campaign: number;
  /** Whether a token was refused with 401, so that the next one is another. */
  freshToken: boolean;
  /** The token that met a 403 which a newer one may not meet. */
  doubted: Token | null;
  /** Whether that was followed by a newer one: its 403 counts. */
  renewed: boolean;
  called: boolean;
}

/** A 403 of the API's own, or one that gives no reason and may be. A page is never the API's: no token helps against it. */
function mayBePermission(meaning: Meaning): boolean {
  if (meaning.kind === 'forbidden') return true;
  return meaning.kind === 'inconclusive' && meaning.detail.httpStatus === 403 && meaning.sign !== 'fault';
}

/** A 403 says nothing of the request before a token has met it that holds what was granted meanwhile. */
function judgeDoubted({ kind, detail }: Meaning): Judgement {
  const sign = kind === 'forbidden' ? 'alive' : 'none';
  return { slotFate: 'answered', verdict: { kind: 'wait', delayMs: 0, detail }, penaltyMs: 0, sign };
}

function wishOf({
  request: { requestedBy },
  requestedAt,
}: Work): Pick<Detail, 'requestedBy' | 'requestedAt'> {
  return { ...(requestedBy !== null && { requestedBy }), ...(requestedAt !== null && { requestedAt }) };
}
