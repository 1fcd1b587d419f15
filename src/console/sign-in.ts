import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StanddownError } from '../errors.ts';
import { foreign } from '../foreign.ts';
import { html } from '../report/html.ts';
import { asksForChanges } from './live.ts';
import { type NoSession, OUTDATED_FORM, SESSION_MS, type Sessions } from './session.ts';
import { cookieName, cookieOf, sendPage } from './site.ts';
import type { View } from './view.ts';

/** Longest name of a person, in characters. */
const MOST_NAME = 60;

export const SESSION_COOKIE = {
  path: '/',
  httpOnly: true,
  sameSite: 'strict',
  maxAge: SESSION_MS / 1_000,
} as const;

const WHY: Readonly<Record<NoSession | 'token', string>> = {
  none: '',
  expired: 'Your session has expired. Sign in again.',
  wrong: 'Your session is no longer valid because the token was changed. Sign in again.',
  token: 'Invalid token.',
};

/** What needs no session. */
export function isOpenPath(url: string): boolean {
  return url.startsWith('/assets/') || /^\/sign-in(\?|$)/.test(url);
}

/** To the form, with the reason, and back to where it was wanted to go. */
export function leadToSignIn(request: FastifyRequest, reply: FastifyReply, why: NoSession): FastifyReply {
  if (asksForChanges(request)) {
    return reply.type('text/event-stream').send('event: leave\ndata: null\n\n');
  }
  const query = new URLSearchParams({ why, next: request.method === 'GET' ? request.url : '/' });
  return reply.redirect(`/sign-in?${query}`, 303);
}

export function addSignIn(app: FastifyInstance, sessions: Sessions): void {
  app.get('/sign-in', async (request, reply) => {
    // What is given twice is a list.
    const { why, next } = request.query as Record<string, unknown>;
    const words = typeof why === 'string' && Object.hasOwn(WHY, why) ? WHY[why as NoSession] : '';
    return sendPage(reply, signInView(words, typeof next === 'string' ? ownPath(next) : '/'), null);
  });

  app.post('/sign-in', async (request, reply) => {
    const fields = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
    const next = ownPath(fields.get('next') ?? '/');
    const name = foreign(fields.get('name') ?? '', MOST_NAME);
    const cookie = sessions.signIn((fields.get('token') ?? '').trim(), `${name || 'unnamed'}@${request.ip}`);
    if (cookie === null) return sendPage(reply.code(403), signInView(WHY.token, next), null);
    // Behind a proxy that speaks https the cookie is never sent without it.
    const secure = request.headers['x-forwarded-proto'] === 'https';
    return reply.setCookie(cookieName(request), cookie, { ...SESSION_COOKIE, secure }).redirect(next, 303);
  });

  app.post('/sign-out', async (request, reply) => {
    const fields = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
    const cookie = cookieOf(request) ?? '';
    if (!sessions.isFormKey(cookie, fields.get('formKey')))
      throw new StanddownError('NOT_PERMITTED', OUTDATED_FORM);
    sessions.end(cookie);
    return reply.clearCookie(cookieName(request), { path: '/' }).redirect('/sign-in', 303);
  });
}

/** Nobody is led elsewhere by a link to here. */
function ownPath(path: string): string {
  return /^\/(?![/\\])[\x20-\x7e]*$/.test(path) ? path : '/';
}

function signInView(problem: string, next: string): View {
  return {
    title: 'Sign in',
    body: html`<section>
${problem === '' ? '' : html`<p class="problem" role="alert">${problem}</p>`}
<form method="post" action="/sign-in" class="stacked">
<input type="hidden" name="next" value="${next}">
<div><label for="name">Your name (recorded in the history of campaigns)</label><input id="name" name="name" autocomplete="username" maxlength="60" required></div>
<div><label for="token">Token (read or act)</label><input id="token" name="token" type="password" autocomplete="current-password" required></div>
<div><button class="main">Sign in</button></div>
</form>
</section>`,
  };
}
