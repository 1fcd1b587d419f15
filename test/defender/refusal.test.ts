import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createReadRefusals } from '../../src/defender/read-refusals.ts';
import { describeRefusal } from '../../src/defender/refusal.ts';
import { CANCEL_ROLES, describeUnreadable } from '../../src/defender/roles.ts';
import { judgeAudience, judgeRoles } from '../../src/ops/doctor/permissions.ts';

const ADDRESS = 'https://api.securitycenter.microsoft.com/api/machineactions';
const OWN = 'https://api.securitycenter.microsoft.com';

function tokenOf(roles: string[] | null, aud: string = OWN) {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return { roles, isDelegated: false, accessToken: `${part({ alg: 'none' })}.${part({ aud })}.x` };
}

function refusal(roles: string[] | null, { aud, status = 403 }: { aud?: string; status?: number } = {}) {
  const detail = { httpStatus: status, errorCode: 'Forbidden', errorMessage: 'Missing application roles.' };
  return describeRefusal({ detail, token: tokenOf(roles, aud), address: ADDRESS });
}

describe('the words about a refusal', () => {
  it('quote the API, with the address', () => {
    assert.ok(refusal(null).startsWith(`(403 Forbidden: "Missing application roles." from ${ADDRESS}). `));
    const bare = describeRefusal({ detail: { httpStatus: 404 }, token: tokenOf([]), address: ADDRESS });
    assert.match(bare, /^\(404 without a reason from https:.*\)\. .* DEFENDER_API_URL is wrong: check it\.$/);
  });

  it('ask for no permission that the token has', () => {
    assert.match(
      refusal([]),
      /The token has no permissions: it cannot cancel; grant one of Machine\.CollectForensics, /,
    );
    const some = refusal(['Machine.Isolate', 'Machine.Read.All']);
    assert.match(some, /has Machine\.Isolate, Machine\.Read\.All\. .*may need another permission: /);
    assert.doesNotMatch(some.split('another permission')[1] ?? '', /Machine\.Isolate/);
    assert.match(refusal([...CANCEL_ROLES]), /: every permission that allows cancelling\.$/);
    assert.match(refusal(null), /The token cannot be read, so its permissions are unknown\.$/);
  });

  it('give a hint where the token is for another API, and none where that cannot be known', () => {
    const hint = /for the audience https:\/\/graph\.microsoft\.com\/, .*check DEFENDER_SCOPE\.$/;
    assert.match(refusal(['Machine.Isolate'], { aud: 'https://graph.microsoft.com' }), hint);
    const known = [
      OWN,
      `${OWN}/`,
      'https://api-gcc.securitycenter.microsoft.us',
      'https://api.securitycenter.windows.com',
      'https://securitycenter.onmicrosoft.com/windowsatpservice',
      '8a1f7c52-0b7e-4f55-9c1c-3d2f7a1b9e60',
    ];
    for (const aud of known) assert.doesNotMatch(refusal([], { aud }), /audience/, aud);
    const opaque = { roles: null, isDelegated: false, accessToken: 'opaque' };
    const detail = { httpStatus: 403 };
    assert.doesNotMatch(describeRefusal({ detail, token: opaque, address: ADDRESS }), /audience/);
    const simulated = {
      detail,
      token: tokenOf([], 'https://graph.microsoft.com'),
      address: 'http://127.0.0.1:1/x',
    };
    assert.doesNotMatch(describeRefusal(simulated), /audience/);
  });

  it('are empty where nothing is refused', () => {
    assert.equal(refusal([], { status: 200 }), '');
    assert.equal(refusal([], { status: 503 }), '');
  });

  it('about reading leave out what is held', () => {
    const words = (roles: string[]) => describeUnreadable({ roles, isDelegated: false });
    assert.match(
      words(['Machine.Isolate']),
      /^the token has Machine\.Isolate only: no permission to read machine actions; grant Machine\.Read\.All or Machine\.ReadWrite\.All$/,
    );
    assert.match(
      words(['Machine.Read.All']),
      /although the token has Machine\.Read\.All; Machine\.ReadWrite\.All may be required$/,
    );
    assert.match(words(['Machine.Read.All', 'Machine.ReadWrite.All']), /Machine\.ReadWrite\.All$/);
    assert.doesNotMatch(words(['Machine.Read.All', 'Machine.ReadWrite.All']), /grant|required/);
  });

  it('of the doctor are no more than hints, too', () => {
    const { accessToken } = tokenOf([], 'https://graph.microsoft.com');
    assert.deepEqual(
      judgeAudience(accessToken, 'https://api.securitycenter.microsoft.com').map(({ level }) => level),
      ['warning'],
    );
    assert.deepEqual(judgeAudience(tokenOf([]).accessToken, 'https://api.securitycenter.microsoft.com'), []);
    const reading = (roles: string[]) => judgeRoles(roles, 'secret').at(-1);
    const read = reading(['Machine.Isolate', 'Machine.Read.All']);
    assert.deepEqual([read?.level, /grant Machine\.ReadWrite\.All/.test(read?.meaning ?? '')], ['ok', true]);
    assert.equal(reading(['Machine.Isolate', 'Machine.ReadWrite.All'])?.meaning, '');
  });
});

it('reading is given up after three refusals in a row, until there is another token', () => {
  const refusals = createReadRefusals();
  const [one, other] = ['one', 'other'].map((accessToken) => ({
    ...tokenOf([]),
    accessToken,
    askedAt: 0,
    renewAt: 0,
    expiresAt: 0,
  }));
  assert.ok(one && other);
  const note = (...kinds: ('forbidden' | 'fault' | 'throttled' | null)[]) => {
    for (const kind of kinds) refusals.note(one, kind && { kind });
  };
  note('forbidden', 'forbidden', null, 'forbidden', 'forbidden', 'fault', 'throttled');
  assert.equal(refusals.isRefused(one), false);
  note('forbidden');
  assert.deepEqual([refusals.isRefused(one), refusals.isRefused(other)], [true, false]);
  refusals.note(other, null);
  assert.equal(refusals.isRefused(one), true, 'another token says nothing about this one');
});
