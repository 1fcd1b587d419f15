import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { request } from 'undici';
import { createGuesses, networkOf } from '../../src/console/guesses.ts';
import { type Command, startCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { ACT_TOKEN, READ_TOKEN } from './support.ts';

const WRONG = 'nearly-the-acting-token';

describe('who guesses at the tokens of the console', () => {
  let server: TestRedis;
  let env: Record<string, string>;
  before(async () => {
    server = await openTestRedis();
    const { label } = await newTenant(await server.connect());
    const tokens = { CONSOLE_READ_TOKEN: READ_TOKEN, CONSOLE_ACT_TOKEN: ACT_TOKEN };
    env = { REDIS_URL: server.url, STANDDOWN_TENANT: label, CONSOLE_PORT: '0', ...tokens };
  });
  /** One that a failed test leaves open would keep the whole file open. */
  const opened: Command[] = [];
  afterEach(async () => {
    for (const command of opened.splice(0)) {
      command.stop();
      await command.exited;
    }
  });
  after(() => server.close());

  /** A console as a command, with its log, and how to sign in to it. */
  async function open(more: Record<string, string> = {}) {
    const command: Command = startCommand(['console'], { env: { ...env, ...more } });
    opened.push(command);
    const url = await eventually(() => {
      const [found] = /http:\/\/127[^" ]+/.exec(command.stderr) ?? [];
      assert.ok(found, command.stderr);
      return found;
    });
    const signIn = async (token: string, address: string, headers: Record<string, string> = {}) => {
      const answer = await request(new URL('/sign-in', url), {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-forwarded-for': address,
          ...headers,
        },
        body: new URLSearchParams({ token, name: 'anna' }).toString(),
      });
      const [cookie = ''] = [answer.headers['set-cookie'] ?? []].flat();
      const text = await answer.body.text();
      return { status: answer.statusCode, wait: answer.headers['retry-after'], cookie, text };
    };
    const stop = async () => {
      command.stop();
      assert.equal(await command.exited, 0, command.stderr);
      return command.stderr.split('\n').filter((line) => line.includes('"console: '));
    };
    return { url, signIn, stop };
  }

  it('is slowed down and logged, but keeps nobody elsewhere out', async () => {
    const { signIn, stop } = await open({ CONSOLE_PROXY: '127.0.0.1' });
    const answers = [];
    for (let tries = 0; tries < 50; tries++) answers.push(await signIn(WRONG, '192.0.2.1'));
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(statuses.slice(0, 10), Array(10).fill(403));
    assert.ok(statuses.slice(12).every((status) => status === 429 || status === 403));
    assert.ok(statuses.filter((status) => status === 403).length < 30, 'one in six seconds');
    // The right token tells nothing there, either: it is not looked at.
    const late = await signIn(ACT_TOKEN, '192.0.2.1');
    assert.deepEqual([late.status, late.cookie], [429, '']);
    assert.ok(Number(late.wait) >= 1, late.wait?.toString());
    assert.match(late.text, /Too many wrong tokens\. Try again in \d+ s\./);
    const elsewhere = await signIn(ACT_TOKEN, '192.0.2.2');
    assert.equal(elsewhere.status, 303);
    assert.notEqual(elsewhere.cookie, '');

    const lines = await stop();
    const refused = lines.filter((line) => line.includes('"console: sign-in refused"'));
    assert.equal(refused.length, 20);
    assert.match(refused[0] ?? '', /"level":"warn".*"address":"192\.0\.2\.1","why":"wrong token"/);
    assert.match(lines.join('\n'), /"refused":31,"msg":"console: more sign-ins refused/);
    assert.match(lines.join('\n'), /"name":"anna@192\.0\.2\.2","role":"act","address":"192\.0\.2\.2"/);
    for (const secret of [WRONG, ACT_TOKEN, READ_TOKEN]) assert.ok(!lines.join('\n').includes(secret));
  });

  it('is slowed down in all, too, and even then somebody from elsewhere gets in', async () => {
    const { signIn, stop } = await open({ CONSOLE_PROXY: '127.0.0.1' });
    const guess = (from: number) =>
      Promise.all(Array.from({ length: 50 }, (_, index) => signIn(WRONG, `198.51.100.${from + index}`)));
    let looked = 0;
    for (let rounds = 0; rounds < 12; rounds++)
      for (const { status } of await guess(50 * (rounds % 4))) looked += status === 403 ? 1 : 0;
    assert.ok(looked < 400, `${looked} of 600 guesses were looked at`);
    assert.equal((await signIn(READ_TOKEN, '203.0.113.1')).status, 303);
    await stop();
  });

  it('keeps no right token out by guessing once from each of many addresses', async () => {
    const { signIn, stop } = await open({ CONSOLE_PROXY: '127.0.0.1' });
    for (let from = 0; from < 8; from++) {
      const tries = Array.from({ length: 50 }, (_, index) => signIn(WRONG, `198.18.${from}.${index}`));
      await Promise.all(tries);
    }
    const { status } = await signIn(ACT_TOKEN, '203.0.113.9');
    assert.equal(status, 303, 'it guessed nothing');
    assert.equal((await signIn(WRONG, '198.18.0.0')).status, 429, 'who guessed waits for the others, too');
    await stop();
  });

  it('is one address behind a proxy that names ports, and cannot put any text into the log or the history', async () => {
    const { signIn, stop } = await open({ CONSOLE_PROXY: '127.0.0.1' });
    const statuses = [];
    for (let port = 0; port < 12; port++)
      statuses.push((await signIn(WRONG, `203.0.113.7:${40_000 + port}`)).status);
    assert.deepEqual(statuses.slice(0, 10), Array(10).fill(403));
    assert.equal(statuses.at(-1), 429);
    assert.equal((await signIn(ACT_TOKEN, 'x'.repeat(9_000))).status, 303);
    const lines = (await stop()).join('\n');
    assert.match(lines, /"address":"203\.0\.113\.7"/);
    assert.match(lines, /"name":"anna@unknown"/);
    assert.ok(!lines.includes('xxx'));
  });

  it('cannot give itself another address where no proxy is set', async () => {
    const { signIn, stop } = await open();
    for (let tries = 0; tries < 10; tries++) await signIn(WRONG, `192.0.2.${tries}`);
    assert.equal((await signIn(ACT_TOKEN, '192.0.2.99')).status, 429);
    await stop();
  });

  it('does not keep the act token from signing in with many sign-ins by the read token', async () => {
    const { signIn, stop } = await open();
    const statuses = [];
    for (let tries = 0; tries < 40; tries++) statuses.push((await signIn(READ_TOKEN, '')).status);
    assert.ok(statuses.includes(429), 'each is a line in the log');
    assert.equal((await signIn(ACT_TOKEN, '')).status, 303);
    await stop();
  });

  it('finds a cookie of no use after a sign-out and a restart', async () => {
    const first = await open();
    const { cookie } = await first.signIn(ACT_TOKEN, '');
    const bare = cookie.split(';')[0] ?? '';
    const page = await request(first.url, { headers: { cookie: bare } });
    const [, formKey = ''] = /name="formKey" value="([^"]+)"/.exec(await page.body.text()) ?? [];
    const out = await request(new URL('/sign-out', first.url), {
      method: 'POST',
      headers: { cookie: bare, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ formKey }).toString(),
    });
    assert.equal(out.statusCode, 303);
    await out.body.dump();
    assert.match(
      (await first.stop()).join('\n'),
      /"name":"anna@127\.0\.0\.1","role":"act","msg":"console: signed out"/,
    );
    const { port } = new URL(first.url);
    const second = await open({ CONSOLE_PORT: port });
    const led = await request(second.url, { headers: { cookie: bare } });
    assert.match(String(led.headers['location']), /^\/sign-in\?why=ended/);
    await led.body.dump();
    await second.stop();
  });

  it('can neither read the cookie nor set another one where TLS is in front', async () => {
    const { url, signIn, stop } = await open();
    const { port } = new URL(url);
    const plain = await signIn(READ_TOKEN, '');
    assert.match(
      plain.cookie,
      new RegExp(`^standdown-${port}=[^;]+; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict$`),
    );
    const tls = { 'x-forwarded-proto': 'https' };
    const { cookie } = await signIn(READ_TOKEN, '', tls);
    assert.match(
      cookie,
      new RegExp(
        `^__Host-standdown-${port}=[^;]+; Max-Age=43200; Path=/; HttpOnly; Secure; SameSite=Strict$`,
      ),
    );
    const statusWith = async (sent: string) => {
      const answer = await request(url, { headers: { ...tls, cookie: sent.split(';')[0] ?? '' } });
      await answer.body.dump();
      return answer.statusCode;
    };
    assert.equal(await statusWith(cookie), 200);
    assert.equal(await statusWith(plain.cookie), 303, 'without the prefix anybody near could have set it');
    await stop();
  });
});

