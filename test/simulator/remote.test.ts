import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { it, type TestContext } from 'node:test';
import { Agent } from 'undici';
import {
  connectSimulator,
  makeActions,
  type PlainSimulatorOptions,
  type RemoteSimulator,
  type SimulatorAddresses,
} from '../../src/simulator/index.ts';
import { ask, COMMENT, type ErrorBody, fetchToken, ID, makeDir, OTHER_ID, startBench } from './support.ts';

const PROCESS = new URL('../../src/simulator/process.ts', import.meta.url).pathname;

interface Started {
  child: ChildProcess;
  addresses: SimulatorAddresses;
}

async function startProcess(t: TestContext, options: Partial<PlainSimulatorOptions> = {}): Promise<Started> {
  const dir = await makeDir(t);
  const child = spawn(process.execPath, [PROCESS, JSON.stringify({ dir, ...options })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface(child.stdout), 'line');
  return { child, addresses: JSON.parse(String(line)) as SimulatorAddresses };
}

async function connect(t: TestContext, apiUrl: string): Promise<RemoteSimulator> {
  const remote = await connectSimulator(apiUrl);
  t.after(() => remote.close());
  return remote;
}

function clientOf(t: TestContext, { apiUrl }: SimulatorAddresses) {
  const dispatcher = new Agent();
  t.after(() => dispatcher.destroy());
  return async (token: string, id: string) =>
    ask(`${apiUrl}/api/machineactions/${id}/cancel`, {
      dispatcher,
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: COMMENT,
    });
}

it('runs as a process that is steered and watched over HTTP', async (t) => {
  const { addresses } = await startProcess(t, { limits: { cancel: [{ max: 3, windowMs: 60_000 }] } });
  const remote = await connect(t, addresses.apiUrl);
  const { apiUrl, authorityUrl, tenantId, clientId, clientSecret, scope, caFile } = remote;
  assert.deepEqual({ apiUrl, authorityUrl, tenantId, clientId, clientSecret, scope, caFile }, addresses);
  const cancel = clientOf(t, addresses);
  const token = await fetchToken(addresses);

  await remote.addActions([{ id: ID }, { id: OTHER_ID }]);
  assert.equal((await remote.action(ID))?.status, 'Pending');
  assert.equal(await remote.action('none'), null);
  await remote.setFaults([{ fault: { kind: 'status', status: 500 } }]);
  assert.equal((await cancel(token, ID)).status, 500);
  await remote.setFaults([]);
  await remote.addFault({ times: 1, fault: { kind: 'status', status: 502 } });
  assert.equal((await cancel(token, ID)).status, 502);
  assert.equal((await cancel(token, ID)).status, 200);
  assert.equal((await cancel(token, OTHER_ID)).status, 429);
  await remote.setLimits({ cancel: [{ max: 9, windowMs: 60_000 }] });
  assert.equal(await remote.spend('cancel', 20), 9);
  assert.equal((await cancel(token, OTHER_ID)).status, 429);
  await remote.setLimits({ cancel: [] });
  await remote.setBehaviour({ cancelled: 'later' });
  assert.equal((await cancel(token, OTHER_ID)).json<{ status: string }>().status, 'Pending');
  await remote.setRoles(['Machine.Read.All']);
  assert.equal((await cancel(await fetchToken(addresses), OTHER_ID)).status, 403);
  await remote.revokeTokens();
  assert.equal((await cancel(token, OTHER_ID)).status, 401);

  const calls = await remote.calls();
  assert.deepEqual(
    calls.map((call) => call.status),
    [200, 500, 502, 200, 429, 429, 200, 200, 403, 401],
  );
  assert.deepEqual(await remote.calls(8), calls.slice(8));
  assert.deepEqual(await remote.callsFor(ID.toUpperCase()), calls.slice(1, 4));
  assert.deepEqual(await remote.refusals(), calls.slice(4, 6));
  assert.equal(await remote.peak('cancel', 60_000), 6);
  const summary = await remote.summary(60_000);
  assert.deepEqual(summary.operations.cancel.peaks, [
    { windowMs: 60_000, max: null, counted: 6, arrivals: 8 },
  ]);
  assert.deepEqual((await remote.summary()).operations.cancel.peaks, []);

  await remote.reset();
  assert.deepEqual([await remote.calls(), await remote.action(ID)], [[], null]);
  assert.equal((await remote.summary()).operations.cancel.peaks[0]?.max, 3);
});

it('takes tens of thousands of actions', async (t) => {
  const { simulator } = await startBench(t);
  const remote = await connect(t, simulator.apiUrl);
  const { actions } = makeActions({ count: 25_001 });
  await remote.addActions(actions);
  assert.deepEqual(simulator.summary().actions, { Pending: 25_002 });
  assert.deepEqual(await remote.action(actions[25_000]?.id ?? ''), actions[25_000]);
});

it('refuses controls that make no sense, by name', async (t) => {
  const { simulator, agent } = await startBench(t);
  const send = (path: string, body: string) =>
    ask(`${simulator.apiUrl}/sim${path}`, { dispatcher: agent, method: 'POST', body });
  const bad: [path: string, body: string, named: RegExp][] = [
    ['/actions', '[{"status":"Pending"}]', /id/],
    ['/actions', '[{"id":"x","sttatus":"Pending"}]', /sttatus/],
    ['/faults', '{}', /array/],
    ['/faults/add', '{"fault":{"kind":"explode"}}', /kind/],
    ['/faults/add', '{"rate":2,"fault":{"kind":"hang"}}', /rate/],
    ['/limits', '{"cancel":[{"max":0,"windowMs":1}]}', /max/],
    ['/limits', 'nonsense', /./],
    ['/behaviour', '{"finalState":400}', /finalState/],
    ['/roles', '"Machine.Scan"', /array/],
    ['/spend', '{"operation":"token","n":1}', /operation/],
  ];
  for (const [path, body, named] of bad) {
    const reply = await send(path, body);
    assert.deepEqual([path, reply.status], [path, 400]);
    assert.match(reply.json<ErrorBody>().error.message, named);
  }
  assert.equal((await send('/nothing', '{}')).status, 404);
  assert.equal(simulator.calls().length, 1);
  const remote = await connect(t, simulator.apiUrl);
  await assert.rejects(remote.spend('cancel', -1), { code: 'INTERNAL' });
});

for (const how of ['SIGTERM', 'stdin'] as const) {
  it(`stops cleanly at the end of ${how}, though a call hangs`, async (t) => {
    const { child, addresses } = await startProcess(t, {
      actions: [{ id: ID }],
      faults: [{ operation: 'cancel', fault: { kind: 'hang' } }],
    });
    const hanging = assert.rejects(clientOf(t, addresses)(await fetchToken(addresses), ID));
    const remote = await connect(t, addresses.apiUrl);
    while ((await remote.callsFor(ID)).length === 0);
    assert.ok(existsSync(addresses.caFile));
    if (how === 'SIGTERM') child.kill('SIGTERM');
    else child.stdin?.end();
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    await hanging;
    assert.equal(existsSync(addresses.caFile), false);
  });
}

it('says what is wrong with its options and does not start', async () => {
  for (const [text, named] of [
    ['', /not JSON/],
    ['{}', /dir/],
    ['{"dir":"x","limits":{"mode":"leaky"}}', /mode/],
  ] as const) {
    const child = spawn(process.execPath, [PROCESS, text], { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
    assert.match(said, named);
  }
});
