import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import { request } from 'undici';
import { sendChanges } from '../../src/console/live.ts';
import { html } from '../../src/report/html.ts';

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
