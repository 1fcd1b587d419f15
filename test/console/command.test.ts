import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { request } from 'undici';
import { newGuids, openShell, type Shell } from '../cli/shell.ts';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import { runCommand } from '../support/command.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { startLocalSimulator } from '../support/simulator.ts';
import { newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { focused, textOf, visit } from './support.ts';

describe('the console as a command', () => {
  let server: TestRedis;
  let shell: Shell;
  let browser: Browser | null;

  before(async () => {
    server = await openTestRedis();
    shell = await openShell(server);
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await shell.close();
    await server.close();
  });

  const urlOf = (child: Process) =>
    eventually(() => {
      const [url] = /http:\/\/127[^" ]+/.exec(child.stderr) ?? [];
      assert.ok(url, child.stderr);
      return url;
    });

  it('is steered and read with the keyboard alone, and read without JavaScript', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    await shell.submit('by keys', newGuids(3));
    const child = startCli(['console', '--port', '0'], { env: shell.env });
    const url = await urlOf(child);
    const visitor = await visit(browser, url);
    const { page } = visitor;
    await visitor.go('/');
    const tabTo = async (text: string) => {
      await page.getByText(text, { exact: true }).first().waitFor();
      for (let tabs = 0; tabs < 100; tabs++) {
        await page.keyboard.press('Tab');
        if ((await focused(page).catch(() => '')) === text) return page.keyboard.press('Enter');
      }
      return assert.fail(`no way to ${text} with the keyboard`);
    };
    await tabTo('by keys');
    await page.waitForURL('**/c/1');
    await tabTo('Pause');
    await page.waitForURL('**/pause');
    await tabTo('Pause');
    await page.waitForURL('**/c/1');
    assert.match(await textOf(page, '#head'), /Campaign "by keys" in tenant \w+: paused/);
    visitor.assertQuiet();
    await visitor.context.close();

    const plain = await visit(browser, url, { javaScriptEnabled: false });
    await plain.go(`/t/${shell.tenant.label}/c/1`);
    assert.match(await textOf(plain.page, '#head'), /paused\s+0 of 3 actions finished/);
    assert.equal(await plain.page.locator('#rows tbody tr').count(), 3);
    await plain.context.close();
    child.kill('SIGTERM');
    assert.equal(await child.exited, 0, child.stderr);
  });

  it('shows the tenants of a file, and follows it', async () => {
    const redis = await server.connect();
    const [one, other] = await Promise.all([newTenant(redis), newTenant(redis)]);
    const file = shell.path('tenants.json');
    const write = (...labels: string[]) =>
      writeFile(file, JSON.stringify(labels.map((label) => ({ STANDDOWN_TENANT: label }))));
    await write(one.label);
    const { STANDDOWN_TENANT: _, ...env } = shell.env;
    const child = startCli(['console', '--port', '0'], { env: { ...env, TENANTS_FILE: file } });
    const url = await urlOf(child);
    const text = async () => (await request(url)).body.text();
    await eventually(async () => assert.ok((await text()).includes(one.label)));
    assert.ok(!(await text()).includes(other.label));
    await write(one.label, other.label);
    await eventually(async () => assert.ok((await text()).includes(other.label)));
    child.kill('SIGTERM');
    assert.equal(await child.exited, 0, child.stderr);
  });

  it('is served by a worker, too, while it drains', async () => {
    const simulator = await startLocalSimulator('100000/1s');
    const child = startCli(['worker', '--console'], {
      env: {
        ...shell.env,
        ...simulator.settings,
        STANDDOWN_TENANT: shell.tenant.label,
        REDIS_URL: server.url,
        CONSOLE_PORT: '0',
      },
    });
    const url = await urlOf(child);
    const page = new URL(`/t/${shell.tenant.label}`, url);
    await shell.submit('drained', newGuids(2));
    await eventually(async () => {
      const text = await (await request(page)).body.text();
      assert.match(text, /drained<\/a><\/th><td><span class="state" data-state="done">/);
    });
    child.kill('SIGTERM');
    assert.equal(await child.exited, 0, child.stderr);
    await simulator.stop();
  });

  it('says what is wrong with its options, and needs a tenant', async () => {
    const { STANDDOWN_TENANT: _, ...env } = shell.env;
    for (const [args, more, words] of [
      [['--port', '70000'], shell.env, /--port: "70000" is not a port/],
      [['--host', 'example.com'], shell.env, /--host: "example.com" is not an address/],
      [[], env, /no tenant selected/],
    ] as const) {
      const ran = await runCommand(['console', ...args], { env: { ...more } });
      assert.equal(ran.code, 2, ran.stderr);
      assert.match(ran.stderr, words);
    }
  });
});
