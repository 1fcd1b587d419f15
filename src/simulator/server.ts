import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { messageOf } from '../base/errors.ts';
import { errorAnswer } from './answer.ts';
import type { Call, Calls } from './calls.ts';
import type { ServerCertificate } from './certificate.ts';
import { send } from './delivery.ts';

/** The request decorator that holds the call, so that whoever ends it can note how. */
export const CALL = 'call';

export interface ServerDeps {
  calls: Calls;
  /** Aborted when the simulator stops. */
  signal: AbortSignal;
  /** Null: plain http. */
  certificate: ServerCertificate | null;
}

/** A server that knows no route yet: bodies as text, unknown paths recorded, connections cut when it closes. */
export function createServer(deps: ServerDeps): FastifyInstance {
  const { certificate } = deps;
  const app: FastifyInstance = fastify({
    // At closing nothing may wait for a hanging call.
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1_000 },
    frameworkErrors: (_error, request, reply) => answerUnknown(deps, request, reply),
    serverFactory: (handler) => {
      const server = certificate ? createHttpsServer(certificate, handler) : createHttpServer(handler);
      // Longer than any client keeps a connection: no reset that was not asked for.
      server.keepAliveTimeout = 72_000;
      return server;
    },
  });
  app.removeAllContentTypeParsers();
  // As text whatever the type: what a bad body is answered with is for the operation to say.
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.decorateRequest(CALL, null);
  app.setNotFoundHandler((request, reply) => answerUnknown(deps, request, reply));
  app.setErrorHandler((error, request, reply) => answerFailure(deps, error, request, reply));
  return app;
}

/** Listens on the loopback address only; returns the port. */
export async function listen(app: FastifyInstance, port: number): Promise<number> {
  await app.listen({ host: '127.0.0.1', port });
  return (app.server.address() as AddressInfo).port;
}

function answerUnknown({ calls }: ServerDeps, request: FastifyRequest, reply: FastifyReply): void {
  const call = calls.open({ operation: null, id: null, path: request.url, method: request.method });
  call.verdict = 'unknown-path';
  const text = { code: 'NotFound', message: `No route for ${request.method} ${request.url}.` };
  send({ call, calls, reply }, errorAnswer(404, text, call.correlationId));
}

/** A body that cannot be read, a wait cut short by the stop, or a bug here: said aloud, so that no test takes it for the API's. */
function answerFailure(
  { calls, signal }: ServerDeps,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (signal.aborted) {
    reply.hijack().raw.destroy();
    return;
  }
  const status = statusOf(error);
  const code = status < 500 ? 'InvalidRequestBody' : 'SimulatorBug';
  const call = request.getDecorator<Call | null>(CALL);
  const answer = errorAnswer(status, { code, message: messageOf(error) }, call?.correlationId ?? '');
  if (call) send({ call, calls, reply }, answer);
  else reply.code(status).headers(answer.headers).send(answer.body);
}

function statusOf(error: unknown): number {
  const status: unknown =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' ? status : 500;
}
