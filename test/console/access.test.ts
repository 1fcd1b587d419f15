import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { StanddownError } from '../../src/base/errors.ts';
import type { Console } from '../../src/console/open.ts';
import { runCommand, startCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { ACT_TOKEN, openConsole, READ_TOKEN } from './support.ts';

interface Answer {
  status: number;
  location: string;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The session, as a browser would send it again. */
  cookie: string;
}

describe('who may do what in the console', () => {
  let server: TestRedis;
  let tenant: TestTenant;
  let env: Record<string, string>;
  let open: Console;
  let guarded: Console;

  before(async () => {
    server = await openTestRedis();
    tenant = await newTenant(await server.connect());
    env = { REDIS_URL: server.url, STANDDOWN_TENANT: tenant.label };
    open = await openConsole({ env });
    guarded = await openConsole({
      env: { ...env, CONSOLE_READ_TOKEN: READ_TOKEN, CONSOLE_ACT_TOKEN: ACT_TOKEN },
    });
  });
  after(async () => {
    await open.stop();
    await guarded.stop();
    await server.close();
  });

  async function ask(
    console: Console,
    path: string,
    options: { headers?: Record<string, string>; form?: Record<string, string> } = {},
  ): Promise<Answer> {
    const { form, headers = {} } = options;
    const answer = await request(new URL(path, console.url), {
      method: form ? 'POST' : 'GET',
      headers: { ...headers, ...(form && { 'content-type': 'application/x-www-form-urlencoded' }) },
      body: form ? new URLSearchParams(form).toString() : null,
    });
    const [cookie = ''] = [answer.headers['set-cookie'] ?? []].flat();
    return {
      status: answer.statusCode,
      location: String(answer.headers['location'] ?? ''),
      headers: answer.headers,
      text: await answer.body.text(),
      cookie: cookie.split(';')[0] ?? '',
    };
  }

  const signIn = (token: string, more: Record<string, string> = {}) =>
    ask(guarded, '/sign-in', { form: { token, name: 'anna', ...more } });

  it('answers who asks for the head of a page only', async () => {
    for (const path of ['/', '/sign-in', '/assets/console.css']) {
      const { statusCode, body } = await request(new URL(path, open.url), { method: 'HEAD' });
      assert.equal(statusCode, 200, path);
      assert.equal(await body.text(), '');
    }
  });

  it('refuses a name that is not its own, so that no page elsewhere can be of its origin', async () => {
    for (const path of ['/', '/sign-in', '/assets/console.js', '/nowhere']) {
      const answer = await ask(open, path, { headers: { host: 'evil.example' } });
      assert.equal(answer.status, 421, path);
      assert.equal(answer.cookie, '', path);
      assert.ok(!answer.text.includes(tenant.label), path);
    }
    assert.equal((await ask(open, '/', { headers: { host: 'localhost:1' } })).status, 200);
  });

  it('answers every page, also a refusal, with a policy that lets nothing else in', async () => {
    for (const path of ['/', '/nowhere', '/sign-in', '/assets/console.js', '/t/nobody', '/%zz']) {
      const { headers } = await ask(open, path);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'/, path);
      assert.ok(!/unsafe|https?:|\*|data:/.test(policy), policy);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-frame-options'], 'DENY');
    }
  });

  it('lets whoever is on this machine in without a token, where none is set', async () => {
    const { status, text, headers } = await ask(open, `/t/${tenant.label}`);
    assert.equal(status, 200);
    assert.ok(text.includes('operator@here'));
    assert.match(String(headers['set-cookie']), /HttpOnly; SameSite=Strict/);
  });

  it('leads everybody else to the sign-in, and from there to where it was wanted to go', async () => {
    const path = `/t/${tenant.label}?page=1`;
    const led = await ask(guarded, path);
    assert.equal(led.status, 303);
    assert.equal(led.location, `/sign-in?${new URLSearchParams({ why: 'none', next: path })}`);
    assert.equal(led.text, '');
    const signed = await signIn(READ_TOKEN, { next: path });
    assert.deepEqual([signed.status, signed.location], [303, path]);
    assert.equal((await ask(guarded, path, { headers: { cookie: signed.cookie } })).status, 200);
  });

  it('leads nobody elsewhere after the sign-in', async () => {
    for (const next of [
      '//evil.example',
      'https://evil.example',
      '/\\evil.example',
      'javascript:1',
      '/\r\nx: y',
    ]) {
      assert.equal((await signIn(READ_TOKEN, { next })).location, '/', next);
    }
  });

  it('says that a token is wrong, without a word of it', async () => {
    const wrong = await signIn('not-the-token-you-want');
    assert.equal(wrong.status, 403);
    assert.match(wrong.text, /Invalid token/);
    assert.ok(!wrong.text.includes('not-the-token'));
    assert.equal(wrong.cookie, '');
  });

  it('says that a session was made up or is of another token', async () => {
    const led = await ask(guarded, '/', {
      headers: { cookie: `standdown-${new URL(guarded.url).port}=made.up` },
    });
    assert.match(led.location, /why=ended/);
    assert.match((await ask(guarded, led.location)).text, /Your session has ended/);
  });

  it('takes no form without the key of its session, from another page, or without a session', async () => {
    const { cookie } = await signIn(ACT_TOKEN);
    const out = async (headers: Record<string, string>) =>
      (await ask(guarded, '/sign-out', { headers, form: {} })).status;
    assert.equal(await out({ cookie, origin: 'http://evil.example' }), 403);
    assert.equal(await out({ cookie, origin: 'null' }), 403);
    assert.equal(await out({ cookie }), 403);
    const without = await ask(guarded, '/sign-out', { form: {} });
    assert.match(without.location, /^\/sign-in\?why=none/);
    assert.equal((await ask(open, '/sign-out', { form: {} })).status, 403);
  });

  it('ends a session for all who have its cookie when it is signed out', async () => {
    const { cookie } = await signIn(ACT_TOKEN);
    const page = (await ask(guarded, '/', { headers: { cookie } })).text;
    const [, formKey = ''] = /name="formKey" value="([^"]+)"/.exec(page) ?? [];
    const left = await ask(guarded, '/sign-out', { headers: { cookie }, form: { formKey } });
    assert.equal(left.location, '/sign-in');
    assert.match((await ask(guarded, '/', { headers: { cookie } })).location, /why=ended/);
    const events = await ask(guarded, '/', { headers: { cookie, accept: 'text/event-stream' } });
    assert.equal(events.text, 'event: leave\ndata: null\n\n');
  });

  it('writes nothing into the form for signing in that an address brings, however it is given', async () => {
    const attack = encodeURIComponent('"><meta http-equiv=refresh content="0;url=//evil.example">');
    for (const query of [
      `next=/a&next=${attack}`,
      `next=${attack}`,
      `why=${attack}`,
      `why=a&why=${attack}`,
      'why=constructor',
      'why=__proto__',
    ]) {
      const { status, text } = await ask(guarded, `/sign-in?${query}`);
      assert.equal(status, 200, query);
      assert.doesNotMatch(text, /http-equiv=refresh|\[native code\]/, query);
    }
  });

  it('ends the changes of a page with the session', async () => {
    const headers = { accept: 'text/event-stream' };
    const { text } = await ask(guarded, '/', { headers });
    assert.equal(text, 'event: leave\ndata: null\n\n');
  });

  it('needs a token wherever it can be reached from elsewhere', async () => {
    await assert.rejects(
      openConsole({ env: { ...env, CONSOLE_HOST: '0.0.0.0' } }),
      (error) =>
        error instanceof StanddownError && error.code === 'CONFIG_INVALID' && /TOKEN/.test(error.message),
    );
    const ran = await runCommand(['console', '--port', '0', '--host', '::'], { env });
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(ran.stderr, /CONSOLE_READ_TOKEN/);
  });

  it('does not start with a token that can be guessed, or with one for both', async () => {
    for (const [more, words] of [
      [{ CONSOLE_ACT_TOKEN: 'short' }, /at least 16/],
      [{ CONSOLE_ACT_TOKEN: READ_TOKEN, CONSOLE_READ_TOKEN: READ_TOKEN }, /must differ/],
      [{ CONSOLE_HOST: 'example.com' }, /must be an IP address or localhost/],
    ] as const) {
      const ran = await runCommand(['console'], { env: { ...env, ...more } });
      assert.equal(ran.code, 2);
      assert.match(ran.stderr, words);
      assert.ok(!ran.stderr.includes(READ_TOKEN));
    }
  });

  it('is served by a command, which says where, until it is told to stop', async () => {
    const command = startCommand(['console', '--port', '0'], { env });
    const url = await eventually(() => {
      const [found] = /http:\/\/127[^" ]+/.exec(command.stderr) ?? [];
      assert.ok(found, command.stderr);
      return found;
    });
    assert.equal((await request(new URL(`/t/${tenant.label}`, url))).statusCode, 200);
    command.stop();
    assert.equal(await command.exited, 0, command.stderr);
  });
});
