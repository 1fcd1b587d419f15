import type { AddressInfo } from 'node:net';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import multipart from '@fastify/multipart';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type ErrorCode, messageOf, StanddownError } from '../errors.ts';
import { foreign } from '../foreign.ts';
import type { Logger } from '../log.ts';
import { causeOf, isReply } from '../redis/failure.ts';
import { serveAssets } from './assets.ts';
import { isKnownHost, isOwnOrigin } from './host.ts';
import { OUTDATED_FORM, type Sessions } from './session.ts';
import { addSignIn, isOpenPath, leadToSignIn, SESSION_COOKIE } from './sign-in.ts';
import { cookieName, cookieOf, createSite, messagePage, type Site, sendPage } from './site.ts';

export interface ServerDeps {
  sessions: Sessions;
  /** Whether Redis is there. */
  isReady(): boolean;
  /** By which browsers may address it besides addresses and this machine's name. */
  names: readonly string[];
  log: Logger;
  /** Aborted when the console stops. */
  stop: AbortSignal;
  routes(site: Site): void | Promise<void>;
}

/** Only what this server itself sends may run, be shown, or be spoken to; nor may another page show it. */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  // Not "no-referrer": then browsers would not say from where a form comes.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** In so many seconds a browser asks again for a page that could not be shown while Redis was away. */
const REFRESH_S = 5;

/** A million ids as CSV with a few columns. */
const MOST_FILE_BYTES = 512 * 1_048_576;
const MOST_FIELD_BYTES = 64 * 1_048_576;

export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { sessions, isReady, names, log, stop } = deps;
  const describe = (error: unknown) => describeError(error, log);
  const app: FastifyInstance = fastify({
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    // These come before any hook.
    frameworkErrors: (error, _request, reply) => void answer(reply.headers(HEADERS), 400, messageOf(error)),
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    if (!isKnownHost(request.headers.host, names)) {
      const words =
        'The console does not serve this host name. Use an IP address, or add the name to CONSOLE_NAMES.';
      return reply.code(421).type('text/plain').send(`${words}\n`);
    }
    if (!isLook(request) && !isOwnOrigin(request.headers.origin, request.headers.host))
      return answer(reply, 403, 'This form was sent from another site.');
    return;
  });
  await app.register(cookie);
  await app.register(formbody, { parser: (text) => new URLSearchParams(text) as never, bodyLimit: 65_536 });
  await app.register(multipart, {
    limits: { fileSize: MOST_FILE_BYTES, fieldSize: MOST_FIELD_BYTES, files: 1, fields: 6 },
  });
  app.addHook('onRequest', async (request, reply) => admit(sessions, request, reply));
  app.setNotFoundHandler((_request, reply) => answer(reply, 404, 'This page does not exist.'));
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    // It passes, and the page is shown again without a key press.
    if (status === 503 && request.method === 'GET') reply.header('refresh', REFRESH_S);
    return answer(reply, status, describe(error));
  });
  await serveAssets(app);
  addSignIn(app, sessions);
  await deps.routes(createSite({ app, sessions, isReady, stop, describe }));
  return app;
}

/** @throws StanddownError CONFIG_INVALID when the port cannot be had. */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<number> {
  await app.listen({ host, port }).catch((cause: unknown) => {
    const message = `CONSOLE_PORT: cannot listen on ${host}, port ${port} (${messageOf(cause)}); choose another port`;
    throw new StanddownError('CONFIG_INVALID', message, { cause });
  });
  return (app.server.address() as AddressInfo).port;
}

/** Whether a request changes nothing. Uptime monitors ask for the head of a page alone. */
function isLook({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Lets nobody in who has not signed in, where one has to. */
async function admit(sessions: Sessions, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  if (isOpenPath(request.url)) return;
  const found = sessions.read(cookieOf(request));
  if (typeof found !== 'string') return;
  if (sessions.needsSignIn) return leadToSignIn(request, reply, found);
  if (!isLook(request)) return answer(reply, 403, OUTDATED_FORM);
  const entered = sessions.enter();
  request.cookies[cookieName(request)] = entered;
  reply.setCookie(cookieName(request), entered, SESSION_COOKIE);
  return;
}

function answer(reply: FastifyReply, status: number, words: string): FastifyReply {
  return sendPage(
    reply.code(status),
    messagePage(status === 404 ? 'Not found' : 'Request failed', words),
    null,
  );
}

const STATUSES: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  INPUT_INVALID: 400,
  NOT_PERMITTED: 403,
  CAMPAIGN_UNKNOWN: 404,
  CAMPAIGN_CLOSED: 409,
  REFUSED: 409,
  REDIS_UNREACHABLE: 503,
  REDIS_FAILED: 503,
  UPSTREAM_FAILED: 502,
};

function statusOf(error: unknown): number {
  if (error instanceof StanddownError) return STATUSES[error.code] ?? 500;
  const status: unknown = error instanceof Error ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

/** Longest message on a page, in characters. */
const MAX_TEXT = 2_000;

/** Our own mistakes are not shown: they are in the log. */
export function describeError(error: unknown, log: Logger): string {
  if (error instanceof StanddownError && error.code !== 'INTERNAL') return foreign(error.message, MAX_TEXT);
  if (statusOf(error) < 500) return foreign(messageOf(error), MAX_TEXT);
  // Of many tenants, and looked at every other second: the log would hold nothing else.
  if (isReply(error)) return `Redis: ${causeOf(error)}`;
  log.error({ err: error }, 'console');
  return 'Internal error. The log of the console has the details.';
}
