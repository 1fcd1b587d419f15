import type { FastifyReply, FastifyRequest } from 'fastify';
import { SESSION_MS } from './session.ts';

const ATTRIBUTES = { path: '/', httpOnly: true, sameSite: 'strict' } as const;

/**
 * Whether TLS is in front. Anybody may say so, and whoever does so falsely gets a cookie that their own browser does not send: it
 * only makes a cookie stricter.
 */
function isSecure({ headers }: FastifyRequest): boolean {
  return /^\s*https\s*(,|$)/i.test(String(headers['x-forwarded-proto'] ?? ''));
}

/**
 * Browsers keep cookies by host, not by port: two consoles of a machine must not take each other's. With TLS in front, the prefix
 * keeps a neighbouring site, and whoever sits on a plain connection, from setting a session of theirs.
 */
function cookieName(request: FastifyRequest): string {
  return `${isSecure(request) ? '__Host-' : ''}standdown-${request.socket.localPort ?? 0}`;
}

export function cookieOf(request: FastifyRequest): string | undefined {
  return request.cookies[cookieName(request)];
}

/** From now on, and for this request, too. */
export function setSession(request: FastifyRequest, reply: FastifyReply, cookie: string): FastifyReply {
  const name = cookieName(request);
  request.cookies[name] = cookie;
  const attributes = { ...ATTRIBUTES, maxAge: SESSION_MS / 1_000, secure: isSecure(request) };
  return reply.setCookie(name, cookie, attributes);
}

export function clearSession(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.clearCookie(cookieName(request), { ...ATTRIBUTES, secure: isSecure(request) });
}
