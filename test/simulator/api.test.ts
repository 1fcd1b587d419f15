import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { it } from 'node:test';
import { type MachineAction, makeActions } from '../../src/simulator/index.ts';
import { ask, COMMENT, type ErrorBody, ID, type ListBody, OTHER_ID, startBench, until } from './support.ts';

const FIELDS = [
  'id',
  'type',
  'title',
  'scope',
  'requestor',
  'requestorComment',
  'status',
  'machineId',
  'computerDnsName',
  'creationDateTimeUtc',
  'lastUpdateDateTimeUtc',
  'cancellationRequestor',
  'cancellationComment',
  'cancellationDateTimeUtc',
  'errorHResult',
  'externalId',
  'requestSource',
  'commands',
  'relatedFileInfo',
  'troubleshootInfo',
];

it('cancels a pending action and says so in the object', async (t) => {
  const { simulator, cancel } = await startBench(t);
  const reply = await cancel(ID.toUpperCase());
  assert.equal(reply.status, 200);
  assert.match(String(reply.headers['content-type']), /^application\/json/);
  const body = reply.json<MachineAction & { '@odata.context': string }>();
  assert.deepEqual(Object.keys(body).sort(), ['@odata.context', ...FIELDS].sort());
  assert.equal(body['@odata.context'], `${simulator.apiUrl}/api/$metadata#MachineActions/$entity`);
  assert.deepEqual(
    [body.id, body.status, body.cancellationComment, body.cancellationRequestor],
    [ID, 'Cancelled', 'Started by mistake', simulator.clientId],
  );
  assert.equal(body.cancellationDateTimeUtc, body.lastUpdateDateTimeUtc);
  assert.equal(simulator.action(ID)?.status, 'Cancelled');
});

it('gets one action', async (t) => {
  const { get } = await startBench(t);
  const reply = await get(`/api/machineactions/${ID}`);
  assert.equal(reply.status, 200);
  assert.deepEqual([reply.json<MachineAction>().id, reply.json<MachineAction>().status], [ID, 'Pending']);
});

it('answers 404 for an id that no action has, with the call’s correlation id as target', async (t) => {
  const { simulator, cancel, get } = await startBench(t);
  for (const reply of [await cancel(OTHER_ID), await get(`/api/machineactions/${OTHER_ID}`)]) {
    const { error } = reply.json<ErrorBody>();
    assert.deepEqual([reply.status, error.code], [404, 'ResourceNotFound']);
    assert.ok(simulator.callsFor(OTHER_ID).some((call) => call.correlationId === error.target));
  }
});

it('refuses a body without a comment, in the wrong spelling, or that is no JSON', async (t) => {
  const { simulator, cancel } = await startBench(t);
  const bodies = ['', 'nonsense', '{"Comment":"x"', 'null', '[]', '"x"', '{}', '{"comment":"x"}'];
  for (const body of [...bodies, '{"Comment":""}', '{"Comment":"  "}', '{"Comment":5}', '{"Comment":null}']) {
    const reply = await cancel(ID, { body });
    assert.deepEqual(
      [body, reply.status, reply.json<ErrorBody>().error.code],
      [body, 400, 'InvalidRequestBody'],
    );
  }
  const reply = await cancel(ID, { contentType: 'text/plain' });
  assert.equal(reply.status, 400);
  assert.equal(simulator.action(ID)?.status, 'Pending');
  assert.equal((await cancel(ID, { body: '{"Comment":"x","More":1}' })).status, 200);
});

it('answers a body that is too large, and records it', async (t) => {
  const { simulator, cancel } = await startBench(t);
  const reply = await cancel(ID, { body: JSON.stringify({ Comment: 'x'.repeat(2_000_000) }) });
  assert.deepEqual([reply.status, reply.json<ErrorBody>().error.code], [413, 'InvalidRequestBody']);
  assert.partialDeepStrictEqual(simulator.callsFor(ID)[0], { status: 413, counted: true, applied: false });
});

it('lists by filter, page by page, along absolute links', async (t) => {
  const { actions } = makeActions({ count: 25, mix: { pending: 4, failed: 1 } });
  const { simulator, get } = await startBench(t, { actions, pageSize: 8 });
  const found: string[] = [];
  let path: string | undefined = `/api/machineactions?$filter=${encodeURIComponent("status eq 'Pending'")}`;
  const sizes: number[] = [];
  while (path !== undefined) {
    const page: ListBody = (await get(path)).json<ListBody>();
    assert.equal(page['@odata.context'], `${simulator.apiUrl}/api/$metadata#MachineActions`);
    found.push(...page.value.map((action) => action.id));
    sizes.push(page.value.length);
    const next: string | undefined = page['@odata.nextLink'];
    assert.ok(next === undefined || next.startsWith(`${simulator.apiUrl}/api/machineactions?`));
    path = next?.slice(simulator.apiUrl.length);
  }
  assert.deepEqual(sizes, [8, 8, 4]);
  const pending = actions.filter((action) => action.status === 'Pending').map((action) => action.id);
  assert.deepEqual(found, pending);
});

