import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { request } from 'undici';
import type { Console } from '../../src/console/open.ts';
import { newGuids } from '../cli/shell.ts';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';
import { assertAccessible, openConsole, picture, visit } from './support.ts';

describe("BullMQ's own view in the console", () => {
  let server: TestRedis;
  let stack: Stack;
  let served: Console;
  let browser: Browser | null;
  const path = () => `/queues/${stack.tenant.label}/`;

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server);
    served = await openConsole({ env: stack.env });
    browser = await startChromium();
    for (const machineActionId of newGuids(3)) {
      await stack.enqueue({ v: 1, machineActionId, comment: '<img src=x onerror="alert(1)">' });
    }
  });
  after(async () => {
    await browser?.close();
    await served.stop();
    await stack.close();
    await server.close();
  });

  it('shows the lanes and their jobs, under the same policy as every page, and nothing to press', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const visitor = await visit(browser, served.url);
    const { page } = visitor;
    await visitor.go('/queues');
    await assertAccessible(page);
    await page.getByRole('link', { name: stack.tenant.label }).click();
    await page.getByText('cancel-urgent').first().waitFor();
    await picture(page, 'queues');
    await visitor.go(`${path()}queue/cancel?status=waiting`);
    await page.getByText('onerror').first().waitFor();
    await picture(page, 'queue');
    for (const name of [/pause/i, /empty/i, /obliterate/i, /promote/i, /remove/i, /add job/i]) {
      assert.equal(await page.getByRole('button', { name }).count(), 0, String(name));
    }
    visitor.assertQuiet();
    await visitor.context.close();
  });

  it('lets nothing through that could change a lane', async () => {
    const before = await stack.redis.llen(stack.tenant.keys.lane('cancel', 'wait'));
    const api = `${path()}api/queues`;
    const entered = await request(new URL('/queues', served.url));
    await entered.body.dump();
    const cookie = String(entered.headers['set-cookie']).split(';')[0] ?? '';
    const asked = [
      ['PUT', `${api}/cancel/pause`],
      ['PUT', `${api}/pause`],
      ['PUT', `${api}/cancel/empty`],
      ['PUT', `${api}/cancel/obliterate`],
      ['PUT', `${api}/cancel/clean/wait`],
      ['POST', `${api}/cancel/add`],
      ['DELETE', `${api}/cancel/1`],
    ] as const;
    for (const [method, where] of asked) {
      const answer = await request(new URL(where, served.url), {
        method,
        headers: { cookie, ...(method !== 'DELETE' && { 'content-type': 'application/json' }) },
        body: method === 'DELETE' ? null : '{}',
      });
      // There is no such route, for whoever may do everything else.
      assert.equal(answer.statusCode, 404, `${method} ${where}`);
      await answer.body.dump();
    }
    assert.equal(await stack.redis.llen(stack.tenant.keys.lane('cancel', 'wait')), before);
    assert.equal(await stack.redis.hget(stack.tenant.keys.lane('cancel', 'meta'), 'paused'), null);
  });

  it('reads no more than 100 jobs at once, however many it is asked for', async () => {
    for (const machineActionId of newGuids(105))
      await stack.enqueue({ v: 1, machineActionId, comment: 'many' });
    for (const query of ['jobsPerPage=1000000', 'jobsPerPage=5&jobsPerPage=1000000', 'jobs%50erPage=1e6']) {
      const where = `${path()}api/queues?activeQueue=cancel&status=waiting&page=1&${query}`;
      const { body } = await request(new URL(where, served.url));
      const { queues } = (await body.json()) as { queues: { name: string; jobs: unknown[] }[] };
      assert.equal(queues.find(({ name }) => name === 'cancel')?.jobs.length, 100, query);
    }
  });

  it('sends the policy with its own answers', async () => {
    for (const where of [path(), `${path()}api/queues`]) {
      const { headers, body } = await request(new URL(where, served.url));
      assert.match(String(headers['content-security-policy']), /script-src 'self'/);
      const text = await body.text();
      assert.ok(!text.includes('googleapis'), where);
      assert.ok(!/style=|<style/.test(text), where);
    }
  });
});
