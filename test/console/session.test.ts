import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isKnownHost, isLoopback, isOwnOrigin } from '../../src/console/host.ts';
import { createSessions, SESSION_MS } from '../../src/console/session.ts';
import { Secret } from '../../src/secret.ts';

const READ = 'a token for reading';
const ACT = 'a token for acting!';

function sessions(read: string | null, act: string | null, wall = () => 1_000) {
  const secret = (text: string | null) => (text === null ? null : new Secret(text));
  return createSessions({ tokens: { read: secret(read), act: secret(act) }, operator: 'me@here', wall });
}

describe('sessions of the console', () => {
  it('are given for a right token, with the role of that token', () => {
    const made = sessions(READ, ACT);
    assert.deepEqual(
      [ACT, READ, '', 'x', `${ACT} `].map((token) => {
        const found = made.read(made.signIn(token, 'anna') ?? undefined);
        return typeof found === 'string' ? found : `${found.role} ${found.name}`;
      }),
      ['act anna', 'read anna', 'none', 'none', 'none'],
    );
  });

  it('hold no token, and outlast a restart but not another token', () => {
    const cookie = sessions(READ, ACT).signIn(ACT, 'anna') ?? '';
    assert.ok(!Buffer.from(cookie, 'base64url').toString('latin1').includes('token'));
    assert.equal(typeof sessions(READ, ACT).read(cookie), 'object');
    assert.equal(sessions(READ, 'another token').read(cookie), 'wrong');
    assert.equal(sessions(READ, null).read(cookie), 'wrong');
  });

  it('end', () => {
    let now = 1_000;
    const made = sessions(READ, null, () => now);
    const cookie = made.signIn(READ, 'anna') ?? '';
    now += SESSION_MS - 1;
    assert.equal(typeof made.read(cookie), 'object');
    now += 1;
    assert.equal(made.read(cookie), 'expired');
  });

  it('cannot be made or changed by others', () => {
    const made = sessions(READ, ACT);
    const [text = '', mac = ''] = (made.signIn(READ, 'anna') ?? '').split('.');
    const more = Buffer.from(text, 'base64url').toString().replace('"read"', '"act"');
    const forged = Buffer.from(more).toString('base64url');
    for (const cookie of [
      `${forged}.${mac}`,
      `${text}.`,
      `${text}.${mac}x`,
      'x',
      '.',
      `.${mac}`,
      `${text}`,
    ]) {
      assert.equal(made.read(cookie), 'wrong', cookie);
    }
  });

  it('need no token where none is set, and then hold for this process only', () => {
    const made = sessions(null, null);
    const cookie = made.enter();
    assert.deepEqual(made.read(cookie), { role: 'act', name: 'me@here', expiresAt: 1_000 + SESSION_MS });
    assert.equal(made.signIn('', 'x'), null);
    assert.equal(sessions(null, null).read(cookie), 'wrong');
  });

  it('have forms of their own', () => {
    const made = sessions(READ, ACT);
    const [one, other] = ['anna', 'bob'].map((name) => made.signIn(ACT, name) ?? '');
    assert.ok(made.isFormKey(one ?? '', made.formKey(one ?? '')));
    assert.ok(!made.isFormKey(other ?? '', made.formKey(one ?? '')));
    for (const given of ['', undefined, null, 5]) assert.ok(!made.isFormKey(one ?? '', given));
  });
});

describe('where the console may be addressed', () => {
  it('is an address, this machine or a name that was given', () => {
    const names = ['console.example'];
    const hosts = ['127.0.0.1:80', '[::1]:8089', 'localhost', 'LOCALHOST:1', 'console.example', '192.0.2.7'];
    for (const host of hosts) assert.ok(isKnownHost(host, names), host);
    const others = [
      'evil.example',
      '127.0.0.1.evil.example',
      'x@127.0.0.1',
      '',
      undefined,
      'a b',
      '127.0.0.1/x',
      'localhost.evil',
    ];
    for (const host of others) assert.ok(!isKnownHost(host, names), host);
  });

  it('is this machine alone, or not', () => {
    for (const address of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) assert.ok(isLoopback(address));
    for (const address of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1']) assert.ok(!isLoopback(address));
  });

  it('is where its own forms come from', () => {
    assert.ok(isOwnOrigin('http://127.0.0.1:80', '127.0.0.1'));
    assert.ok(isOwnOrigin(undefined, 'a'));
    for (const origin of ['null', 'http://evil.example', 'http://127.0.0.1:81'])
      assert.ok(!isOwnOrigin(origin, '127.0.0.1'));
  });
});
