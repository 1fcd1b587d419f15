import assert from 'node:assert/strict';
import { it } from 'node:test';
import { generateKeyPair, SignJWT } from 'jose';
import { CANCEL_ROLES, startSimulator } from '../../src/simulator/index.ts';
import { createTestClock, type ErrorBody, fetchToken, ID, makeDir, OTHER_ID, startBench } from './support.ts';

const GET_PATH = `/api/machineactions/${ID}`;

it('answers 401 without a token, or with one that is none', async (t) => {
  const { simulator, token, cancel } = await startBench(t);
  const [head, payload, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString());
  const { privateKey } = await generateKeyPair('RS256');
  const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(privateKey);
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
  const promoted = Buffer.from(JSON.stringify({ ...claims, roles: ['Machine.Scan'] })).toString('base64url');
  const bad = [null, '', 'nonsense', forged, unsigned, `${head}.${promoted}.${signature}`];
  for (const own of bad) {
    const reply = await cancel(ID, { token: own });
    assert.deepEqual([own, reply.status, reply.json<ErrorBody>().error.code], [own, 401, 'Unauthorized']);
    assert.match(String(reply.headers['www-authenticate']), /^Bearer/);
  }
  assert.ok(
    simulator.callsFor(ID).every((call) => call.verdict === 'unauthorized' && call.tokenJti === null),
  );
  assert.equal(simulator.callsFor(ID).length, bad.length);
  assert.equal(simulator.action(ID)?.status, 'Pending');
});

it('answers 401 for a token of the same tenant, client and scope that another simulator signed', async (t) => {
  const { simulator, cancel } = await startBench(t);
  const { tenantId, clientId, scope } = simulator;
  const other = await startSimulator({ dir: await makeDir(t), tenantId, clientId, scope });
  t.after(() => other.stop());
  assert.equal((await cancel(ID, { token: await fetchToken(other) })).status, 401);
});

it('answers 401 from the second a token expires, also when it has been good before', async (t) => {
  const clock = createTestClock();
  const { cancel, get, simulator } = await startBench(t, { clock, tokenLifetimeMs: 60_000 });
  assert.equal((await get(GET_PATH)).status, 200);
  clock.advance(58_999);
  assert.equal((await get(GET_PATH)).status, 200);
  clock.advance(1_001);
  assert.equal((await get(GET_PATH)).status, 401);
  assert.equal((await cancel()).status, 401);
  const fresh = await fetchToken(simulator);
  assert.equal((await cancel(ID, { token: fresh })).status, 200);
  clock.advance(61_000);
  // Never seen before it expired.
  const unused = await fetchToken(simulator);
  clock.advance(61_000);
  assert.equal((await get(GET_PATH, { token: unused })).status, 401);
});

it('answers 401 for revoked tokens, and takes new ones', async (t) => {
  const { simulator, cancel, get } = await startBench(t);
  const unused = await fetchToken(simulator);
  assert.equal((await get(GET_PATH)).status, 200);
  simulator.revokeTokens();
  assert.equal((await get(GET_PATH)).status, 401);
  assert.equal((await cancel(ID, { token: unused })).status, 401);
  assert.equal((await cancel(ID, { token: await fetchToken(simulator) })).status, 200);
});

it('lets each cancel permission cancel and none of them read', async (t) => {
  const { simulator, cancel, get } = await startBench(t, { limits: { cancel: [], get: [] } });
  assert.ok(CANCEL_ROLES.includes('Machine.CollectForensic'));
  assert.ok(CANCEL_ROLES.includes('Machine.CollectForensics'));
  assert.equal(CANCEL_ROLES.length, 8);
  for (const role of CANCEL_ROLES) {
    simulator.setRoles([role]);
    const token = await fetchToken(simulator);
    simulator.addActions([{ id: ID }]);
    assert.deepEqual([role, (await cancel(ID, { token })).status], [role, 200]);
    assert.deepEqual([role, (await get(GET_PATH, { token })).status], [role, 403]);
    assert.deepEqual([role, (await get('/api/machineactions', { token })).status], [role, 403]);
  }
});

it('lets each read permission read and none of them cancel', async (t) => {
  const { simulator, cancel, get } = await startBench(t);
  for (const role of ['Machine.Read.All', 'Machine.ReadWrite.All']) {
    simulator.setRoles([role]);
    const token = await fetchToken(simulator);
    const reply = await cancel(ID, { token });
    assert.deepEqual([reply.status, reply.json<ErrorBody>().error.code], [403, 'Forbidden']);
    assert.equal((await get(GET_PATH, { token })).status, 200);
    assert.equal((await get('/api/machineactions', { token })).status, 200);
  }
  assert.equal(simulator.callsFor(ID).filter((call) => call.verdict === 'forbidden').length, 2);
  assert.equal(simulator.action(ID)?.status, 'Pending');
});

it('judges by the roles in the token, not by those set since', async (t) => {
  const { simulator, cancel } = await startBench(t);
  simulator.setRoles(['Machine.Read.All']);
  assert.equal((await cancel()).status, 200);
});

it('asks for the permission of the action’s type when told so', async (t) => {
  const actions = [
    { id: ID, type: 'Isolate' },
    { id: OTHER_ID, type: 'CollectInvestigationPackage' },
  ];
  const { simulator, cancel } = await startBench(t, {
    actions,
    behaviour: { permissionMustMatchType: true },
  });
  const statusWith = async (role: string, id: string) => {
    simulator.setRoles([role]);
    return (await cancel(id, { token: await fetchToken(simulator) })).status;
  };
  assert.equal(await statusWith('Machine.Scan', ID), 403);
  assert.equal(simulator.callsFor(ID)[0]?.verdict, 'forbidden');
  assert.equal(await statusWith('Machine.Isolate', ID), 200);
  assert.equal(await statusWith('Machine.Isolate', OTHER_ID), 403);
  assert.equal(await statusWith('Machine.CollectForensic', OTHER_ID), 200);
  simulator.addActions([{ id: OTHER_ID, type: 'SomethingNew' }]);
  assert.equal(await statusWith('Machine.Isolate', OTHER_ID), 200);
});
