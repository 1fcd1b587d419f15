import type { AddressInfo } from 'node:net';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import multipart from '@fastify/multipart';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { messageOf, StanddownError } from '../base/errors.ts';
import { foreign } from '../base/foreign.ts';
import type { Logger } from '../base/log.ts';
import { causeOf, isReply } from '../store/redis/failure.ts';
import { type Admission, createAdmission, type Use } from './admission.ts';
import { allowUpload, createLimitedServer, keepOpen, limitBody } from './arriving.ts';
import { serveAssets } from './assets.ts';
import { cookieOf, setSession } from './cookie.ts';
import { createGuesses } from './guesses.ts';
import { isKnownHost, isOwnOrigin } from './host.ts';
import { asksForChanges } from './live.ts';
import { OUTDATED_FORM, READS_ONLY, type Role, type Sessions } from './session.ts';
import { addSignIn, isOpenPath, leadToSignIn } from './sign-in.ts';
import { createSignInLog } from './sign-in-log.ts';
import { createSite, messagePage, type Site, sendPage } from './site.ts';
import { statusOf } from './status.ts';

export interface ServerDeps {
  sessions: Sessions;
  /** Whether Redis is there. */
  isReady(): boolean;
  /** By which browsers may address it besides addresses and this machine's name. */
  names: readonly string[];
  /** Addresses and networks of the proxies that say for whom they ask. */
  proxies: readonly string[];
  log: Logger;
  /** Aborted when the console stops. */
  stop: AbortSignal;
  /** How long a form may take to arrive, in ms. Default: 10,000. */
  bodyMs?: number | undefined;
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
/** A field is held in memory: 200,000 pasted ids. */
const MOST_FIELD_BYTES = 8 * 1_048_576;
const MOST_FIELDS = 6;
const MOST_UPLOAD_BYTES = MOST_FILE_BYTES + MOST_FIELDS * MOST_FIELD_BYTES;
/** Of any other form. */
const MOST_FORM_BYTES = 65_536;

/** So long any other form may take to arrive, in ms. */
const BODY_MS = 10_000;
/** So long whoever asked may take nothing of the answer, in ms. Pages that are kept up to date are sent something more often. */
const STALLED_MS = 60_000;

export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { sessions, isReady, names, proxies, log, stop, bodyMs = BODY_MS } = deps;
  const describe = (error: unknown) => describeError(error, log);
  const app: FastifyInstance = fastify({
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    trustProxy: proxies.length > 0 && [...proxies],
    serverFactory: (handler) => createLimitedServer(proxies, handler),
    bodyLimit: MOST_FORM_BYTES,
    // These come before any hook.
    frameworkErrors: (error, _request, reply) => void answer(reply.headers(HEADERS), 400, messageOf(error)),
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    limitBody(request.raw, reply.raw, bodyMs);
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
  app.removeAllContentTypeParsers();
  await app.register(formbody, { parser: (text) => new URLSearchParams(text) as never });
  await app.register(multipart, {
    limits: {
      fileSize: MOST_FILE_BYTES,
      fieldSize: MOST_FIELD_BYTES,
      files: 1,
      fields: MOST_FIELDS,
      parts: MOST_FIELDS + 1,
    },
  });
  const admission = createAdmission();
  app.addHook('onRequest', async (request, reply) => admit(sessions, request, reply));
  app.addHook('onRequest', async (request, reply) => takePlace(sessions, admission, request, reply));
  // A change may take its time; what it is answered may not.
  app.addHook('onSend', async (request, reply) => endIfStalled(request, reply));
  app.setNotFoundHandler((_request, reply) => answer(reply, 404, 'This page does not exist.'));
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    // It passes, and the page is shown again without a key press.
    if (status === 503) reply.header('retry-after', REFRESH_S);
    if (status === 503 && request.method === 'GET') reply.header('refresh', REFRESH_S);
    const isOurs = error instanceof StanddownError;
    return answer(reply, status, status === 413 && !isOurs ? TOO_LARGE : describe(error));
  });
  await serveAssets(app);
  const signInLog = createSignInLog(log);
  app.addHook('onClose', async () => signInLog.flush());
  addSignIn(app, { sessions, guesses: createGuesses(), log: signInLog });
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
  setSession(request, reply, sessions.enter());
  return;
}

/** Whoever takes nothing of an answer any more must not keep its place. */
function endIfStalled({ raw }: FastifyRequest, reply: FastifyReply): void {
  reply.raw.setTimeout(STALLED_MS, () => raw.destroy());
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may send it. Default: whoever may read. */
    role?: Role;
    /** Default: `page`, or `stream` for the changes of one. */
    use?: Use;
  }
}

/** Who may do this, and whether there is room for it, is decided before anything of it is read. */
async function takePlace(
  sessions: Sessions,
  admission: Admission,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const cookie = cookieOf(request) ?? '';
  const session = sessions.read(cookie);
  if (isOpenPath(request.url) || typeof session === 'string') return;
  const { role, use = asksForChanges(request) ? 'stream' : 'page' } = request.routeOptions.config;
  if (role === 'act' && session.role !== 'act') return answer(reply, 403, READS_ONLY);
  if (use === 'upload' && Number(request.headers['content-length'] ?? 0) > MOST_UPLOAD_BYTES)
    return answer(reply, 413, TOO_LARGE);
  const entered = admission.enter(use, cookie, session.role);
  if (typeof entered !== 'function')
    return answer(reply.header('retry-after', REFRESH_S), entered.status, entered.words);
  reply.raw.once('close', entered);
  keepOpen(request.raw.socket, reply.raw);
  if (isLook(request)) endIfStalled(request, reply);
  if (use === 'upload') allowUpload(request.raw);
  return;
}

function answer(reply: FastifyReply, status: number, words: string): FastifyReply {
  return sendPage(
    reply.code(status),
    messagePage(status === 404 ? 'Not found' : 'Request failed', words),
    null,
  );
}

/** A form that is too large for any reader of it. */
const TOO_LARGE =
  'This is too large for the console. Submit the file with "standdown submit", which takes any number of ids.';

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
