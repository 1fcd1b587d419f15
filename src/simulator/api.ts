import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../base/clock.ts';
import type { AccessTokens } from './access-tokens.ts';
import { errorAnswer, withHeader } from './answer.ts';
import type { ApiOperation, Call, Calls } from './calls.ts';
import { type Line, send } from './delivery.ts';
import type { Exchange, FaultPlayer } from './fault-player.ts';
import type { Fault, Faults } from './faults.ts';
import type { Latency } from './latency.ts';
import type { Limits } from './limits.ts';
import { forbidden, type Operations, readComment } from './operations.ts';
import { holdsAny, rolesFor } from './permissions.ts';
import { type Refusal, refusalAnswer } from './refusal.ts';
import { CALL } from './server.ts';

export interface ApiDeps {
  clock: Clock;
  calls: Calls;
  limits: Limits;
  faults: Faults;
  player: FaultPlayer;
  latency: Latency;
  tokens: AccessTokens;
  operations: Operations;
  /** Aborted when the simulator stops. */
  signal: AbortSignal;
}

/** A call as judged at the moment it arrived. */
interface Visit {
  call: Call;
  operation: ApiOperation;
  gatewayFault: Fault | null;
  refusal: Refusal | null;
}

/** What is known when the headers have been read: the visit, or for how long the call is kept on its way here. */
type Approach = { visit: Visit } | { delayMs: number };

type IdRequest = FastifyRequest<{ Params: { id?: string } }>;

/** The three documented routes of the machine action API. */
export function apiRoutes(deps: ApiDeps): FastifyPluginCallback {
  return (app, _options, done) => {
    app.decorateRequest('approach');
    const route = (method: 'GET' | 'POST', url: string, operation: ApiOperation) =>
      app.route<{ Params: { id?: string } }>({
        method,
        url,
        // Here the headers have been read and the body has not: the moment a limit counts.
        onRequest: (request, _reply, next) => {
          request.setDecorator('approach', approach(deps, operation, request));
          next();
        },
        handler: async (request, reply) => {
          const approached = request.getDecorator<Approach>('approach');
          if ('visit' in approached) return proceed(deps, approached.visit, request, reply);
          await deps.clock.sleep(approached.delayMs, deps.signal);
          const call = openCall(deps, operation, request);
          call.fault = 'slow';
          return proceed(deps, judge(deps, operation, call), request, reply);
        },
      });
    route('POST', '/api/machineactions/:id/cancel', 'cancel');
    route('GET', '/api/machineactions/:id', 'get');
    route('GET', '/api/machineactions', 'list');
    done();
  };
}

/** Synchronous: calls are judged and counted in the order of their arrival. */
function approach(deps: ApiDeps, operation: ApiOperation, request: IdRequest): Approach {
  const gatewayFault = deps.faults.take({ operation, id: idOf(request) }, 'gateway');
  if (gatewayFault?.kind === 'slow') return { delayMs: gatewayFault.ms };
  const call = openCall(deps, operation, request);
  if (gatewayFault) return { visit: { call, operation, gatewayFault, refusal: null } };
  return { visit: judge(deps, operation, call) };
}

function openCall({ calls, tokens }: ApiDeps, operation: ApiOperation, request: IdRequest): Call {
  const { url, method } = request;
  const tenantId = tokens.tenantOf(request.headers.authorization);
  const call = calls.open({ tenantId, operation, id: idOf(request), path: url, method });
  request.setDecorator(CALL, call);
  return call;
}

function idOf({ params }: IdRequest): string | null {
  return params.id?.toLowerCase() ?? null;
}

/** Before anything is known of the token: a call without a good one uses quota too. */
function judge({ limits }: ApiDeps, operation: ApiOperation, call: Call): Visit {
  const judgement = limits.judge(operation, call.arrivedAtMs, call.tenantId ?? '');
  call.counted = judgement.allowed || limits.settings().refusedCallsCount;
  if (!judgement.allowed) call.verdict = 'refused';
  return { call, operation, gatewayFault: null, refusal: judgement.allowed ? null : judgement };
}

async function proceed(
  deps: ApiDeps,
  { call, operation, gatewayFault, refusal }: Visit,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const line: Line = { call, calls: deps.calls, reply };
  const comment = readComment(request.headers['content-type'], request.body);
  if (operation === 'cancel' && comment.ok) call.comment = comment.comment;
  const exchange = (roles: readonly string[]): Exchange => ({
    ...line,
    serve: () =>
      deps.operations[operation]({ call, origin: `http://${request.headers.host}`, roles, comment }),
    describe: (status, text) => errorAnswer(status, text, call.correlationId),
  });

  const pause = deps.latency();
  if (pause) await pause;
  if (gatewayFault) return deps.player.play(gatewayFault, exchange([]));
  if (refusal) return refuse(deps, line, refusal);
  const bearer = await deps.tokens.verify(request.headers.authorization);
  if (!bearer.ok) return unauthorized(line, bearer.reason);
  call.tokenJti = bearer.jti;
  if (!holdsAny(bearer.roles, rolesFor(operation, bearer.isDelegated))) return deny(line);
  const fault = deps.faults.take(call, 'service');
  return fault ? deps.player.play(fault, exchange(bearer.roles)) : deps.player.serve(exchange(bearer.roles));
}

function refuse({ limits, clock }: ApiDeps, line: Line, refusal: Refusal): void {
  const now = { wallMs: clock.wall(), target: line.call.correlationId };
  send(line, refusalAnswer(refusal, limits.settings(), now));
}

function unauthorized(line: Line, reason: string): void {
  line.call.verdict = 'unauthorized';
  const answer = errorAnswer(401, { message: reason }, line.call.correlationId);
  send(line, withHeader(answer, 'www-authenticate', 'Bearer error="invalid_token"'));
}

function deny(line: Line): void {
  const { answer, verdict } = forbidden(line.call);
  line.call.verdict = verdict;
  send(line, answer);
}
