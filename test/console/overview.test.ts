import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import type { Browser } from 'playwright-core';
import { request } from 'undici';
import type { Console } from '../../src/console/open.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { TESTER } from '../support/actor.ts';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import { newIds } from '../support/ledger.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';
import { newLabel, newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import {
  ACT_TOKEN,
  assertAccessible,
  browserTests,
  focused,
  openConsole,
  picture,
  READ_TOKEN,
  signIn,
  textOf,
  visit,
} from './support.ts';

const HOSTILE = `</title></script><img src=x onerror="alert(1)"><script>alert(2)</script>`;

describe('the overview of the console, in a real browser', () => {
  let server: TestRedis;
  let stack: Stack;
  let served: Console;
  let browser: Browser | null;
  let others: TestTenant[];

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server, { limits: '40/1s' });
    others = await Promise.all(Array.from({ length: 3 }, () => newTenant(stack.redis)));
    served = await openConsole({
      env: stack.env,
      tenants: [...others.map(({ label }) => ({ ...stack.env, STANDDOWN_TENANT: label })), stack.env],
    });
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await served.stop();
    await stack.close();
    await server.close();
  });

  const submit = async (tenant: TestTenant, name: string, ids: Buffer) => {
    const parts = (async function* () {
      yield ids;
    })();
    await submitCampaign(tenant, { name, comment: HOSTILE, now: Date.now() }, parts);
  };

  const inBrowser = browserTests(() => ({ browser, url: served.url }));

  inBrowser('shows what is at work as it goes on, without being loaded again', async (visitor) => {
    const { page, go } = visitor;
    await stack.submit(stack.addActions(120), 'undo-scan');
    await go('/');
    const campaign = page.locator('.campaign', { hasText: 'undo-scan' });
    assert.match(await campaign.innerText(), /0 of 120 actions finished/);
    assert.match(await textOf(page, '.holds'), /No worker is running for tenant/);
    // What is focused stays focused while the page changes around it.
    await campaign.getByRole('link').focus();
    await page.evaluate(() => Reflect.set(globalThis, 'isSame', true));
    // It stops half-way, for however long the page takes to be looked at.
    const worker = await stack.startWorker({ RATE_LIMITS: '40/1s,60/1h' });
    await eventually(async () =>
      assert.match(await campaign.innerText(), /[1-9]\d* of 120 actions finished/),
    );
    await picture(page, 'overview');
    assert.equal(await focused(page), 'undo-scan');
    await steer(stack.tenant, 'undo-scan', 'abort', TESTER);
    await eventually(async () => assert.match(await textOf(page, '#summary'), / 0 actions pending/));
    assert.equal(await page.evaluate(() => Reflect.get(globalThis, 'isSame')), true);
    await worker.stop();
  });

  inBrowser('shows those in trouble first, and finds a tenant by its campaigns', async ({ page, go }) => {
    const [quiet, , waiting] = others;
    assert.ok(quiet && waiting);
    await submit(waiting, HOSTILE, newIds(10));
    await submit(quiet, 'paused by us', newIds(10));
    await steer(quiet, 'paused by us', 'pause', TESTER);
    await go('/');
    await eventually(async () => {
      const heads = await page.locator('main h2').allInnerTexts();
      assert.deepEqual(heads.slice(0, 2), [waiting.label, quiet.label], 'no worker runs for the first');
    });
    assert.match(await textOf(page, '.holds'), /No worker is running for tenant/);
    assert.ok((await textOf(page, '.tenant .campaign a')).includes('<script>alert(2)'));
    await page.getByLabel('Tenant or campaign').fill('PAUSED');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/?q=PAUSED*');
    assert.deepEqual(await page.locator('main h2').allInnerTexts(), [quiet.label]);
    await go('/?show=trouble');
    assert.deepEqual(await page.locator('main h2').allInnerTexts(), [waiting.label]);
    await go('/');
    await assertAccessible(page);
    await go('/?q=nothing');
    assert.match(await textOf(page, '#tenants'), /No matching tenants/);
  });

  inBrowser('leads with the keyboard to a tenant and its campaigns', async ({ page, go }) => {
    await go('/');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Skip to content');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: stack.tenant.label }).focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/t/${stack.tenant.label}`);
    assert.match(await textOf(page, '#windows'), /1s\s/);
    assert.match(await textOf(page, '#ended'), /undo-scan/);
    await picture(page, 'tenant');
    await assertAccessible(page);
  });

  it('says when Redis is away, and goes on when it is back', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const folder = `console-${newLabel()}`;
    const own = await openTestRedis(folder);
    const redis = await own.connect();
    const tenant = await newTenant(redis);
    const lone = await openConsole({ env: { REDIS_URL: own.url, STANDDOWN_TENANT: tenant.label } });
    const visitor = await visit(browser, lone.url);
    await visitor.go('/');
    await own.close();
    const killer = new Redis({ path: own.url.replace('unix://', ''), retryStrategy: () => null });
    await killer.shutdown('NOSAVE').catch(() => undefined);
    killer.disconnect();
    const words = /Redis does not answer/;
    await eventually(async () => assert.match(await textOf(visitor.page, '#connection'), words));
    const { statusCode } = await request(lone.url);
    assert.equal(statusCode, 503);
    const back = await openTestRedis(folder);
    await back.connect();
    const connection = visitor.page.locator('#connection');
    await eventually(() => connection.waitFor({ state: 'hidden', timeout: 500 }));
    await visitor.context.close();
    await lone.stop();
    await back.close();
  });

  it('says when it is away itself, and goes on when it is back', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const first = await openConsole({ env: stack.env });
    const visitor = await visit(browser, first.url);
    await visitor.go('/');
    const { port } = new URL(first.url);
    await first.stop();
    const stoppedAt = Date.now();
    await eventually(async () => {
      const words = await textOf(visitor.page, '#connection');
      if (/does not answer/.test(words)) return;
      const seen = await visitor.page.evaluate('[document.visibilityState, document.body.dataset.shown]');
      assert.fail(`it says "${words}"; stopped at ${stoppedAt}, [visibility, shown at]: ${seen}`);
    });
    const second = await openConsole({ env: { ...stack.env, CONSOLE_PORT: port } });
    await eventually(() => visitor.page.locator('#connection').waitFor({ state: 'hidden', timeout: 500 }));
    await visitor.context.close();
    await second.stop();
  });

  it('leads to the sign-in when a session is over, also from a page that is open', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    let now = Date.now();
    const env = { ...stack.env, CONSOLE_READ_TOKEN: READ_TOKEN, CONSOLE_ACT_TOKEN: ACT_TOKEN };
    const guarded = await openConsole({ env, wall: () => now });
    const visitor = await visit(browser, guarded.url);
    const { page } = visitor;
    await visitor.go(`/t/${stack.tenant.label}`);
    await signIn(visitor, 'a wrong token to begin with');
    assert.match(await textOf(page, '[role="alert"]'), /Invalid token/);
    await picture(page, 'sign-in');
    await assertAccessible(page);
    await signIn(visitor, READ_TOKEN);
    await page.waitForURL(`**/t/${stack.tenant.label}`);
    assert.match(await textOf(page, '.viewer'), /^anna@127.0.0.1 \(read only\)/);
    const cookies = await visitor.context.cookies();
    assert.deepEqual(
      cookies.map(({ httpOnly, sameSite }) => ({ httpOnly, sameSite })),
      [{ httpOnly: true, sameSite: 'Strict' }],
    );
    assert.ok(!JSON.stringify(cookies).includes(READ_TOKEN));
    now += 24 * 3_600_000;
    await page.waitForURL('**/sign-in?why=ended*');
    assert.match(await textOf(page, '[role="alert"]'), /session has ended/);
    await visitor.context.close();
    await guarded.stop();
  });
});
