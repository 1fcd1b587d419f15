import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeDuration } from '../base/duration.ts';
import { StanddownError } from '../base/errors.ts';
import { foreign } from '../base/foreign.ts';
import { html } from '../files/report/html.ts';
import { clearSession, cookieOf, setSession } from './cookie.ts';
import { type Guesses, networkOf, plainAddress } from './guesses.ts';
import { asksForChanges } from './live.ts';
import { type NoSession, OUTDATED_FORM, type Sessions } from './session.ts';
import type { SignInLog } from './sign-in-log.ts';
import { sendPage } from './site.ts';
import type { View } from './view.ts';

/** Longest name of a person, in characters. */
const MOST_NAME = 60;

const WHY: Readonly<Record<NoSession, string>> = {
  none: '',
  ended: 'Your session has ended. Sign in again.',
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

export interface SignInDeps {
  sessions: Sessions;
  guesses: Guesses;
  log: SignInLog;
}

export function addSignIn(app: FastifyInstance, { sessions, guesses, log }: SignInDeps): void {
  app.get('/sign-in', async (request, reply) => {
    // What is given twice is a list.
    const { why, next } = request.query as Record<string, unknown>;
    const words = typeof why === 'string' && Object.hasOwn(WHY, why) ? WHY[why as NoSession] : '';
    return sendPage(reply, signInView(words, typeof next === 'string' ? ownPath(next) : '/'), null);
  });

  app.post('/sign-in', async (request, reply) => {
    const fields = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
    const next = ownPath(fields.get('next') ?? '/');
    const ip = plainAddress(request.ip);
    const address = networkOf(ip);
    const refuse = (status: number, problem: string) =>
      sendPage(reply.code(status), signInView(problem, next), null);
    const later = (waitMs: number, what: 'too many wrong tokens' | 'too many sign-ins') => {
      log.refused(ip, what);
      reply.header('retry-after', Math.ceil(waitMs / 1_000));
      const words = `Too ${what.slice('too '.length)}. Try again in ${describeDuration(waitMs)}.`;
      return refuse(429, words);
    };
    // Before the token is looked at: otherwise the answer would tell whether it is right.
    const waitMs = guesses.waitMs(address);
    if (waitMs > 0) return later(waitMs, 'too many wrong tokens');
    const role = sessions.roleOf((fields.get('token') ?? '').trim());
    if (role === null) {
      guesses.noteWrong(address);
      log.refused(ip, 'wrong token');
      return refuse(403, 'Invalid token.');
    }
    const pauseMs = guesses.signIn(address, role);
    if (pauseMs > 0) return later(pauseMs, 'too many sign-ins');
    const name = `${foreign(fields.get('name') ?? '', MOST_NAME) || 'unnamed'}@${ip}`;
    log.signedIn({ name, role, address: ip });
    const cookie = sessions.open(role, name, address);
    return setSession(request, reply, cookie).redirect(next, 303);
  });

  app.post('/sign-out', async (request, reply) => {
    const fields = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
    const cookie = cookieOf(request) ?? '';
    if (!sessions.isFormKey(cookie, fields.get('formKey')))
      throw new StanddownError('NOT_PERMITTED', OUTDATED_FORM);
    const session = sessions.read(cookie);
    if (sessions.needsSignIn && typeof session !== 'string')
      log.signedOut({ name: session.name, role: session.role });
    sessions.end(cookie);
    return clearSession(request, reply).redirect('/sign-in', 303);
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