it('keeps to $top and $skip, also across pages', async (t) => {
  const { actions, ids } = makeActions({ count: 25 });
  const { simulator, get } = await startBench(t, { actions, pageSize: 8 });
  const first = (await get('/api/machineactions?$top=10&$skip=3')).json<ListBody>();
  assert.deepEqual(
    first.value.map((action) => action.id),
    ids.slice(3, 11),
  );
  const second = (await get(first['@odata.nextLink']?.slice(simulator.apiUrl.length) ?? '')).json<ListBody>();
  assert.deepEqual(
    second.value.map((action) => action.id),
    ids.slice(11, 13),
  );
  assert.equal(second['@odata.nextLink'], undefined);
  const exact = (await get('/api/machineactions?$top=8')).json<ListBody>();
  assert.deepEqual([exact.value.length, exact['@odata.nextLink']], [8, undefined]);
  const last = (await get('/api/machineactions?$skip=17')).json<ListBody>();
  assert.deepEqual([last.value.length, last['@odata.nextLink']], [8, undefined]);
});

it('answers 400 for a query it does not understand', async (t) => {
  const { get } = await startBench(t);
  const queries = [
    '$top=10001',
    '$top=-1',
    '$top=x',
    '$skip=-1',
    '$filter=status',
    '$orderby=id',
    '$top=1&$top=2',
  ];
  for (const query of queries) {
    const reply = await get(`/api/machineactions?${query}`);
    assert.deepEqual([query, reply.status, reply.json<ErrorBody>().error.code], [query, 400, 'ODataError']);
  }
  assert.equal((await get('/api/machineactions?$top=10000')).status, 200);
});

it('records every call, unknown paths too, and leaves its controls out', async (t) => {
  const { simulator, token, cancel, get, agent } = await startBench(t);
  await cancel();
  await get('/api/machines?x=1');
  await ask(`${simulator.apiUrl}/sim/summary`, { dispatcher: agent, method: 'GET' });
  await ask(`${simulator.apiUrl}/%zz`, { dispatcher: agent, method: 'GET' });
  await get(`/api/machineactions/${ID}?x=2`);
  const [signIn, first, unknown, garbled, last, ...more] = simulator.calls();
  assert.deepEqual(more, []);
  const jti = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti as string;
  assert.deepEqual([signIn?.operation, signIn?.status, signIn?.tokenJti], ['token', 200, jti]);
  assert.partialDeepStrictEqual(first, {
    n: 2,
    operation: 'cancel',
    id: ID,
    path: `/api/machineactions/${ID}/cancel`,
    method: 'POST',
    verdict: 'served',
    status: 200,
    applied: true,
    counted: true,
    tokenJti: jti,
    comment: 'Started by mistake',
  });
  assert.partialDeepStrictEqual(unknown, {
    operation: null,
    path: '/api/machines?x=1',
    verdict: 'unknown-path',
    status: 404,
    counted: false,
  });
  assert.partialDeepStrictEqual(garbled, { path: '/%zz', verdict: 'unknown-path', status: 404 });
  assert.partialDeepStrictEqual(last, { n: 5, operation: 'get', id: ID, comment: null, applied: false });
  assert.ok(last && first && last.arrivedAtMs > first.arrivedAtMs);
  assert.ok(Math.abs(first.wallMs - Date.now()) < 60_000);
  assert.deepEqual(simulator.calls(3), simulator.calls().slice(3));
  assert.equal(simulator.callsFor(ID.toUpperCase()).length, 2);
  assert.equal(simulator.summary().unknownPaths, 2);
});

it('records and counts a call when its headers have been read, though its body never comes', async (t) => {
  const { simulator, token } = await startBench(t);
  const socket = connect(Number(new URL(simulator.apiUrl).port), '127.0.0.1');
  t.after(() => socket.destroy());
  const head = [
    `POST /api/machineactions/${ID}/cancel HTTP/1.1`,
    'Host: simulator',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${COMMENT.length}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  await until(() => simulator.callsFor(ID).length === 1);
  assert.partialDeepStrictEqual(simulator.callsFor(ID)[0], {
    counted: true,
    verdict: 'pending',
    status: null,
  });
  assert.equal(simulator.peak('cancel', 1_000), 1);
  socket.write(COMMENT);
  await until(() => simulator.action(ID)?.status === 'Cancelled');
});