describe('wrong tokens', () => {
  it('are forgotten evenly: an address may try one more in six seconds', () => {
    let now = 0;
    const guesses = createGuesses({ monotonic: () => now });
    for (let tries = 0; tries < 10; tries++) {
      assert.equal(guesses.waitMs('a'), 0);
      guesses.noteWrong('a');
    }
    assert.equal(guesses.waitMs('a'), 6_000);
    assert.equal(guesses.waitMs('b'), 0);
    now += 6_000;
    assert.equal(guesses.waitMs('a'), 0);
    guesses.noteWrong('a');
    assert.equal(guesses.waitMs('a'), 6_000);
  });

  it('are counted for the network that a line has', () => {
    for (const [address, network] of [
      ['192.0.2.1', '192.0.2.1'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['2001:db8:1:2::7', '2001:db8:1:2::/64'],
      ['2001:0db8::1', '2001:db8:0:0::/64'],
      ['::1', '0:0:0:0::/64'],
      ['fe80::1%eth0', 'fe80:0:0:0::/64'],
      ['192.0.2.1:40000', '192.0.2.1'],
      ['[2001:db8:1:2::7]:443', '2001:db8:1:2::/64'],
      ['unknown', 'unknown'],
      ['x y', 'unknown'],
    ] as const)
      assert.equal(networkOf(address), network, address);
  });
});
