import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { request } from 'undici';
import type { Console } from '../../src/console/open.ts';
import { readAudit } from '../../src/store/campaign/audit.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { newGuids, openShell, type Shell } from '../cli/shell.ts';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';
import { seeWorker } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import {
  ACT_TOKEN,
  assertAccessible,
  browserTests,
  openConsole,
  picture,
  READ_TOKEN,
  signIn,
  textOf,
  type Visitor,
  visit,
} from './support.ts';

const HOSTILE = `"><img src=x onerror="alert(1)">`;

describe('handing ids in through the console, in a real browser', () => {
  let server: TestRedis;
  let stack: Stack;
  let shell: Shell;
  let served: Console;
  let browser: Browser | null;
  const path = () => `/t/${stack.tenant.label}/submit`;

  before(async () => {
    server = await openTestRedis();
    // A forecast counts its calls one by one up to some windows: this one is narrow.
    stack = await openStack(server, { limits: '1000/1s' });
    await seeWorker(stack.tenant);
    shell = await openShell(server);
    served = await openConsole({ env: stack.env });
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await served.stop();
    await shell.close();
    await stack.close();
    await server.close();
  });

  const inBrowser = browserTests(() => ({ browser, url: served.url }));

  async function fill({ page, go }: Visitor, campaign: string, comment = 'by mistake'): Promise<void> {
    await go(path());
    await page.getByLabel('Campaign (new').fill(campaign);
    await page.getByLabel('Comment').fill(comment);
  }

  const campaign = (name: string) => findCampaign(stack.redis, stack.tenant.keys, name);

  inBrowser(
    'shows what it would do and what it is about, and submits only what is confirmed',
    async (visitor) => {
      const { page } = visitor;
      const ids = stack.addActions(250, { type: 'Isolate' });
      await fill(visitor, 'from a file', HOSTILE);
      await page.getByLabel('Priority').selectOption('3');
      await page.getByLabel('Expires').fill('4h');
      assert.match(await textOf(page, 'main'), /Submitting cancels real actions\. There is no undo\./);
      await assertAccessible(page);
      await picture(page, 'submit');
      await page
        .getByLabel('or a file')
        .setInputFiles(await shell.write('ids.csv', `id,host\n${ids.map((id) => `${id},x`).join('\n')}\n`));
      await page.getByRole('button', { name: 'Check' }).click();
      await eventually(async () =>
        assert.match(
          await textOf(page, '#plan'),
          /Campaign "from a file" in tenant \w+ \(new\): 250 actions would be queued/,
        ),
      );
      assert.match(await textOf(page, '#plan'), /Expected to finish (at \d\d:\d\d:\d\d UTC|any moment now)/);
      assert.match(await textOf(page, '#plan'), /priority 3; expires in 4 h/);
      await eventually(async () =>
        assert.match(await textOf(page, '#about'), /250 machine actions[\s\S]*Isolate 250/),
      );
      assert.match(await textOf(page, 'main'), /250 actions in ids\.csv, no invalid lines/);
      const question = `Submit 250 actions to campaign "from a file" in tenant ${stack.tenant.label}?`;
      assert.ok((await textOf(page, '#question')).startsWith(question));
      await assertAccessible(page);
      await picture(page, 'submit-check');
      await assert.rejects(campaign('from a file'), /no campaign/);
      await page.getByRole('button', { name: 'Submit 250 actions' }).click();
      await page.waitForURL('**/c/*');
      const { total, priority, comment, requestedBy, expiresAt, number } = await campaign('from a file');
      assert.deepEqual([total, priority, comment, requestedBy], [250, 3, HOSTILE, 'operator@here']);
      assert.ok(Math.abs((expiresAt ?? 0) - Date.now() - 4 * 3_600_000) < 600_000);
      const [entry] = await readAudit(stack.tenant, number);
      assert.deepEqual(
        [entry?.action, entry?.by, entry?.command],
        ['submit', 'operator@here', 'console: submit ids.csv to from a file'],
      );
      await page.goBack();
      await page.reload();
      assert.match(await textOf(page, 'main'), /were submitted already, or are no longer kept/);
    },
  );

  inBrowser('names every bad line, and leaves them out only when that is said', async (visitor) => {
    const { page } = visitor;
    const ids = newGuids(3);
    await fill(visitor, 'pasted');
    await page
      .getByLabel('Action ids')
      .fill([ids[0], 'not an id', ids[1], HOSTILE, ids[2], ids[2]].join('\n'));
    await page.getByRole('button', { name: 'Check' }).click();
    await page.waitForURL('**/submit/*');
    assert.match(
      await textOf(page, 'main'),
      /3 actions in pasted text, 2 invalid lines, 1 duplicate ignored/,
    );
    const lines = await page.locator('tbody tr').allInnerTexts();
    assert.match(lines[0] ?? '', /^2\s+✗ not a GUID\s+not an id/);
    assert.ok(lines[1]?.includes(HOSTILE));
    await eventually(async () => assert.match(await textOf(page, '#plan'), /3 actions would be queued/));
    const submit = page.getByRole('button', { name: 'Submit 3 actions' });
    await submit.click();
    await assert.rejects(campaign('pasted'), /no campaign/);
    await page.getByLabel('Skip 2 invalid lines').check();
    await submit.click();
    await page.waitForURL('**/c/*');
    assert.equal((await campaign('pasted')).total, 3);
  });

  inBrowser('takes a file that is dropped', async (visitor) => {
    const { page } = visitor;
    await fill(visitor, 'dropped');
    await page.evaluate(`(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['${newGuids(2).join('\\n')}'], 'drop\\u001b[2J.txt', { type: 'text/plain' }));
      document.querySelector('form[data-drop] textarea').dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
    })()`);
    await page.getByRole('button', { name: 'Check' }).click();
    await page.waitForURL('**/submit/*');
    assert.match(await textOf(page, 'main'), /2 actions in drop\\u001b\[2J\.txt, no invalid lines/);
    await page.getByRole('button', { name: 'Back' }).click();
    await page.waitForURL(`**/t/${stack.tenant.label}`);
    await assert.rejects(campaign('dropped'), /no campaign/);
  });

  inBrowser('takes a file of 30,000 ids', async (visitor) => {
    const { page } = visitor;
    await fill(visitor, 'many');
    await page
      .getByLabel('or a file')
      .setInputFiles(await shell.write('many.txt', newGuids(30_000).join('\n')));
    await page.getByRole('button', { name: 'Check' }).click();
    await page.waitForURL('**/submit/*');
    assert.match(await textOf(page, 'main'), /30,000 actions in many\.txt, no invalid lines/);
    await eventually(async () => assert.match(await textOf(page, '#plan'), /30,000 actions would be queued/));
    await page.getByRole('button', { name: 'Submit 30,000 actions' }).click();
    await page.waitForURL('**/c/*');
    assert.equal((await campaign('many')).total, 30_000);
  });

  inBrowser('can be submitted again when that failed on its way', async (visitor) => {
    const { page } = visitor;
    await fill(visitor, 'again');
    await page.getByLabel('Action ids').fill(newGuids(2).join('\n'));
    await page.getByRole('button', { name: 'Check' }).click();
    await page.waitForURL('**/submit/*');
    await stack.submit(newGuids(1), 'again');
    const { redis, tenant } = stack;
    const state = tenant.keys.campaign((await campaign('again')).number);
    await redis.hset(state, 'state', 'aborted');
    await page.getByRole('button', { name: 'Submit 2 actions' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(
      await textOf(page, '[role=alert]'),
      /failed half-way: .*aborted.* safe to submit them again/,
    );
    await assertAccessible(page);
    assert.equal(await page.getByRole('button', { name: 'Back' }).count(), 1);
    await redis.hset(state, 'state', 'running');
    await page.getByRole('button', { name: 'Submit 2 actions again' }).click();
    await page.waitForURL('**/c/*');
    assert.equal((await campaign('again')).total, 3);
  });

  inBrowser('says why there is nothing to submit, and leads back to what was filled in', async (visitor) => {
    const { page } = visitor;
    const check = async (text: string) => {
      await page.getByLabel('Action ids').fill(text);
      await page.getByRole('button', { name: 'Check' }).click();
      await page.waitForURL('**/submit/*');
    };
    const ids = newGuids(2);
    await stack.submit(ids, 'known');
    const submit = page.getByRole('button', { name: /^(Submit \d|Follow)/ });
    await fill(visitor, 'dead end', 'kept');
    await check('not an id');
    assert.match(
      await textOf(page, '#submit'),
      /No line holds a machine action id\. Nothing can be submitted/,
    );
    assert.equal(await submit.count(), 0);
    await page.getByRole('link', { name: 'Change' }).click();
    assert.equal(await page.getByLabel('Campaign (new').inputValue(), 'dead end');
    assert.equal(await page.getByLabel('Comment').inputValue(), 'kept');
    assert.equal(await page.getByLabel('Action ids').inputValue(), 'not an id');
    await check(ids.join('\n'));
    await page.goBack();
    assert.equal(await page.getByLabel('Action ids').inputValue(), ids.join('\n'), 'the browser’s way back');
    await page.getByLabel('Campaign (new').fill('known');
    await check(ids.join('\n'));
    await eventually(async () =>
      assert.match(await textOf(page, '#submit'), /all actions are already in this campaign/),
    );
    assert.equal(await submit.count(), 0);
    await assertAccessible(page);
  });

  inBrowser('says what is wrong with a file or a form', async (visitor) => {
    const { page } = visitor;
    for (const [name, text, words] of [
      ['empty form', '', /No ids given\. Choose a file or paste ids/],
      ['json', '[{"id":1}', /invalid JSON \(/],
      ['direct-2026', newGuids(1).join(), /must not begin with "direct-"/],
    ] as const) {
      await fill(visitor, name);
      await page.getByLabel('Action ids').fill(text);
      await page.getByRole('button', { name: 'Check' }).click();
      await page.getByRole('alert').waitFor();
      assert.match(await textOf(page, '[role=alert]'), words);
      const entered = ['Campaign (new', 'Comment', 'Action ids'].map((label) =>
        page.getByLabel(label).inputValue(),
      );
      assert.deepEqual(await Promise.all(entered), [name, 'by mistake', text], 'and keeps what was entered');
    }
    await fill(visitor, 'both');
    await page.getByLabel('Action ids').fill(newGuids(1).join());
    await page.locator('#file').setInputFiles({
      name: 'ids.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from(newGuids(1).join()),
    });
    await page.getByLabel('Priority').selectOption('2');
    await page.getByRole('button', { name: 'Check' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(
      await textOf(page, '[role=alert]'),
      /You pasted ids and chose a file\. Remove one of them\./,
    );
    assert.equal(await page.getByLabel('Priority').inputValue(), '2');
    // It can be put right there.
    await page.getByRole('button', { name: 'Check' }).click();
    await page.waitForURL('**/submit/*');
    assert.match(await textOf(page, 'main'), /1 action in pasted text, no invalid lines/);
    await page.getByRole('button', { name: 'Back' }).click();
  });

  it('takes nothing from whoever may only read, nor without the key of the session', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    const guarded = await openConsole({
      env: { ...stack.env, CONSOLE_READ_TOKEN: READ_TOKEN, CONSOLE_ACT_TOKEN: ACT_TOKEN },
    });
    const tried = async (token: string, key?: string) => {
      const visitor = await visit(browser as Browser, guarded.url);
      await visitor.go(`/t/${stack.tenant.label}`);
      await signIn(visitor, token);
      await visitor.page.waitForURL(`**/t/${stack.tenant.label}`);
      const cookie = (await visitor.context.cookies()).map(({ name, value }) => `${name}=${value}`).join();
      const formKey = key ?? /name="formKey" value="([^"]+)"/.exec(await visitor.page.content())?.[1] ?? '';
      await visitor.context.close();
      const form = new FormData();
      const fields = { formKey, campaign: 'tried', comment: 'x', priority: '5', ids: newGuids(1).join() };
      for (const [name, value] of Object.entries(fields)) form.append(name, value);
      const body = new Response(form);
      return (
        await request(new URL(path(), guarded.url), {
          method: 'POST',
          headers: { cookie, 'content-type': body.headers.get('content-type') ?? '' },
          body: Buffer.from(await body.arrayBuffer()),
        })
      ).statusCode;
    };
    assert.equal(await tried(READ_TOKEN), 403);
    assert.equal(await tried(ACT_TOKEN, ''), 403);
    assert.equal(await tried(ACT_TOKEN), 303);
    await guarded.stop();
  });
});
