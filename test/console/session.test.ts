import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Secret } from '../../src/base/secret.ts';
import { isKnownHost, isLoopback, isOwnOrigin } from '../../src/console/host.ts';
import { createSessions, SESSION_MS } from '../../src/console/session.ts';

const READ = 'a token for reading';
const ACT = 'a token for acting!';

function sessions(read: string | null, act: string | null, wall = () => 1_000) {
  const secret = (text: string | null) => (text === null ? null : new Secret(text));
  return createSessions({ tokens: { read: secret(read), act: secret(act) }, operator: 'me@here', wall });
}

const HERE = '192.0.2.1';

describe('sessions of the console', () => {
  it('have the role of the token that was shown, which no other text has', () => {
    const { roleOf } = sessions(READ, ACT);
    assert.deepEqual([ACT, READ, '', 'x', `${ACT} `].map(roleOf), ['act', 'read', null, null, null]);
    assert.equal(sessions(null, null).roleOf(''), null);
    assert.equal(sessions(READ, null).roleOf(ACT), null);
  });

  it('are known to this process alone: nobody who knows the tokens makes one, and none outlasts a restart', () => {
    const made = sessions(READ, ACT);
    const cookie = made.open('act', 'anna', HERE);
    assert.deepEqual(made.read(cookie), {
      role: 'act',
      name: 'anna',
      address: HERE,
      expiresAt: 1_000 + SESSION_MS,
    });
    assert.match(cookie, /^[\w-]{43}$/);
    assert.equal(sessions(READ, ACT).read(cookie), 'ended');
    for (const other of [`${cookie}x`, cookie.slice(1), 'x', '.', '__proto__', sessions(null, null).enter()])
      assert.equal(made.read(other), 'ended', other);
    assert.equal(made.read(''), 'none');
  });

  it('end after a shift, and when they are signed out', () => {
    let now = 1_000;
    const made = sessions(READ, null, () => now);
    const [one, other] = [made.open('read', 'anna', HERE), made.open('read', 'bob', HERE)];
    made.end(one);
    assert.equal(made.read(one), 'ended');
    now += SESSION_MS - 1;
    assert.equal(typeof made.read(other), 'object');
    now += 1;
    assert.equal(made.read(other), 'ended');
  });

  it('are bounded by address and by role: who reads ends no session of who acts', () => {
    const made = sessions(READ, ACT);
    const acting = made.open('act', 'anna', HERE);
    const first = made.open('read', 'first', '192.0.2.7');
    const many = Array.from({ length: 101 }, () => made.open('read', 'bob', HERE));
    assert.equal(made.read(many[0]), 'ended');
    assert.equal(typeof made.read(many[1]), 'object');
    assert.equal(typeof made.read(first), 'object', 'of another address');
    for (let index = 0; index < 2_000; index++) made.open('read', 'eve', `192.0.2.${index}`);
    assert.equal(made.read(first), 'ended');
    assert.equal(typeof made.read(acting), 'object');
  });

  it('need no token where none is set, and then hold for this process only', () => {
    const made = sessions(null, null);
    const cookie = made.enter();
    assert.deepEqual(made.read(cookie), { role: 'act', name: 'me@here', expiresAt: 1_000 + SESSION_MS });
    for (const other of [sessions(null, null).enter(), `x${cookie}`, cookie.split('.')[0]])
      assert.equal(made.read(other), 'ended');
  });

  it('have forms of their own', () => {
    const made = sessions(READ, ACT);
    const [one, other] = ['anna', 'bob'].map((name) => made.open('act', name, HERE));
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
