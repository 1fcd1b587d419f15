import type { Clock } from '../base/clock.ts';
import { unreachable } from '../base/errors.ts';
import { type Answer, type ErrorText, htmlAnswer, withHeader } from './answer.ts';
import { hang, type Line, reset, send, sendHalf } from './delivery.ts';
import type { Fault } from './faults.ts';
import type { Served } from './operations.ts';

/** A call that something may happen to. */
export interface Exchange extends Line {
  /** Does what the call asks for. */
  serve(): Served | Promise<Served>;
  /** An error in this service's own words. */
  describe(status: number, text: ErrorText): Answer;
}

export interface FaultPlayer {
  /** Answers the call as the fault says, or keeps the answer back. */
  play(fault: Fault, exchange: Exchange): Promise<void>;
  /** Answers the call as it should be. */
  serve(exchange: Exchange): Promise<void>;
}

type FaultOf<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>;

export function createFaultPlayer({ clock, signal }: { clock: Clock; signal: AbortSignal }): FaultPlayer {
  const play = async (fault: Fault, exchange: Exchange): Promise<void> => {
    exchange.call.verdict = 'fault';
    exchange.call.fault = fault.kind;
    switch (fault.kind) {
      case 'status':
        if (fault.applied) await apply(exchange);
        return send(exchange, statusAnswer(fault, exchange));
      case 'html':
        if (fault.applied) await apply(exchange);
        return send(exchange, htmlAnswer(fault.status, fault.body));
      case 'truncated':
        return truncate(fault, exchange);
      case 'reset':
        if (fault.when === 'after') await apply(exchange);
        return reset(exchange);
      case 'hang':
        if (fault.applied) await apply(exchange);
        return hang(exchange);
      case 'slow':
        await clock.sleep(fault.ms, signal);
        return serve(exchange);
      case 'redirect':
        return send(exchange, redirectAnswer(fault));
      default:
        return unreachable(fault);
    }
  };
  return { play, serve };
}

async function serve(exchange: Exchange): Promise<void> {
  const served = await exchange.serve();
  exchange.call.applied = served.applied;
  exchange.call.verdict = served.verdict;
  send(exchange, served.answer);
}

/** The effect without the answer. */
async function apply(exchange: Exchange): Promise<Answer> {
  const served = await exchange.serve();
  exchange.call.applied = served.applied;
  return served.answer;
}

async function truncate(fault: FaultOf<'truncated'>, exchange: Exchange): Promise<void> {
  const answer = fault.applied === false ? unapplied(exchange) : await apply(exchange);
  if (fault.how === 'closed') return sendHalf(exchange, answer);
  send(exchange, { ...answer, body: answer.body.slice(0, Math.floor(answer.body.length / 2)) });
}

/** Looks like the beginning of a success. */
function unapplied({ call, describe }: Exchange): Answer {
  return { ...describe(200, {}), body: JSON.stringify({ id: call.id, status: 'Pending', commands: [] }) };
}

function statusAnswer(fault: FaultOf<'status'>, { describe }: Exchange): Answer {
  const answer = describe(fault.status, { code: fault.code, message: fault.message });
  return fault.retryAfter === undefined
    ? answer
    : withHeader(answer, 'retry-after', String(fault.retryAfter));
}

function redirectAnswer(fault: FaultOf<'redirect'>): Answer {
  return { status: fault.status ?? 302, headers: { location: fault.location ?? '/elsewhere' }, body: '' };
}
