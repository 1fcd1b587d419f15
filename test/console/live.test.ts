import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import { request } from 'undici';
import { sendChanges } from '../../src/console/live.ts';
import { html } from '../../src/files/report/html.ts';

test('a second that has passed is no change', async (t) => {
  const stop = new AbortController();
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  const until = new Date(Date.now() + 60_000).toISOString();
  const looks = [
    [until, '(in 53 s)'],
    [until, '(in 52 s)'],
    [new Date(Date.now() + 70_000).toISOString(), '(in 52 s)'],
  ] as const;
  let looked = 0;
  app.get('/', (_request, reply) =>
    sendChanges(reply, {
      look: async () => {
        const [iso, left] = looks[looked++] ?? looks[2];
        if (looked > looks.length) stop.abort();
        const part = html`<span data-until="${iso}">at <time>10:00</time> <span class="left">${left}</span></span>`;
        return { title: 'one', body: html``, regions: { part }, everyMs: 1 };
      },
      mayLook: () => true,
      describe: (error) => (error as Error).message,
      stop: stop.signal,
    }),
  );
  const { body } = await request(await app.listen({ host: '127.0.0.1', port: 0 }));
  const events = (await body.text()).trim().split('\n\n');
  assert.equal(events.length, 2);
  assert.match(events[0] ?? '', /\(in 53 s\)/, 'where scripts do not run it says so, too');
});

test('a look that succeeds after one that failed is told of, even where nothing has changed', async (t) => {
  const stop = new AbortController();
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  let looks = 0;
  app.get('/', (_request, reply) =>
    sendChanges(reply, {
      look: async () => {
        looks++;
        if (looks === 2) throw new Error('away');
        if (looks === 4) stop.abort();
        return { title: 'one', body: html``, regions: { part: html`the same` } };
      },
      mayLook: () => true,
      describe: (error) => (error as Error).message,
      stop: stop.signal,
    }),
  );
  const { body } = await request(await app.listen({ host: '127.0.0.1', port: 0 }));
  const events = (await body.text()).trim().split('\n\n');
  assert.deepEqual(events, [
    'event: change\ndata: {"regions":{"part":"the same"}}',
    'event: trouble\ndata: "away"',
    'event: change\ndata: {}',
  ]);
});
