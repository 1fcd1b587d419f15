import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it, type TestContext } from 'node:test';
import { decodeJwt } from 'jose';
import type { SimulatorOptions } from '../../src/simulator/index.ts';
import { ask, askForToken, createTestClock, ID, startBench, trustingAgent } from './support.ts';

const USER = { id: randomUUID(), name: 'ben@contoso.example' };

interface Tokens {
  access_token: string;
  refresh_token?: string;
  id_token: string;
  client_info: string;
  scope: string;
}

/** A client of the device code flow; times pass only when it is told so. */
async function openFlow(t: TestContext, options: Partial<SimulatorOptions> = {}) {
  const clock = createTestClock();
  const bench = await startBench(t, {
    clock,
    user: USER,
    roles: ['Machine.Isolate', 'Machine.Read.All'],
    ...options,
  });
  const { simulator } = bench;
  const dispatcher = await trustingAgent(simulator.caFile);
  t.after(() => dispatcher.destroy());
  const scope = `${simulator.scope} offline_access openid profile`;

  const begin = async (changes: Record<string, string> = {}, tenant = simulator.tenantId) => {
    const body = new URLSearchParams({ client_id: simulator.clientId, scope, ...changes }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const url = `${simulator.authorityUrl}/${tenant}/oauth2/v2.0/devicecode`;
    return ask(url, { dispatcher, method: 'POST', headers, body });
  };
  const redeem = async (changes: Record<string, string | null>) => {
    const reply = await askForToken(simulator, { client_secret: null, scope, ...changes });
    const body = reply.json<Tokens & { error?: string; error_codes?: number[]; suberror?: string }>();
    return { ...body, said: body.error ?? 'token', status: reply.status };
  };
  return {
    ...bench,
    clock,
    begin,
    redeem,
    poll: (code: string, changes = {}) =>
      redeem({ grant_type: 'device_code', device_code: code, ...changes }),
    refresh: (token: string) => redeem({ grant_type: 'refresh_token', refresh_token: token }),
    code: async () => (await begin()).json<{ device_code: string; user_code: string }>(),
  };
}

it('gives a code for the application, its tenant and its scope only, with the documented fields', async (t) => {
  const { begin, simulator } = await openFlow(t);
  const reply = await begin();
  assert.equal(reply.status, 200);
  assert.partialDeepStrictEqual(reply.json(), {
    expires_in: 900,
    interval: 5,
    verification_uri: `${simulator.authorityUrl}/device`,
  });
  for (const [number, wrong] of [
    [700016, await begin({ client_id: randomUUID() })],
    [500011, await begin({ scope: 'https://other.example/.default' })],
    [90002, await begin({}, randomUUID())],
  ] as const) {
    assert.deepEqual([wrong.status, wrong.json<{ error_codes: number[] }>().error_codes], [400, [number]]);
  }
});

it('waits for the user, slows down who asks too often, and gives the tokens once', async (t) => {
  const { clock, code, poll, simulator } = await openFlow(t);
  const { device_code: device, user_code: user } = await code();
  assert.equal((await poll(device)).said, 'authorization_pending');
  assert.equal((await poll(device)).said, 'slow_down');
  clock.advance(6_000);
  assert.equal((await poll(device)).said, 'slow_down', 'ten seconds apart by now');
  clock.advance(15_000);
  assert.equal((await poll(device)).said, 'authorization_pending');
  simulator.decideLogin(user, 'approved');
  clock.advance(15_000);
  assert.equal((await poll(device)).said, 'token');
  clock.advance(15_000);
  assert.equal((await poll(device)).said, 'bad_verification_code');
  assert.equal((await poll('made up')).said, 'bad_verification_code');
  assert.throws(() => simulator.decideLogin('NOSUCHONE', 'approved'), /NOSUCHONE/);
});

it('tells a login that was declined from one that ran out of time', async (t) => {
  const { clock, code, poll, simulator } = await openFlow(t);
  const [declined, late] = [await code(), await code()];
  simulator.decideLogin(declined.user_code, 'declined');
  assert.equal((await poll(declined.device_code)).said, 'authorization_declined');
  clock.advance(901_000);
  simulator.decideLogin(late.user_code, 'approved');
  assert.equal((await poll(late.device_code)).said, 'expired_token');
});

it('gives tokens with scopes in place of roles, which the API takes for what they are', async (t) => {
  const { code, poll, simulator, cancel, get } = await openFlow(t);
  const { device_code: device, user_code: user } = await code();
  simulator.decideLogin(user, 'approved');
  const tokens = await poll(device);
  const claims = decodeJwt(tokens.access_token);
  assert.deepEqual(
    [claims['scp'], claims['roles'], claims['upn']],
    ['Machine.Isolate Machine.Read', undefined, USER.name],
  );
  assert.equal(decodeJwt(tokens.id_token)['preferred_username'], USER.name);
  assert.deepEqual(JSON.parse(Buffer.from(tokens.client_info, 'base64url').toString()), {
    uid: USER.id,
    utid: simulator.tenantId,
  });
  const token = tokens.access_token;
  assert.equal((await get(`/api/machineactions/${ID}`, { token })).status, 200);
  assert.equal((await cancel(ID, { token })).status, 200);
  simulator.setRoles(['Machine.Read.All']);
  const { device_code: next, user_code: other } = await code();
  simulator.decideLogin(other, 'approved');
  assert.equal((await cancel(ID, { token: (await poll(next)).access_token })).status, 403);
});

it('renews with each refresh token once, and with none that has ended', async (t) => {
  const { code, poll, refresh, simulator } = await openFlow(t);
  const login = async () => {
    const { device_code: device, user_code: user } = await code();
    simulator.decideLogin(user, 'approved');
    return (await poll(device)).refresh_token ?? '';
  };
  const first = await login();
  const second = await refresh(first);
  assert.equal(second.said, 'token');
  assert.notEqual(second.refresh_token, first);
  const again = await refresh(first);
  assert.deepEqual([again.status, again.said], [400, 'invalid_grant']);
  assert.equal((await refresh('made up')).said, 'invalid_grant');
  const third = (await refresh(second.refresh_token ?? '')).refresh_token ?? '';
  simulator.endLogins('expired');
  assert.deepEqual((await refresh(third)).error_codes, [700082]);
  const fourth = await login();
  simulator.endLogins('revoked');
  const revoked = await refresh(fourth);
  assert.deepEqual([revoked.error_codes, revoked.suberror], [[50173], 'bad_token']);
});

it('gives no refresh token that was not asked for, and nothing to an application that is not public', async (t) => {
  const { code, poll, simulator } = await openFlow(t);
  const { device_code: device, user_code: user } = await code();
  simulator.decideLogin(user, 'approved');
  assert.equal((await poll(device, { scope: simulator.scope })).refresh_token, undefined);
  const closed = await openFlow(t, { isPublicClient: false });
  const { device_code: other } = await closed.code();
  assert.deepEqual((await closed.poll(other)).error_codes, [7000218]);
  assert.deepEqual((await closed.refresh('any')).error_codes, [7000218]);
});
