import type { Attributes, Span } from '@opentelemetry/api';
import type { Telemetry } from 'bullmq';
import { parseGuid } from '../base/guid.ts';
import type { CancelResult, Outcome } from '../base/outcome.ts';
import type { Send } from '../defender/exchange.ts';
import type { SignIn } from '../defender/sign-in.ts';
import { SignInError } from '../defender/sign-in-error.ts';
import type { Answer, Finish, FinishAsk } from '../store/ledger/calls.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import type { ProcessorDeps } from './processor.ts';

/** Follows a tenant's requests over the queue and out to the API. */
export interface Tracing {
  /** For BullMQ's workers. */
  telemetry: Telemetry;
  /** Of the job that is being worked on, if one is. */
  span(): Span | undefined;
  /** Makes a call as a part of that. */
  send: Send;
  /** What goes on by itself, and belongs to no job. */
  apart<Args extends unknown[], T>(run: (...args: Args) => T): (...args: Args) => T;
}

/** The steps of a request's way, told as events of its job's span. */
export function traceSteps<Deps extends { ledger: Ledger; signIn: SignIn }>(
  deps: Deps,
  tracing: Tracing | null,
): Deps {
  if (!tracing) return deps;
  const { ledger, signIn } = deps;
  const tell = (name: string, attributes: Attributes) => tracing.span()?.addEvent(name, attributes);
  return {
    ...deps,
    signIn: {
      ...signIn,
      token: async () => {
        const token = await signIn.token().catch((error: unknown) => {
          tell('token', { 'error.type': error instanceof SignInError ? error.code : 'unknown' });
          throw error;
        });
        tell('token', {});
        return token;
      },
    },
    ledger: {
      ...ledger,
      begin: async (ask) => {
        const begun = await ledger.begin(ask);
        tell(...describeBegin(begun.answer));
        return begun;
      },
      finish: async (ask) => {
        const finished = await ledger.finish(ask);
        tell('finish', describeFinish(ask, finished));
        return finished;
      },
    },
  };
}

/** What became of the job, told as attributes of its span. Comments are not told: they are for people. */
export function traceProcessor(deps: ProcessorDeps, tracing: Tracing | null): ProcessorDeps {
  if (!tracing) return deps;
  const tell = (attributes: Attributes) => tracing.span()?.setAttributes(attributes);
  const tellResult = (result: CancelResult) => {
    tell(describeResult(result));
    if (FAILURES.has(result.outcome)) tracing.span()?.setStatus({ code: ERROR });
  };
  return {
    ...deps,
    read: async (job) => {
      const intake = await deps.read(job);
      if (intake.kind === 'work') tell({ [ID]: intake.work.request.machineActionId });
      if (intake.kind === 'result') tellResult(intake.result);
      return intake;
    },
    execute: async (work, onCall) => {
      const executed = await deps.execute(work, onCall);
      tell({ 'standdown.disposition': executed.disposition.kind });
      if (executed.disposition.kind === 'done') tellResult(executed.disposition.result);
      return executed;
    },
  };
}

/** What a job sets off and does not wait for is no part of it. */
export function apart<Args extends unknown[], T>(
  tracing: Tracing | null,
  run: (...args: Args) => T,
): (...args: Args) => T {
  return tracing ? tracing.apart(run) : run;
}

const ID = 'standdown.machine_action.id';

/** SpanStatusCode.ERROR: the API itself is loaded only where traces are wanted. */
const ERROR = 2;

const FAILURES: ReadonlySet<Outcome> = new Set(['forbidden', 'rejected', 'invalid', 'unresolved']);

function describeBegin(answer: Answer): [name: string, attributes: Attributes] {
  const { kind } = answer;
  const waitMs = 'ms' in answer ? { 'standdown.wait_ms': Math.ceil(answer.ms) } : {};
  if (kind === 'hold') return ['hold', { 'standdown.reason': answer.reason, ...waitMs }];
  if (kind === 'window') return ['hold', { 'standdown.reason': kind, ...waitMs }];
  return ['begin', { 'standdown.answer': kind, ...waitMs }];
}

function describeFinish({ operation, slotFate, verdict }: FinishAsk, { kind }: Finish): Attributes {
  return {
    'standdown.operation': operation,
    'standdown.slot': slotFate,
    'standdown.verdict': verdict.kind,
    'standdown.ledger': kind,
  };
}

function describeResult(result: CancelResult): Attributes {
  const { machineActionId, httpStatus, errorCode } = result;
  return {
    // One that is none may be any text.
    ...(parseGuid(machineActionId) !== null && { [ID]: machineActionId }),
    'standdown.outcome': result.outcome,
    'standdown.campaign': result.campaign,
    'standdown.attempts': result.attempts,
    'standdown.uncertain': result.uncertain,
    ...(httpStatus !== undefined && { 'standdown.http_status': httpStatus }),
    ...(errorCode !== undefined && { 'standdown.error_code': errorCode }),
  };
}
