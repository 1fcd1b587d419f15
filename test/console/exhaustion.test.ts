import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { createAdmission } from '../../src/console/admission.ts';
import { createLimitedServer } from '../../src/console/arriving.ts';
import { createSearches } from '../../src/console/searches.ts';
import { listCampaigns } from '../../src/store/campaign/registry.ts';
import { startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { ACT_TOKEN, openConsole, READ_TOKEN } from './support.ts';

const MIB = 1_048_576;

describe('who wants to use up the console', () => {
  let server: TestRedis;
  let tenant: TestTenant;
  let env: Record<string, string>;
  before(async () => {
    server = await openTestRedis();
    tenant = await newTenant(await server.connect());
    const tokens = { CONSOLE_READ_TOKEN: READ_TOKEN, CONSOLE_ACT_TOKEN: ACT_TOKEN };
    env = { REDIS_URL: server.url, STANDDOWN_TENANT: tenant.label, CONSOLE_PORT: '0', ...tokens };
  });
  after(() => server.close());

  async function signIn(url: string, token: string) {
    const signed = await request(new URL('/sign-in', url), {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token, name: 'anna' }).toString(),
    });
    await signed.body.dump();
    assert.equal(signed.statusCode, 303);
    const cookie = String(signed.headers['set-cookie']).split(';')[0] ?? '';
    const page = await request(new URL(`/t/${tenant.label}/submit`, url), { headers: { cookie } });
    const [, formKey = ''] = /name="formKey" value="([^"]+)"/.exec(await page.body.text()) ?? [];
    return { cookie, formKey };
  }

  /** A form whose first field is this large; it is sent as it is made. */
  async function sendField(url: string, cookie: string, mib: number): Promise<number> {
    const piece = Buffer.alloc(MIB, 'x');
    const body = async function* () {
      yield '--b\r\ncontent-disposition: form-data; name="formKey"\r\n\r\n';
      for (let sent = 0; sent < mib; sent++) yield piece;
      yield '\r\n--b--\r\n';
    };
    const answer = await request(new URL(`/t/${tenant.label}/submit`, url), {
      method: 'POST',
      headers: { cookie, 'content-type': 'multipart/form-data; boundary=b' },
      body: Readable.from(body()),
    });
    await answer.body.dump();
    return answer.statusCode;
  }

  it('fills no memory with large fields, neither by reading alone nor by acting', async (t) => {
    if (process.platform !== 'linux') return t.skip('reads the memory of a process in /proc');
    const child = startCli(['console'], { env });
    const url = await eventually(() => {
      const [found] = /http:\/\/127[^" ]+/.exec(child.stderr) ?? [];
      assert.ok(found, child.stderr);
      return found;
    });
    const mostMib = async () => {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
    };
    const [reading, acting] = [await signIn(url, READ_TOKEN), await signIn(url, ACT_TOKEN)];
    const before = await mostMib();
    const six = (cookie: string) => Promise.all(Array.from({ length: 6 }, () => sendField(url, cookie, 60)));
    assert.deepEqual(await six(reading.cookie), Array(6).fill(403));
    const statuses = (await six(acting.cookie)).toSorted();
    assert.ok(
      statuses.every((status) => status === 413 || status === 429),
      String(statuses),
    );
    assert.deepEqual([statuses[0], statuses.at(-1)], [413, 429]);
    const grownMib = (await mostMib()) - before;
    t.diagnostic(`${Math.round(before)} MiB, and ${Math.round(grownMib)} MiB more`);
    assert.ok(grownMib < 300, `${grownMib} MiB`);
    assert.deepEqual(await listCampaigns(tenant.redis, tenant.keys), []);
    child.kill('SIGTERM');
    assert.equal(await child.exited, 0, child.stderr);
  });

  it('keeps nobody who may act from seeing changes, however many pages readers keep open', async () => {
    const served = await openConsole({ env });
    const closing: (() => void)[] = [];
    const open = async (cookie: string) => {
      const answer = await request(served.url, { headers: { cookie, accept: 'text/event-stream' } });
      closing.push(() => void answer.body.on('error', () => {}).destroy());
      return answer.statusCode;
    };
    const statuses: number[] = [];
    for (let sessions = 0; sessions < 8; sessions++) {
      const { cookie } = await signIn(served.url, READ_TOKEN);
      for (let pages = 0; pages < 9; pages++) statuses.push(await open(cookie));
      // It is still shown as it is.
      const page = await request(served.url, { headers: { cookie } });
      assert.equal(page.statusCode, 200);
      await page.body.dump();
    }
    assert.equal(statuses[8], 429, 'of one session');
    assert.equal(statuses.filter((status) => status === 200).length, 60);
    assert.equal(statuses.at(-1), 503, 'of all');
    const { cookie } = await signIn(served.url, ACT_TOKEN);
    assert.equal(await open(cookie), 200);
    for (const close of closing) close();
    await eventually(async () =>
      assert.equal(await open((await signIn(served.url, READ_TOKEN)).cookie), 200),
    );
    await served.stop();
  });

  it('keeps no connection by not finishing a form', async () => {
    const served = await openConsole({ env, bodyMs: 300 });
    const { port } = new URL(served.url);
    const begin = (path: string) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ntoken=`,
      );
      // It ends when the console ends it.
      return text(socket);
    };
    assert.match(await begin('/sign-in'), /^HTTP\/1\.1 408 Request Timeout[\s\S]*Try again\.\n$/);
    assert.match(await begin(`/t/${tenant.label}/submit`), /^HTTP\/1\.1 303 See Other[\s\S]*\/sign-in/);
    await served.stop();
  });

  it('keeps nobody out by many connections, from the same address or another', async () => {
    const served = await openConsole({ env });
    const { port } = new URL(served.url);
    const { cookie } = await signIn(served.url, ACT_TOKEN);
    const page = await request(served.url, { headers: { cookie, accept: 'text/event-stream' } });
    let [opened, closed] = [0, 0];
    const sockets = Array.from({ length: 400 }, () =>
      connect(Number(port), '127.0.0.1')
        .on('connect', () => opened++)
        .on('close', () => closed++)
        .on('error', () => {}),
    );
    await eventually(() => assert.equal(opened, 400));
    await eventually(() => assert.ok(closed >= 150, `${closed} of 400 are closed`));
    const signed = await signIn(served.url, READ_TOKEN);
    assert.notEqual(signed.cookie, '');
    // Who watches a page still does.
    const [event] = await once(page.body, 'data');
    assert.match(String(event), /^event: change/);
    for (const socket of sockets) socket.destroy();
    page.body.on('error', () => {}).destroy();
    await served.stop();
  });

  it('is told that a form is too large, and what to do', async () => {
    const served = await openConsole({ env });
    const { cookie, formKey } = await signIn(served.url, ACT_TOKEN);
    const send = async (path: string, body: string, type: string, more = {}) => {
      const headers = { cookie, 'content-type': type, ...more };
      const answer = await request(new URL(path, served.url), { method: 'POST', headers, body });
      return { status: answer.statusCode, words: await answer.body.text() };
    };
    const form = 'application/x-www-form-urlencoded';
    const large = await send('/sign-out', 'x'.repeat(70_000), form);
    assert.equal(large.status, 413);
    assert.match(large.words, /Submit the file with &quot;standdown submit&quot;|standdown submit/);
    const field = (name: string, value: string) =>
      `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const pasted = await send(
      `/t/${tenant.label}/submit`,
      `${field('formKey', formKey)}${field('ids', 'x'.repeat(9 * MIB))}--b--\r\n`,
      'multipart/form-data; boundary=b',
    );
    assert.equal(pasted.status, 413);
    assert.match(pasted.words, /The pasted text is too long\. Upload it as a file\./);
    // What is announced is enough: nothing of it is waited for.
    const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
    const lines = [
      `POST /t/${tenant.label}/submit HTTP/1.1`,
      'Host: 127.0.0.1',
      `Cookie: ${cookie}`,
      'Content-Type: multipart/form-data; boundary=b',
      `Content-Length: ${2_048 * MIB}`,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    const [head] = await once(socket, 'data');
    socket.destroy();
    assert.match(String(head), /^HTTP\/1\.1 413 /);
    // Nothing but forms is read at all.
    assert.equal((await send('/sign-out', '{}', 'application/json')).status, 415);
    await served.stop();
  });
});

