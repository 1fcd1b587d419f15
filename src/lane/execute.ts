import type { SlotClass } from '../budget/windows.ts';
import type { Clock } from '../clock.ts';
import { classify, type Meaning } from '../defender/classify.ts';
import type { DefenderClient } from '../defender/client.ts';
import { describeRefusal, mayRead } from '../defender/roles.ts';
import type { SignIn, Token } from '../defender/sign-in.ts';
import { messageOf, unreachable } from '../errors.ts';
import { guidToBytes } from '../guid.ts';
import type { Request } from '../job.ts';
import type { Operation } from '../keys.ts';
import type { Answer, Ask, Begun, Finish, Grant } from '../ledger/calls.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { detailFromArguments } from '../ledger/result.ts';
import type { Logger } from '../log.ts';
import type { CancelResult, Detail } from '../outcome.ts';
import { SHORT_WAIT_MS, type Timings } from '../timings.ts';
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
  /** Whether the feeder put it into the lane; otherwise a service did. */
  fed: boolean;
  /** Whether the list showed the action just before it was fed. */
  listed?: boolean;
  /** Ms since 1970; null: when its campaign was. */
  requestedAt: number | null;
}

/** What is to happen to the job. */
export type Disposition =
  /** `unrecorded`: the ledger is as it was, so it has told nobody. */
  | { kind: 'done'; result: CancelResult; unrecorded?: boolean }
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

/** A worker that was held up for longer than this between begin and sending does not send. */
const MOST_DELAY_MS = 2_000;

/**
 * The way of a request: token ─ begin ─ call ─ finish, until it is decided or has to wait.
 *
 * @throws SignInError when no token is to be had; StanddownError REDIS_FAILED; the stop signal's reason.
 */
export function createExecutor(deps: ExecuteDeps) {
  const { ledger, signIn, gate, chronicle, clock, timings, stopping } = deps;

  return async function execute(work: Work): Promise<Executed> {
    const id = guidToBytes(work.request.machineActionId);
    const pass: Pass = {
      id,
      operation: 'cancel',
      campaign: work.campaign,
      refused: false,
      freshToken: false,
      called: false,
    };
    for (;;) {
      const token = await signIn.token();
      const begun = await begin(work, pass);
      pass.campaign = begun.campaign;
      if (begun.answer.kind !== 'granted') {
        const disposition = await follow(work, pass, begun);
        if (disposition) return { disposition, called: pass.called };
        continue;
      }
      const judgement = await call(work, pass, token, begun.answer);
      const finished = await finish(work, pass, token, begun.answer, judgement);
      if (pass.refused) {
        await signIn.renewed(token);
        pass.refused = false;
        pass.freshToken = true;
      }
      const disposition = await conclude(work, pass, finished);
      if (disposition) return { disposition, called: pass.called };
    }
  };

  function begin(work: Work, pass: Pass): Promise<Begun> {
    const { request } = work;
    const ask: Ask = {
      id: pass.id,
      operation: pass.operation,
      slotClass: work.slotClass,
      campaign: pass.campaign,
      register: !work.fed,
      expiresAt: request.expiresAt,
      requestedBy: work.fed ? null : request.requestedBy,
      requestedAt: work.requestedAt,
    };
    return gate.pass(work.slotClass, () => ledger.begin(ask), stopping);
  }

  async function call(work: Work, pass: Pass, token: Token, grant: Grant): Promise<Judgement> {
    const meaning = await send(work, pass, token, grant);
    pass.called ||= meaning.kind !== 'fault' || meaning.detail.httpStatus !== undefined || meaning.lost;
    pass.refused = meaning.kind === 'unauthorized' && !pass.freshToken;
    const circumstances = {
      attempts: grant.attempts,
      random: deps.random(),
      mayRead: mayRead(token.roles),
      freshToken: pass.freshToken,
      probe: grant.probe,
      listed: work.listed ?? false,
      timings,
    };
    const judgement =
      pass.operation === 'get'
        ? judgeCheck(meaning, circumstances, detailFromArguments(grant.check))
        : judgeCancel(meaning, circumstances);
    deps.notices.observe(pass.operation, judgement, meaning.detail);
    return judgement;
  }

  async function send(work: Work, pass: Pass, token: Token, grant: Grant): Promise<Meaning> {
    const { machineActionId, comment } = work.request;
    const elapsed = () => clock.monotonic() - grant.askedAt;
    const options = {
      accessToken: token.accessToken,
      timeoutMs: Math.max(1, deps.callTimeoutMs - elapsed()),
      maySend: () => elapsed() < Math.min(MOST_DELAY_MS, deps.callTimeoutMs),
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
          pauseReason: describeRefusal(token.roles),
        });
        gate.nudge();
        if (grant.probe && judgement.sign === 'alive') deps.onRecovered();
        return finished;
      } catch (error) {
        // By then the claim has lapsed: another worker takes over, and marks the record uncertain.
        if (clock.monotonic() > giveUpAt) throw error;
        deps.log.warn(
          { id: work.request.machineActionId, err: messageOf(error) },
          'outcome not recorded yet',
        );
        await clock.sleep(pauseMs);
      }
    }
  }

  /** What to do after a finish; null: begin again. */
  async function conclude(work: Work, pass: Pass, finished: Finish): Promise<Disposition | null> {
    switch (finished.kind) {
      case 'decided': {
        const result = await chronicle.decided(pass.campaign, finished.values);
        if (finished.paused)
          deps.log.warn({ campaign: result.campaign }, 'campaign paused: refused time after time');
        return { kind: 'done', result };
      }
      case 'outcome':
        return { kind: 'done', result: await chronicle.recorded(pass.campaign, finished, work.request) };
      case 'open':
        return finished.ms > SHORT_WAIT_MS ? { kind: 'later', ms: finished.ms } : null;
      case 'check':
        pass.operation = 'get';
        return null;
      case 'unknown':
        return { kind: 'drop', reason: 'unknown' };
      default:
        return unreachable(finished);
    }
  }

  /** What to do after a begin that granted nothing; null: begin again. */
  async function follow(work: Work, pass: Pass, begun: Begun): Promise<Disposition | null> {
    const answer = begun.answer as Exclude<Answer, Grant>;
    switch (answer.kind) {
      case 'outcome':
        return { kind: 'done', result: await chronicle.recorded(pass.campaign, answer, work.request) };
      case 'decided':
        return { kind: 'done', result: await chronicle.decided(pass.campaign, answer.values) };
      case 'check':
      case 'open':
        pass.operation = answer.kind === 'check' ? 'get' : 'cancel';
        return null;
      case 'unknown':
        return { kind: 'drop', reason: 'unknown' };
      case 'owner':
        if (work.fed) return { kind: 'drop', reason: answer.state };
        if (answer.state === 'paused') return { kind: 'later', ms: timings.pausedMs, paused: true };
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

/** Where one run of a job stands. */
interface Pass {
  id: Buffer;
  operation: Operation;
  campaign: number;
  /** The first 401: another token is to be tried. */
  refused: boolean;
  /** Whether that was done. */
  freshToken: boolean;
  called: boolean;
}

function wishOf({
  request: { requestedBy },
  requestedAt,
}: Work): Pick<Detail, 'requestedBy' | 'requestedAt'> {
  return { ...(requestedBy !== null && { requestedBy }), ...(requestedAt !== null && { requestedAt }) };
}
