import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Console } from '../../src/console/open.ts';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, quotas, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { assertAccessible, openConsole, picture, textOf, visit } from './support.ts';

/** The other side allows less than we believe: some calls are refused. */
const LIMITS = '30/2s,600/60s';
const REAL = quotas('20/2s');

describe('the budget in the console, in a real browser', () => {
  let server: TestRedis;
  let stack: Stack;
  let served: Console;
  let browser: Browser | null;

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server, {
      limits: LIMITS,
      env: { URGENT_RESERVE: '5/2s,60/60s' },
      simulator: { limits: { cancel: REAL, get: REAL, list: REAL } },
    });
    served = await openConsole({ env: stack.env });
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await served.stop();
    await stack.close();
    await server.close();
  });

  /** How many different colours a drawing has: an empty one has one. */
  const colours = (page: Page, index: number) =>
    page.evaluate(
      `(() => {
        const canvas = document.querySelectorAll('.chart canvas')[${index}];
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set();
        for (let at = 0; at < data.length; at += 4) seen.add(data.slice(at, at + 4).join());
        return seen.size;
      })()`,
    ) as Promise<number>;

  it('draws calls, limits, reserve, refusals and the forecast, and goes on by itself', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const visitor = await visit(browser, served.url);
    const { page } = visitor;
    await stack.submit(stack.addActions(400));
    const worker = await stack.startWorker();
    await visitor.go(`/t/${stack.tenant.label}/budget`);
    await eventually(async () => assert.equal(await page.locator('.chart canvas').count(), 2));
    await eventually(async () =>
      assert.match(await textOf(page, '#refusals'), /Refused at \d\d:\d\d:\d\d UTC\S*\. No calls until/),
    );
    await eventually(async () =>
      assert.match(await textOf(page, '#windows'), /refused \(429\) although RATE_LIMITS allows/),
    );
    assert.match(
      await textOf(page, 'figcaption'),
      /At most 30 calls in any 2 s, 5 of them reserved for urgent requests/,
    );
    for (const index of [0, 1]) assert.ok((await colours(page, index)) > 20, 'it is drawn');
    const before = await textOf(page, '#windows');
    await eventually(async () => assert.notEqual(await textOf(page, '#windows'), before));
    await page.evaluate('scrollTo(0, 0)');
    await picture(page, 'budget');
    await assertAccessible(page);
    // It is in the dark now, and was drawn again in its colours.
    await picture(page, 'budget-dark');
    visitor.assertQuiet();
    await worker.stop();
    await visitor.context.close();
  });

  it('says how the windows stand without JavaScript, too', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const visitor = await visit(browser, served.url, { javaScriptEnabled: false });
    await visitor.go(`/t/${stack.tenant.label}/budget`);
    assert.match(await textOf(visitor.page, '#windows'), /2s\s+\d+\s+30/);
    await visitor.context.close();
  });
});