describe('what the console lets in at once', () => {
  it('is bounded by session and by role, and given back once', () => {
    const admission = createAdmission();
    const enter = (session: string, role: 'read' | 'act') => admission.enter('export', session, role);
    const entered = [enter('a', 'read'), enter('a', 'read')];
    assert.deepEqual((enter('a', 'read') as { status: number }).status, 429);
    entered.push(enter('b', 'read'), enter('b', 'read'));
    assert.deepEqual((enter('c', 'read') as { status: number }).status, 503);
    assert.equal(typeof enter('c', 'act'), 'function');
    for (const leave of entered) if (typeof leave === 'function') leave();
    assert.equal(typeof enter('a', 'read'), 'function');
  });

  it('are searches one at a time, so that of many some are refused', async () => {
    const searches = createSearches();
    const reader = { formKey: 'a', mayAct: false };
    let ran = 0;
    const search = () => ++ran;
    const asked = await Promise.allSettled(Array.from({ length: 6 }, () => searches(reader, search)));
    assert.deepEqual(
      asked.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'],
    );
    assert.equal(ran, 4);
    const fails = () => {
      throw new Error('it fails');
    };
    await assert.rejects(searches(reader, fails), /it fails/);
    assert.equal(await searches({ formKey: 'b', mayAct: true }, search), 5);
  });

  it('is given little time to say what it wants', () => {
    const limited = createLimitedServer([], () => {});
    assert.ok(limited.headersTimeout <= 10_000);
    assert.ok(limited.keepAliveTimeout <= 10_000);
  });
});
