import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { Queue } from 'bullmq';
import fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from '../base/log.ts';
import { html } from '../files/report/html.ts';
import { LANES, type LaneName } from '../store/keys.ts';
import type { RedisClient } from '../store/script.ts';
import { HEADERS, POLICY } from './server.ts';
import type { Site } from './site.ts';
import type { Directory, ShownTenant } from './tenants.ts';

/** Its pages say where their addresses begin, and insert one style sheet of their own, always the same. */
const BOARD_HEADERS = {
  ...HEADERS,
  'content-security-policy': POLICY.replace("base-uri 'none'", "base-uri 'self'").replace(
    "style-src 'self'",
    "style-src 'self' 'sha256-r2N1TB/gHbBtBZFKg7ejmq1acVSREzucTAEw6ga4hoU='",
  ),
};

/** What a queue is for, as bull-board shows it. */
const PURPOSES: Readonly<Record<LaneName, string>> = {
  cancel: 'Single cancels from other services',
  'cancel-urgent': 'Urgent single cancels and urgent campaigns',
  'cancel-campaign': 'The next two minutes of the running campaigns; their other actions are queued later',
};

export interface QueuesDeps {
  directory: Directory;
  redis: RedisClient;
  log: Logger;
}

/**
 * BullMQ's own view of a tenant's lanes, by bull-board. Only for looking: what its buttons do would go behind the ledger's
 * back. They are hidden, its own API refuses them, and nothing but GET reaches it.
 *
 * @returns what closes the boards.
 */
export function addQueues(site: Site, deps: QueuesDeps): () => Promise<void> {
  const { app } = site;
  const { directory } = deps;
  /** Opened by the first who looks: hundreds of tenants need no three queues each. */
  const boards = new Map<string, Promise<Board>>();

  function boardOf(shown: ShownTenant): Promise<Board> {
    const known = boards.get(shown.label) ?? openBoard(shown, deps);
    boards.set(shown.label, known);
    // The next who looks tries again.
    known.catch(() => boards.delete(shown.label));
    return known;
  }

  site.view('/queues', async () => ({
    title: 'Queues',
    trail: [{ href: '/', text: 'Overview' }],
    body: html`<section><ul class="idle">${directory.all().map(({ label }) => html`<li><a href="${baseOf(label)}/">${label}</a></li>`)}</ul></section>`,
  }));
  app.get<{ Params: { tenant: string } }>('/queues/:tenant', (request, reply) =>
    reply.redirect(`${baseOf(directory.find(request.params.tenant).label)}/`),
  );
  app.get<{ Params: { tenant: string } }>('/queues/:tenant/*', async (request, reply) => {
    site.assertReady();
    const board = await boardOf(directory.find(request.params.tenant));
    reply.hijack();
    board.app.routing(request.raw, reply.raw);
  });

  return async () => {
    for (const board of boards.values()) await (await board).close();
  };
}

interface Board {
  app: FastifyInstance;
  close(): Promise<void>;
}

/** A server of its own that listens nowhere: bull-board's addresses begin with the tenant's. */
async function openBoard({ label, tenant }: ShownTenant, { redis, log }: QueuesDeps): Promise<Board> {
  const base = baseOf(label);
  const queues = LANES.map((lane) => {
    // Or it would write its own settings into the lane's.
    const queue = new Queue(lane, { connection: redis, prefix: tenant.keys.prefix, skipMetasUpdate: true });
    queue.on('error', (err) => log.debug({ queue: lane, err }, 'queue'));
    return queue;
  });
  const serverAdapter = new FastifyAdapter().setBasePath(base);
  createBullBoard({
    queues: queues.map(
      (queue) =>
        new BullMQAdapter(queue, { readOnlyMode: true, description: PURPOSES[queue.name as LaneName] }),
    ),
    serverAdapter,
    options: { uiConfig: { boardTitle: `Standdown: ${label}`, miscLinks: [{ text: 'Console', url: '/' }] } },
  });
  const app = fastify({ exposeHeadRoutes: false, forceCloseConnections: true });
  app.addHook('onRequest', async (_request, reply) => void reply.headers(BOARD_HEADERS));
  app.addHook('preHandler', async ({ query }) => limitJobs(query as Record<string, unknown>));
  app.addHook('onSend', async (_request, _reply, body) =>
    typeof body === 'string' ? withoutStrangers(body) : body,
  );
  await app.register(serverAdapter.registerPlugin(), { prefix: base });
  await app.ready();
  return {
    app,
    close: async () => {
      await app.close();
      await Promise.all(queues.map((queue) => queue.close()));
    },
  };
}

function baseOf(label: string): string {
  return `/queues/${encodeURIComponent(label)}`;
}

/** It shows as many jobs as it is asked for, and each is read into memory. */
const MOST_JOBS = 100;

function limitJobs(query: Record<string, unknown>): void {
  const { jobsPerPage } = query;
  if (jobsPerPage !== undefined && !(Number(jobsPerPage) <= MOST_JOBS))
    query['jobsPerPage'] = String(MOST_JOBS);
}

/** Its page names fonts elsewhere, and has a waiting sign with a style of its own: the policy lets neither in. */
function withoutStrangers(page: string): string {
  if (!page.startsWith('<!DOCTYPE')) return page;
  return page
    .replace(/<link[^>]*fonts\.googleapis\.com[^>]*>/g, '')
    .replace(/<div id="root">.*?<\/div>\s*(?=<script)/s, '<div id="root"></div>');
}
