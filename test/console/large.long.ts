import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import { makeFinished } from '../support/finished.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { openConsole, picture, textOf, visit } from './support.ts';

const REQUESTS = 100_000;
const TENANTS = 200;

/** What is asked for is under 1 s and 200 ms. A machine that does much else besides is slower, and is no news. */
const LOOSELY = 5;
const PAINT_MS = 1_000;
const LONG_TASK_MS = 200;

/** Counts the page's long tasks from its beginning. */
const WATCH = `globalThis.longTasks = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) globalThis.longTasks.push(Math.round(duration));
}).observe({ type: 'longtask', buffered: true });`;

describe('the console with much to show', { timeout: 240_000 }, () => {
  let server: TestRedis;
  let browser: Browser | null;

  before(async () => {
    server = await openTestRedis('large-console');
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await server.close();
  });

  async function timed(run: () => Promise<unknown>): Promise<number> {
    const startedAt = performance.now();
    await run();
    return Math.round(performance.now() - startedAt);
  }

  const paintedMs = async (page: Page) => {
    const painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    return eventually(async () => {
      const ms: unknown = await page.evaluate(painted);
      assert.ok(typeof ms === 'number', 'it is not painted yet');
      return Math.round(ms);
    });
  };
  const longestTask = async (page: Page) =>
    (await page.evaluate('Math.max(0, ...globalThis.longTasks)')) as number;

  it(`shows a campaign of ${REQUESTS} requests at once, and searches it`, async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const redis = await server.connect();
    const tenant = await newTenant(redis);
    await makeFinished(tenant, {
      campaign: 'large',
      count: REQUESTS,
      startedAt: Date.now() - 86_400_000,
      stepMs: 800,
    });
    const served = await openConsole({ env: { REDIS_URL: server.url, STANDDOWN_TENANT: tenant.label } });
    const visitor = await visit(browser, served.url);
    const { page } = visitor;
    await page.addInitScript(WATCH);
    await visitor.go(`/t/${tenant.label}/c/1`);
    const first = await paintedMs(page);
    assert.match(await textOf(page, '#requests'), /100,000 of 100,000 actions/);
    const countedMs = await timed(() =>
      eventually(async () => assert.match(await textOf(page, '#analysis'), /Outcomes by type/), 60_000),
    );
    await picture(page, 'large');
    const task = await longestTask(page);
    const search = async (query: string, rows: number) => {
      const ms = await timed(() => visitor.go(`/t/${tenant.label}/c/1${query}`));
      assert.equal(await page.locator('#rows tbody tr').count(), rows);
      return `${query} ${ms} ms (paint ${await paintedMs(page)} ms, longest task ${await longestTask(page)} ms)`;
    };
    const searched = [
      await search('?page=1500', 50),
      await search('?q=desktop-7&size=500', 500),
      await search('?sort=device&dir=desc&page=1000', 50),
      await search('?outcome=not_found&sort=decided', 50),
    ];
    t.diagnostic(`first paint ${first} ms, longest task ${task} ms, all counted after ${countedMs} ms more`);
    for (const line of searched) t.diagnostic(line);
    assert.ok(first < LOOSELY * PAINT_MS, `${first} ms`);
    assert.ok(task < LOOSELY * LONG_TASK_MS, `${task} ms`);
    visitor.assertQuiet();
    await visitor.context.close();
    await served.stop();
  });

  it(`stays usable with ${TENANTS} tenants, half of them at work`, async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const redis = await server.connect();
    const tenants = await Promise.all(Array.from({ length: TENANTS }, () => newTenant(redis)));
    await Promise.all(tenants.map((tenant, index) => busy(tenant, index)));
    const env = { REDIS_URL: server.url };
    const served = await openConsole({
      env,
      tenants: tenants.map(({ label }) => ({ ...env, STANDDOWN_TENANT: label })),
    });
    const visitor = await visit(browser, served.url);
    const { page } = visitor;
    await page.addInitScript(WATCH);
    await visitor.go('/');
    const first = await paintedMs(page);
    assert.match(await textOf(page, '#summary'), /200 tenants · 100 running/);
    await page.locator('body[data-shown]').waitFor();
    const task = await longestTask(page);
    await picture(page, 'many-tenants');
    const { label } = tenants[42] ?? {};
    const foundMs = await timed(async () => {
      await visitor.go(`/?q=${label}`);
      assert.equal(await page.locator('main h2').first().innerText(), label);
    });
    t.diagnostic(`first paint ${first} ms, longest task ${task} ms, one found in ${foundMs} ms`);
    assert.ok(first < LOOSELY * PAINT_MS, `${first} ms`);
    assert.ok(task < LOOSELY * LONG_TASK_MS, `${task} ms`);
    visitor.assertQuiet();
    await visitor.context.close();
    await served.stop();
  });

  /** Every other one has an hour's calls behind it, and more to do. */
  async function busy(tenant: TestTenant, index: number): Promise<void> {
    if (index % 2 === 1) return;
    const { redis, keys, ledger } = tenant;
    await makeFinished(tenant, {
      campaign: 'undo',
      count: 100,
      startedAt: Date.now() - 3_000_000,
      stepMs: 10,
    });
    await ledger.submit(1, Buffer.from(Array.from({ length: 1_600 }, (_, at) => (at * 7 + index) % 256)));
    const now = Date.now();
    const slots = Array.from({ length: 1_400 }, (_, at) => [now - 3_500_000 + at * 2_000, at]).flat();
    await redis.zadd(keys.slots('cancel'), ...slots);
  }
});
