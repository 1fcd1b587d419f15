import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type SimulatorOptions, startSimulator } from '../../src/simulator/index.ts';
import {
  ask,
  createTestClock,
  fetchToken,
  ID,
  makeDir,
  OTHER_ID,
  startBench,
  trustingAgent,
  until,
} from './support.ts';

it('listens on the loopback address only, each time on ports of its own', async (t) => {
  const dir = await makeDir(t);
  const [one, two] = [await startSimulator({ dir }), await startSimulator({ dir })];
  t.after(() => Promise.all([one.stop(), two.stop()]));
  assert.match(one.apiUrl, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.match(one.authorityUrl, /^https:\/\/localhost:\d+$/);
  const urls = [one.apiUrl, one.authorityUrl, two.apiUrl, two.authorityUrl, one.caFile, two.caFile];
  assert.equal(new Set(urls).size, urls.length);
  const socket = connect(Number(new URL(one.apiUrl).port), '127.0.0.2');
  t.after(() => socket.destroy());
  await assert.rejects(
    new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)),
    { code: 'ECONNREFUSED' },
  );
});

it('writes the certificate and never its key into the folder it is given', async (t) => {
  const dir = join(await makeDir(t), 'made', 'on demand');
  const simulator = await startSimulator({ dir });
  t.after(() => simulator.stop());
  const files = await readdir(dir);
  assert.deepEqual(
    files.map((name) => join(dir, name)),
    [simulator.caFile],
  );
  const pem = await readFile(simulator.caFile, 'utf8');
  assert.match(pem, /^-----BEGIN [\s\S]*-----END CERTIFICATE-----\n$/);
  assert.match(pem, /^-----BEGIN CERTIFICATE-----/);
  assert.doesNotMatch(pem, /PRIVATE/);
});

it('is trusted by its certificate under both of its names', async (t) => {
  const { simulator } = await startBench(t);
  const dispatcher = await trustingAgent(simulator.caFile);
  t.after(() => dispatcher.destroy());
  const path = `/${simulator.tenantId}/v2.0/.well-known/openid-configuration`;
  for (const host of ['localhost', '127.0.0.1']) {
    const url = `${simulator.authorityUrl.replace('localhost', host)}${path}`;
    assert.equal((await ask(url, { dispatcher, method: 'GET' })).status, 200);
  }
});

it('uses the ports and names it is given, and says so when a port is taken', async (t) => {
  const first = await startBench(t);
  const dir = await makeDir(t);
  const [port, authorityPort] = [first.simulator.apiUrl, first.simulator.authorityUrl].map((url) =>
    Number(new URL(url).port),
  );
  await first.simulator.stop();
  const names = {
    tenantId: 'a-tenant',
    clientId: 'a-client',
    clientSecret: 'a-secret',
    scope: 'https://a/.default',
  };
  const second = await startSimulator({ dir, port: port ?? 0, authorityPort: authorityPort ?? 0, ...names });
  t.after(() => second.stop());
  assert.partialDeepStrictEqual(second, names);
  assert.equal(second.apiUrl, first.simulator.apiUrl);
  assert.ok(await fetchToken(second));
  await assert.rejects(startSimulator({ dir: await makeDir(t), port: port ?? 0 }), { code: 'EADDRINUSE' });
});

const SLOW = { kind: 'slow', ms: 1_000 } as const;
const WAITS: [name: string, options: Partial<SimulatorOptions>][] = [
  ['has a latency', { latencyMs: { min: 1_000, max: 1_000 } }],
  ['is slow', { faults: [{ fault: SLOW }] }],
  ['is still on its way', { faults: [{ counted: false, fault: SLOW }] }],
];
for (const [name, options] of WAITS) {
  it(`stops while a call ${name}: it ends at once and takes no effect any more`, async (t) => {
    const clock = createTestClock();
    const { simulator, cancel } = await startBench(t, { clock, ...options });
    const ended = assert.rejects(cancel());
    await until(() => clock.sleeping() === 1);
    await simulator.stop();
    await ended;
    clock.advance(1_000);
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    assert.equal(simulator.action(ID)?.status, 'Pending');
  });
}

it('stops as often as it is asked, and takes its file away', async (t) => {
  const { simulator, cancel } = await startBench(t);
  await Promise.all([simulator.stop(), simulator.stop()]);
  await simulator.stop();
  await assert.rejects(cancel());
  await assert.rejects(stat(simulator.caFile), { code: 'ENOENT' });
});

it('goes back to its options at a reset, and leaves tokens good', async (t) => {
  const { simulator, cancel, get } = await startBench(t, {
    limits: { cancel: [{ max: 2, windowMs: 60_000 }] },
    behaviour: { finalState: '200' },
    faults: [{ times: 1, fault: { kind: 'status', status: 500 } }],
  });
  const twice = async () => [(await cancel()).status, (await cancel()).status, (await cancel()).status];
  assert.deepEqual(await twice(), [500, 200, 429]);
  simulator.addActions([{ id: OTHER_ID }]);
  simulator.setBehaviour({ finalState: '400', transient404Ms: 60_000 });
  simulator.setRoles([]);
  simulator.setLimits({ cancel: [], code: '429' });
  simulator.reset();
  assert.deepEqual(simulator.calls(), []);
  assert.equal(simulator.action(OTHER_ID), null);
  assert.equal(simulator.action(ID)?.status, 'Pending');
  assert.deepEqual(await twice(), [500, 200, 429]);
  assert.equal(
    (await cancel(ID, { token: await fetchToken(simulator) })).json<{ error: { code: string } }>().error.code,
    'TooManyRequests',
  );
  const reply = await get('/api/machineactions', { token: await fetchToken(simulator) });
  assert.equal(reply.status, 200);
  assert.deepEqual(
    simulator.calls().map((call) => call.n),
    [1, 2, 3, 4, 5, 6, 7],
  );
});

it('shows a copy of an action, so that looking changes nothing', async (t) => {
  const { simulator } = await startBench(t);
  const seen = simulator.action(ID);
  if (seen) seen.status = 'Cancelled';
  assert.equal(simulator.action(ID)?.status, 'Pending');
});
