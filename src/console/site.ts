import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StanddownError } from '../base/errors.ts';
import { html } from '../files/report/html.ts';
import type { Use } from './admission.ts';
import { cookieOf } from './cookie.ts';
import { asksForChanges, sendChanges } from './live.ts';
import { OUTDATED_FORM, READS_ONLY, type Role, type Session, type Sessions } from './session.ts';
import { renderPage, type View, type Viewer } from './view.ts';

/** One request, by somebody who may make it. */
export interface Visit {
  params: Readonly<Record<string, string>>;
  /** The first of each, where one is given several times. */
  query: Readonly<Record<string, string>>;
  /** What a form sent. */
  fields: URLSearchParams;
  viewer: Viewer;
  request: FastifyRequest;
  reply: FastifyReply;
}

/** What routes are added to. */
export interface Site {
  app: FastifyInstance;
  /** A page, and the changes of it. */
  view(path: string, look: (visit: Visit) => Promise<View>): void;
  /** Where a form is sent to. Returns where to go then; null: it has answered itself. */
  form(path: string, role: Role, take: (visit: Visit) => Promise<string | null>, use?: Use): void;
  /** @throws StanddownError REDIS_UNREACHABLE while Redis is away. */
  assertReady(): void;
  /** Who sends a form, where its key stands in it: for forms that bring files, which are read by their own routes. */
  check(request: FastifyRequest, role: Role, formKey: unknown): Viewer;
  /** What went wrong, in words for a person. */
  describe(error: unknown): string;
}

/** Longer nobody waits for a page, in ms: Redis is away. */
const LOOK_MS = 5_000;

export interface SiteDeps {
  app: FastifyInstance;
  sessions: Sessions;
  /** Whether Redis is there. */
  isReady(): boolean;
  stop: AbortSignal;
  describe(error: unknown): string;
}

export function createSite({ app, sessions, isReady, stop, describe }: SiteDeps): Site {
  const sessionOf = (request: FastifyRequest): Session | null => {
    const found = sessions.read(cookieOf(request));
    return typeof found === 'string' ? null : found;
  };

  function viewerOf(request: FastifyRequest): Viewer {
    const session = sessionOf(request);
    if (!session) throw new StanddownError('NOT_PERMITTED', 'Sign in first.');
    const formKey = sessions.formKey(cookieOf(request) ?? '');
    return {
      name: session.name,
      mayAct: session.role === 'act',
      signedIn: sessions.needsSignIn,
      formKey,
    };
  }

  function visitOf(request: FastifyRequest, reply: FastifyReply): Visit {
    const { params, query, body } = request;
    return {
      params: params as Record<string, string>,
      query: Object.fromEntries(
        Object.entries(query as Record<string, string | string[]>).map(([name, value]) => [
          name,
          Array.isArray(value) ? (value[0] ?? '') : value,
        ]),
      ),
      fields: body instanceof URLSearchParams ? body : new URLSearchParams(),
      viewer: viewerOf(request),
      request,
      reply,
    };
  }

  function check(request: FastifyRequest, role: Role, formKey: unknown): Viewer {
    const viewer = viewerOf(request);
    if (!sessions.isFormKey(cookieOf(request) ?? '', formKey)) {
      throw new StanddownError('NOT_PERMITTED', OUTDATED_FORM);
    }
    if (role === 'act' && !viewer.mayAct) {
      throw new StanddownError('NOT_PERMITTED', READS_ONLY);
    }
    return viewer;
  }

  /** What is asked of a Redis that is away waits in memory until it is back: nothing is, then. */
  function assertReady(): void {
    if (!isReady()) throw noRedis();
  }

  return {
    app,
    assertReady,
    check,
    describe,
    view: (path, look) => {
      app.get(path, async (request, reply) => {
        const visit = visitOf(request, reply);
        const limited = async () => {
          assertReady();
          return withinLimit(look(visit));
        };
        if (request.method === 'HEAD' || !asksForChanges(request))
          return sendPage(reply, await limited(), visit.viewer);
        return sendChanges(reply, {
          look: limited,
          mayLook: () => sessionOf(request) !== null,
          describe,
          stop,
        });
      });
    },
    form: (path, role, take, use = 'page') => {
      app.post(path, { config: { role, use } }, async (request, reply) => {
        const visit = visitOf(request, reply);
        check(request, role, visit.fields.get('formKey'));
        assertReady();
        const next = await take(visit);
        return next === null ? reply : reply.redirect(next, 303);
      });
    },
  };
}

export function sendPage(reply: FastifyReply, view: View, viewer: Viewer | null): FastifyReply {
  return reply
    .type('text/html; charset=utf-8')
    .header('cache-control', view.mayBeKept ? 'private, no-cache' : 'no-store')
    .send(renderPage(view, viewer));
}

export function messagePage(title: string, words: string): View {
  return { title, trail: [{ href: '/', text: 'Standdown' }], body: html`<section><p>${words}</p></section>` };
}

async function withinLimit<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(noRedis()), LOOK_MS);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

function noRedis(): StanddownError {
  return new StanddownError(
    'REDIS_UNREACHABLE',
    'Redis does not answer, or only a replica that may be out of date does. Nothing can be shown or changed until it is back; this page tries again by itself.',
  );
}
