import assert from 'node:assert/strict';
import { lookup as systemLookup } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { Secret } from '../../../src/base/secret.ts';
import { TIMINGS } from '../../../src/config/timings.ts';
import { createPoster, type Poster, type PosterDeps } from '../../../src/ops/notices/poster.ts';
import { makeServerCertificate } from '../../../src/simulator/certificate.ts';
import { ROOT, startProgram } from '../../support/processes.ts';
import { withTimings } from '../../support/timings.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const SECRET = 'a secret of the receiver';
const BODY = JSON.stringify({ v: 1, campaign: 'Ümläut' });

describe('posting a notice', () => {
  let receiver: Receiver;
  const posters: Poster[] = [];
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(async () => {
    for (const poster of posters.splice(0)) await poster.close();
    await receiver.close();
  });

  function posterTo(url: string, more: Partial<PosterDeps> = {}): Poster {
    const poster = createPoster({
      url: new Secret(url),
      secret: new Secret(SECRET),
      allowPrivate: false,
      timings: TIMINGS,
      wall: Date.now,
      ...more,
    });
    posters.push(poster);
    return poster;
  }

  it('is signed, so that the documented ways to check it hold', async () => {
    const poster = posterTo(`${receiver.url}?a=1`, { allowPrivate: true });
    assert.deepEqual(await poster.post('one', BODY), { ok: true });
    const [seen] = receiver.received;
    assert.equal(seen?.path, '/hook?a=1');
    assert.equal(seen.body, BODY);
    assert.equal(seen.headers['content-type'], 'application/json');
    assert.equal(seen.headers['standdown-notice'], 'one');
    const headers = seen.headers as Record<string, string>;
    const stale = { ...headers, 'standdown-timestamp': String(Number(headers['standdown-timestamp']) - 400) };
    const checks: [secret: string, headers: Record<string, string>, body: string, genuine: boolean][] = [
      [SECRET, headers, BODY, true],
      [`${SECRET}!`, headers, BODY, false],
      [SECRET, headers, `${BODY} `, false],
      [SECRET, stale, BODY, false],
      [SECRET, { ...headers, 'standdown-signature': 'v1=' }, BODY, false],
      [SECRET, { ...headers, 'standdown-timestamp': 'now' }, BODY, false],
    ];
    for (const [secret, given, body, genuine] of checks) {
      const said = await Promise.all([checkInNode, checkInPython].map((check) => check(secret, given, body)));
      assert.deepEqual(said, [genuine, genuine], JSON.stringify({ secret, given, body }));
    }
  });

  it('has arrived only when the receiver says so', async () => {
    const poster = posterTo(receiver.url, { allowPrivate: true });
    for (const status of [301, 302, 307, 400, 404, 429, 500, 503]) {
      receiver.manner = status;
      receiver.headers = { location: `${receiver.url}/elsewhere` };
      assert.deepEqual(await poster.post('one', BODY), { ok: false, why: `the receiver answered ${status}` });
    }
    assert.deepEqual(new Set(receiver.received.map(({ path }) => path)), new Set(['/hook']), 'no redirect');
    for (const manner of [200, 204, 'endless'] as const) {
      receiver.manner = manner;
      assert.deepEqual(await poster.post('one', BODY), { ok: true });
    }
  });

  it('goes over TLS only to whom the certificate is for, and whose authority is trusted', async () => {
    const certificate = await makeServerCertificate();
    const secure = await startReceiver(0, 204, certificate);
    const authorities = tls.getCACertificates('default');
    try {
      const stranger = await posterTo(secure.url, { allowPrivate: true }).post('one', BODY);
      assert.ok(!stranger.ok);
      assert.match(stranger.why, /SELF_SIGNED/);
      tls.setDefaultCACertificates([...authorities, certificate.cert]);
      assert.deepEqual(await posterTo(secure.url, { allowPrivate: true }).post('one', BODY), { ok: true });
      const other = secure.url.replace('127.0.0.1', '127.0.0.2');
      assert.ok(!(await posterTo(other, { allowPrivate: true }).post('one', BODY)).ok);
      assert.equal(secure.received.length, 1);
    } finally {
      tls.setDefaultCACertificates(authorities);
      await secure.close();
    }
  });

  it('never connects to a private address', async () => {
    const { port } = receiver;
    for (const host of ['127.0.0.1', '127.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', 'localhost']) {
      const posted = await posterTo(`http://${host}:${port}/hook`).post('one', BODY);
      assert.ok(!posted.ok, host);
      assert.match(posted.why, /is not a public address/);
    }
    assert.equal(receiver.connections, 0);
  });

  it('never connects where a name leads to a private address by then', async () => {
    const asked: string[] = [];
    const lookup = ((name: string, options: object, callback: () => void) => {
      asked.push(name);
      systemLookup('127.0.0.1', options, callback);
    }) as unknown as typeof systemLookup;
    const url = `http://hooks.example:${receiver.port}/hook`;
    const refused = await posterTo(url, { lookup }).post('one', BODY);
    assert.ok(!refused.ok);
    assert.match(refused.why, /PRIVATE_ADDRESS: 127\.0\.0\.1 is not a public address/);
    assert.deepEqual([asked, receiver.connections], [['hooks.example'], 0]);
  });

  it('gives up a receiver that does not answer', async () => {
    receiver.manner = 'silent';
    const timings = withTimings({ noticePostMs: 1_000 });
    const posted = await posterTo(receiver.url, { allowPrivate: true, timings }).post('one', BODY);
    assert.ok(!posted.ok);
    assert.equal(posted.why, 'no answer within 1 s');
  });
});

async function example(language: string): Promise<string> {
  const text = await readFile(join(ROOT, 'docs/notices.md'), 'utf8');
  const [, code = ''] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
  assert.notEqual(code, '');
  return code;
}

async function checkInNode(secret: string, headers: object, body: string): Promise<boolean> {
  const args = [secret, headers, body].map((value) => JSON.stringify(value)).join(', ');
  const program = `${await example('js')}\nconsole.log(isGenuine(${args}));`;
  return says(startProgram(process.execPath, ['--input-type=module', '--eval', program]), 'true', 'false');
}

async function checkInPython(secret: string, headers: object, body: string): Promise<boolean> {
  const program = `${await example('python')}
import json, sys
secret, headers, body = json.loads(sys.argv[1])
print(is_genuine(secret, headers, body.encode()))`;
  const args = JSON.stringify([secret, headers, body]);
  return says(startProgram('python3', ['-c', program, args]), 'True', 'False');
}

async function says(child: ReturnType<typeof startProgram>, yes: string, no: string): Promise<boolean> {
  assert.equal(await child.exited, 0, child.stderr);
  const said = child.stdout.trim();
  assert.ok(said === yes || said === no, said);
  return said === yes;
}
