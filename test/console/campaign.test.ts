import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { request } from 'undici';
import { guidToBytes } from '../../src/base/guid.ts';
import type { Console } from '../../src/console/open.ts';
import { readAudit } from '../../src/store/campaign/audit.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { TESTER } from '../support/actor.ts';
import { skipWithoutChromium, startChromium } from '../support/chromium.ts';
import { makeFinished } from '../support/finished.ts';
import { createProbe, idAt, newIds } from '../support/ledger.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import {
  ACT_TOKEN,
  assertAccessible,
  browserTests,
  OPERATOR,
  openConsole,
  picture,
  READ_TOKEN,
  signIn,
  textOf,
  type Visitor,
  visit,
} from './support.ts';

/** Would run, if any of it were taken for more than a text. */
const HOSTILE = `</script></title><img src=x onerror="alert(1)"><script>alert(2)</script>`;
const STARTED_AT = Date.now() - 3_600_000;

describe('a campaign in the console, in a real browser', () => {
  let server: TestRedis;
  let stack: Stack;
  let served: Console;
  let browser: Browser | null;

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server, { limits: '20/1s' });
    served = await openConsole({ env: stack.env });
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await served.stop();
    await stack.close();
    await server.close();
  });

  async function numberOf(name: string): Promise<number> {
    return (await findCampaign(stack.redis, stack.tenant.keys, name)).number;
  }

  async function pathOf(name: string, more = ''): Promise<string> {
    return `/t/${stack.tenant.label}/c/${await numberOf(name)}${more}`;
  }

  async function audit(name: string): Promise<string[]> {
    const entries = await readAudit(stack.tenant, await numberOf(name));
    return entries.map(({ action, by, command, detail }) => [action, by, command, detail].join('|'));
  }

  const inBrowser = browserTests(() => ({ browser, url: served.url }));

  /** Presses an action's link, and then its button. */
  async function act({ page }: Visitor, name: string, fill?: () => Promise<unknown>): Promise<void> {
    await page.locator('#actions').getByRole('link', { name, exact: true }).click();
    await page.getByRole('button', { name, exact: true }).waitFor();
    await fill?.();
    await page.getByRole('button', { name, exact: true }).click();
    await page.locator('#head').waitFor();
  }

  inBrowser(
    'is aborted from its page while it runs, which asks first and shows who did it',
    async (visitor) => {
      const { page } = visitor;
      await stack.submit(stack.addActions(300), 'undo-isolation');
      // It stops long before its end, for however long the page takes to be looked at.
      const worker = await stack.startWorker({ RATE_LIMITS: '20/1s,60/1h' });
      await visitor.go(await pathOf('undo-isolation'));
      await eventually(async () =>
        assert.match(await textOf(page, '#head'), /[1-9]\d* of 300 actions finished/),
      );
      await page.getByRole('link', { name: 'Abort' }).click();
      const question = `Abort campaign "undo-isolation" in tenant ${stack.tenant.label}\\? \\d+ pending actions will not be cancelled\\.`;
      assert.match(await textOf(page, 'main'), new RegExp(question));
      await assertAccessible(page);
      await picture(page, 'abort');
      await page.getByRole('link', { name: 'Back' }).click();
      assert.equal((await stack.status('undo-isolation')).state, 'running');
      await page.getByRole('link', { name: 'Abort' }).click();
      await page.getByRole('button', { name: 'Abort' }).click();
      await eventually(async () => {
        assert.match(
          await textOf(page, '#head'),
          /Campaign "undo-isolation" in tenant \w+: aborted; \d+ actions? withdrawn – by operator@here, \d\d:\d\d:\d\d UTC\S* \(.+ ago\)/,
        );
        assert.match(await textOf(page, '#head'), /300 of 300 actions finished \(100%\)/);
      });
      const { state, outcomes, open } = await stack.status('undo-isolation');
      assert.deepEqual([state, open], ['aborted', 0]);
      assert.ok((outcomes.withdrawn ?? 0) > 0);
      assert.match(await textOf(page, '#audit'), /abort\s+operator@here\s+console: abort undo-isolation/);
      assert.equal(
        await page.getByRole('link', { name: 'Abort' }).count(),
        0,
        'there is nothing left to abort',
      );
      await worker.stop();
    },
  );

  inBrowser('says why it is not searched where it is too large, and shows all the rest', async (visitor) => {
    const { page } = visitor;
    const ids = stack.addActions(60);
    await stack.submit(ids, 'vast');
    // A million that other campaigns own, which count as its own nowhere else.
    const fill = `
      local ids = {}
      for n = 1, 5000 do ids[n] = struct.pack('>I4I4I4I4', 1, 1, 1, n) end
      for _ = 1, 200 do redis.call('RPUSH', KEYS[1], unpack(ids)) end`;
    await stack.redis.eval(fill, 1, stack.tenant.keys.ids(await numberOf('vast')));
    await visitor.go(await pathOf('vast'));
    assert.equal(await page.locator('#rows tbody tr').count(), 50);
    assert.match(
      await textOf(page, '#analysis'),
      /more than 1,000,000 actions, .* too many to search or count here\. Export its report/,
    );
    await visitor.go(await pathOf('vast', '?q=desktop'));
    assert.match(await textOf(page, '#requests'), /too many to search or count here\. Export its report/);
    await visitor.go(await pathOf('vast', `/r/${ids[0]}`));
    assert.match(await textOf(page, '#now'), /pending; 0 attempts used/);
    assert.match(await textOf(page, '#past'), /too many to search or count here\. Export its report/);
    await assertAccessible(page);
    await visitor.go(await pathOf('vast', '/r/00000000-0000-4000-8000-000000000001'));
    assert.match(await textOf(page, 'main'), /8000-000000000001 is not in campaign "vast" in tenant /);
  });

  inBrowser('is paused, resumed, given another priority and retried', async (visitor) => {
    const { page } = visitor;
    await stack.submit(stack.addActions(3), 'steered');
    await visitor.go(await pathOf('steered'));
    await act(visitor, 'Pause');
    assert.match(await textOf(page, '#head'), /paused[\s\S]*Paused\. Resume it to continue\./);
    assert.equal((await stack.status('steered')).state, 'paused');
    await act(visitor, 'Change priority', () => page.getByLabel('Priority').selectOption('2'));
    assert.match(await textOf(page, '#head'), /priority 2 \(was 5\)/);
    await act(visitor, 'Resume');
    assert.equal((await stack.status('steered')).state, 'running');
    const worker = await stack.startWorker();
    await stack.untilDone('steered');
    await worker.stop();
    await page.reload();
    for (const name of ['Pause', 'Abort'])
      assert.equal(await page.locator('#actions').getByRole('link', { name, exact: true }).count(), 0, name);
    await page.locator('#actions').getByRole('link', { name: 'Retry' }).click();
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(await textOf(page, '[role=alert]'), /Select at least one outcome\./);
    await page.getByRole('link', { name: 'Back' }).click();
    await act(visitor, 'Retry', () => page.getByLabel('cancelled').check());
    assert.match(await textOf(page, '#head'), /Campaign "steered" in tenant \w+: 3 actions queued again/);
    assert.equal((await stack.status('steered')).open, 3);
    const by = 'operator@here|console:';
    assert.deepEqual(await audit('steered'), [
      `pause|${by} pause steered|`,
      `priority|${by} priority steered|5 to 2`,
      `resume|${by} resume steered|`,
      `retry|${by} retry steered|cancelled`,
    ]);
    await picture(page, 'campaign-steered');
  });

  inBrowser('shows each request with every call and every outcome that it had', async (visitor) => {
    const { page } = visitor;
    const worker = await stack.startWorker();
    const [id = ''] = stack.addActions(1);
    const throttled = {
      kind: 'status',
      status: 429,
      code: 'TooManyRequests',
      message: 'slow down',
      retryAfter: 1,
    } as const;
    stack.simulator.setFaults([
      { operation: 'cancel', ids: [id], times: 1, fault: throttled },
      { operation: 'cancel', ids: [id], times: 1, fault: { kind: 'reset', when: 'before' } },
    ]);
    await stack.submit([id], 'again');
    await stack.untilDone('again');
    await visitor.go(await pathOf('again'));
    await act(visitor, 'Retry', () => page.getByLabel('cancelled').check());
    await stack.untilDone('again');
    await visitor.go(await pathOf('again'));
    await page.getByRole('link', { name: id }).click();
    await eventually(async () => {
      const past = await page.locator('#past li').allInnerTexts();
      assert.equal(past.length, 2, past.join());
      assert.match(past[0] ?? '', /Outcome\s+cancelled\s+Finished/);
      assert.match(past[1] ?? '', /already_final/);
    });
    const attempts = await page.locator('#attempts tbody tr').allInnerTexts();
    assert.equal(attempts.length, 3, attempts.join());
    assert.match(
      attempts[0] ?? '',
      /cancel\s+HTTP 429, TooManyRequests: slow down\s+all cancel calls wait 1 s\s+\S+/,
    );
    assert.match(
      attempts[1] ?? '',
      /cancel\s+no answer \(.+\); the cancel may have been carried out\s+retried/,
    );
    assert.match(attempts[2] ?? '', /cancel\s+HTTP 400, .+\s+the action status is read/);
    await assertAccessible(page);
    await picture(page, 'request');
    await worker.stop();
  });

  inBrowser('reads what became of its actions', async (visitor) => {
    const worker = await stack.startWorker();
    await stack.submit(stack.addActions(5), 'verified');
    await stack.untilDone('verified');
    await worker.stop();
    await visitor.go(await pathOf('verified'));
    await act(visitor, 'Verify');
    await eventually(async () =>
      assert.match(await textOf(visitor.page, '#head'), /: checked 5 actions: 5 found; Cancelled 5 – by/),
    );
    assert.deepEqual(await audit('verified'), [`verify|${OPERATOR}|console: verify verified|`]);
  });

  inBrowser('is searched, filtered, sorted and paged, and hands in its report', async (visitor) => {
    const { page } = visitor;
    const name = `undo ${HOSTILE}`;
    await fill(name);
    await visitor.go(await pathOf(name));
    const rows = page.locator('#rows tbody tr');
    assert.equal(await rows.count(), 50);
    assert.match(await textOf(page, '#requests'), /307 of 307 actions/);
    assert.equal(await page.title(), `${name} – Standdown`);
    await page.getByRole('link', { name: 'Last' }).click();
    assert.equal(await rows.count(), 7);
    await eventually(async () => assert.match(await textOf(page, '#analysis'), /Outcomes by reason/));
    await picture(page, 'campaign');
    await assertAccessible(page);
    assert.match(await textOf(page, '#analysis'), /ResourceNotFound: No machine action has this id\./);
    assert.match(await textOf(page, '#analysis'), /Outcomes by type[\s\S]*RunAntiVirusScan/);
    assert.match(await textOf(page, '#analysis'), /Busiest 1 s:/);

    await page.getByLabel('Search').fill('ONERROR nowhere');
    await page.getByLabel('Outcome', { exact: true }).selectOption('rejected');
    await page.keyboard.press('Enter');
    await page.waitForURL('**outcome=rejected**');
    assert.match(await textOf(page, '#requests'), /0 of 307/);
    await page.getByLabel('Search').fill('ONERROR');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.waitForURL('**q=ONERROR&**');
    assert.match(await textOf(page, '#requests'), /1 of 307/);
    assert.ok((await textOf(page, '#rows tbody')).includes(HOSTILE));
    await picture(page, 'campaign-hostile');

    await visitor.go(await pathOf(name, '?sort=device&size=500'));
    const devices = await page.locator('#rows tbody td:nth-child(3)').allInnerTexts();
    assert.equal(devices.length, 307);
    const named = devices.filter((device) => device !== '');
    assert.deepEqual(named, named.toSorted());
    assert.deepEqual(
      devices.slice(named.length),
      devices.filter((device) => device === ''),
      'the last ones',
    );
    await page.getByRole('link', { name: 'Device' }).click();
    await page.waitForURL('**dir=desc**');
    assert.equal(
      await page.getByRole('columnheader', { name: 'Device' }).getAttribute('aria-sort'),
      'descending',
    );
    const reversed = await page.locator('#rows tbody td:nth-child(3)').allInnerTexts();
    assert.deepEqual(reversed.slice(0, named.length), named.toReversed());

    await page.locator('#actions').getByRole('link', { name: 'Export' }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ]);
    assert.match(download.suggestedFilename(), /^standdown-undo-[\w.-]+\.csv$/);
    const text = await readFile(await download.path(), 'utf8');
    assert.ok(text.startsWith('\ufeff'), 'Excel takes it for UTF-8');
    const lines = text.trim().split('\n');
    assert.equal(lines.length, 308);
    assert.deepEqual((await audit(name)).at(-1), `export|${OPERATOR}|console: export ${name}|csv`);
  });

  /** 300 that are decided, one of them with words that mean harm, and 7 that are open. */
  async function fill(campaign: string): Promise<void> {
    const { tenant } = stack;
    await makeFinished(tenant, { campaign, count: 299, startedAt: STARTED_AT, stepMs: 1_000 });
    const number = await numberOf(campaign);
    const ids = newIds(8);
    await tenant.ledger.submit(number, ids);
    const probe = createProbe(tenant);
    const [status, type, machineId, computerDnsName] = [HOSTILE, HOSTILE, HOSTILE, HOSTILE];
    const action = { status, type, machineId, computerDnsName, createdAt: null, updatedAt: null };
    await probe.finish(idAt(ids, 0), number, await probe.grant(idAt(ids, 0), number), {
      verdict: {
        kind: 'decided',
        outcome: 'rejected',
        detail: { httpStatus: 409, errorCode: HOSTILE, errorMessage: HOSTILE, action },
      },
    });
  }

  inBrowser('shows many rows at once, a line each, with the reason where it is seen', async (visitor) => {
    const { page } = visitor;
    await fill('dense');
    await visitor.go(await pathOf('dense', '?outcome=not_found'));
    const row = page.locator('#rows tbody tr').first();
    await eventually(async () => assert.match(await row.innerText(), /ResourceNotFound/));
    const [height, right] = await row.evaluate((tr) => {
      const error = tr.querySelector('.long span')?.getBoundingClientRect();
      return [tr.getBoundingClientRect().height, error?.left ?? Number.POSITIVE_INFINITY];
    });
    assert.ok(height < 40, `${height} px`);
    assert.ok(right < 1_280, `the reason begins at ${right} px`);
    assert.match((await row.locator('.long span').getAttribute('title')) ?? '', /^ResourceNotFound: /);
  });

  inBrowser(
    'that only follows others says whose its calls and outcomes are, and has nothing to pause',
    async (visitor) => {
      const { page } = visitor;
      const ids = stack.addActions(2);
      const [first = '', second = ''] = ids;
      await stack.submit(ids, 'the owner');
      await createProbe(stack.tenant).decide(guidToBytes(first), await numberOf('the owner'), 'cancelled');
      await stack.submit(ids, 'the follower');
      await visitor.go(await pathOf('the follower'));
      await eventually(async () =>
        assert.match(
          await textOf(page, '#analysis'),
          /sends no cancels of its own: its actions belong to other campaigns/,
        ),
      );
      const buttons = page.locator('#actions').getByRole('link');
      assert.deepEqual(await buttons.allInnerTexts(), ['Abort', 'Export']);
      for (const id of [first, second]) {
        await visitor.go(await pathOf('the follower', `/r/${id}`));
        await eventually(async () =>
          assert.match(await textOf(page, '#past'), /Its calls and outcomes are in campaign "the owner"\./),
        );
        assert.doesNotMatch(await textOf(page, 'main'), /No outcome|None in this campaign/);
      }
      await visitor.go(await pathOf('the follower', `/r/${first}`));
      await page.getByRole('link', { name: '"the owner"' }).click();
      await eventually(async () => assert.match(await textOf(page, '#past'), /Every outcome/));
      await visitor.go(await pathOf('the follower', '/abort'));
      assert.match(
        await textOf(page, 'main'),
        /0 pending actions will not be cancelled\. 1 followed action is not affected\./,
      );
      await visitor.go(await pathOf('the owner', '/abort'));
      const follows =
        /1 pending action .* Campaign "the follower" follows pending actions of this one and will show them as withdrawn\./;
      assert.match(await textOf(page, 'main'), follows);
    },
  );

  inBrowser('no longer shows the answer of a change once its status is another one', async (visitor) => {
    const { page } = visitor;
    await stack.submit(stack.addActions(2), 'changing');
    await visitor.go(await pathOf('changing'));
    await act(visitor, 'Pause');
    await eventually(async () => assert.match(await textOf(page, '#head'), /: paused – by/));
    await steer(stack.tenant, 'changing', 'resume', TESTER);
    await eventually(async () => {
      const head = await textOf(page, '#head');
      assert.match(head, /running/);
      assert.doesNotMatch(head, /paused/);
    });
  });

  inBrowser('has one set of rows, those of other campaigns among them', async (visitor) => {
    const { page } = visitor;
    const device = 'theirs.contoso.example';
    const theirs = stack.addActions(2, { computerDnsName: device });
    await stack.submit(theirs, 'theirs');
    const probe = createProbe(stack.tenant);
    const summary = { type: 'Isolate', machineId: null, createdAt: null, updatedAt: null };
    const action = { ...summary, status: 'Cancelled', computerDnsName: device };
    const [first = Buffer.alloc(0)] = theirs.map(guidToBytes);
    const owner = await numberOf('theirs');
    await probe.finish(first, owner, await probe.grant(first, owner), {
      verdict: { kind: 'decided', outcome: 'cancelled', detail: { httpStatus: 200, action } },
    });
    await stack.submit([...stack.addActions(3), ...theirs], 'both');
    await visitor.go(await pathOf('both'));
    assert.match(await textOf(page, '#head'), /1 of 5 actions finished/);
    assert.match(await textOf(page, '#head'), /Follows 2 actions owned by other campaigns/);
    assert.match(await textOf(page, '#requests'), /^5 of 5 actions/);
    await eventually(async () => assert.match(await textOf(page, '#analysis'), /Total\s+5/));
    assert.match(await textOf(page, '#analysis'), /cancelled\s+1\s/);
    assert.equal(await page.locator('#rows tbody tr', { hasText: 'owned by campaign "theirs"' }).count(), 2);
    for (const [query, found] of [
      ['?q=theirs.contoso', '1 of 5'],
      ['?outcome=cancelled', '1 of 5'],
      ['?outcome=open', '4 of 5'],
      ['?type=Isolate', '1 of 5'],
    ] as const) {
      await visitor.go(await pathOf('both', query));
      await eventually(async () =>
        assert.match(await textOf(page, '#requests'), new RegExp(`^${found} actions`)),
      );
    }
  });

  inBrowser('counts down to what is to come, and shows no time that has passed', async (visitor) => {
    const { page } = visitor;
    await stack.submit(stack.addActions(1), 'counted');
    await visitor.go(await pathOf('counted'));
    await page.evaluate(
      `document.querySelector('h1').insertAdjacentHTML('beforeend', '<span class="over" data-until="2026-01-01T00:00:00Z"></span>')`,
    );
    await eventually(async () => assert.equal(await textOf(page, '.over'), 'any moment now'));
  });

  it('takes nothing from whoever may only read, nor from a form without the key of the session', async () => {
    await stack.submit(stack.addActions(2), 'guarded');
    const guarded = await openConsole({
      env: { ...stack.env, CONSOLE_READ_TOKEN: READ_TOKEN, CONSOLE_ACT_TOKEN: ACT_TOKEN },
    });
    const base = new URL(await pathOf('guarded'), guarded.url).href;
    const post = async (url: string, cookie: string, form: Record<string, string>) => {
      const answer = await request(url, {
        method: 'POST',
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      });
      const cookies = [answer.headers['set-cookie'] ?? []].flat();
      return {
        status: answer.statusCode,
        text: await answer.body.text(),
        cookie: (cookies[0] ?? '').split(';')[0] ?? '',
      };
    };
    const signedIn = async (token: string) => {
      const { cookie } = await post(new URL('/sign-in', guarded.url).href, '', { token, name: 'eve' });
      const page = await (await request(`${base}/export`, { headers: { cookie } })).body.text();
      return { cookie, formKey: /name="formKey" value="([^"]+)"/.exec(page)?.[1] ?? '' };
    };
    const reading = await signedIn(READ_TOKEN);
    const acting = await signedIn(ACT_TOKEN);
    assert.ok(reading.formKey && acting.formKey && reading.formKey !== acting.formKey);
    const state = async () => (await stack.status('guarded')).state;
    for (const name of ['pause', 'abort', 'priority', 'retry', 'verify', 'resume']) {
      const refused = await post(`${base}/${name}`, reading.cookie, {
        formKey: reading.formKey,
        priority: '1',
      });
      assert.equal(refused.status, 403, name);
      assert.match(refused.text, /read token, which does not allow changes/, name);
      for (const formKey of ['', 'x', reading.formKey]) {
        const strange = await post(`${base}/${name}`, acting.cookie, { formKey, priority: '1' });
        assert.equal(strange.status, 403, `${name} ${formKey}`);
      }
    }
    assert.equal(await state(), 'running');
    assert.deepEqual(await audit('guarded'), []);
    const before = await post(`${base}/abort`, acting.cookie, { formKey: acting.formKey, named: 'another' });
    assert.match(before.text, /Campaign &quot;another&quot; no longer exists/);
    assert.equal(await state(), 'running', 'a page of before, whose campaign had this number');
    const { formKey } = acting;
    assert.equal((await post(`${base}/pause`, acting.cookie, { formKey, named: 'guarded' })).status, 303);
    assert.equal(await state(), 'paused');
    assert.deepEqual(await audit('guarded'), ['pause|eve@127.0.0.1|console: pause guarded|']);
    const exported = await post(`${base}/export`, reading.cookie, {
      formKey: reading.formKey,
      format: 'jsonl',
    });
    assert.equal(exported.text.trim().split('\n').length, 2, 'a report is for readers, too');
    await guarded.stop();
  });

  it('shows no button to whoever may only read', async (t) => {
    if (!browser) return skipWithoutChromium(t);
    await stack.submit(stack.addActions(1), 'watched');
    const guarded = await openConsole({ env: { ...stack.env, CONSOLE_READ_TOKEN: READ_TOKEN } });
    const visitor = await visit(browser, guarded.url);
    await visitor.go(await pathOf('watched'));
    await signIn(visitor, READ_TOKEN);
    await visitor.page.locator('#actions').waitFor();
    assert.deepEqual(await visitor.page.locator('#actions a').allInnerTexts(), ['Export']);
    await visitor.go(await pathOf('watched', '/abort'));
    assert.equal(await visitor.page.getByRole('button', { name: 'Abort' }).count(), 0);
    await visitor.context.close();
    await guarded.stop();
  });
});
