import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { findLeaks, needlesOf } from '../../support/leaks.ts';
import { ROOT, startNode } from '../../support/processes.ts';
import { eventually } from '../../support/wait.ts';
import { KIND, type SeenSpan } from './collector.ts';
import { childOf, isOf, logOf, openScene, type Scene, spansOf, startApiTap } from './scene.ts';

const SERVICE = join(ROOT, 'test/ops/traces/service.ts');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

function runService(scene: Scene, id: string, ...what: string[]) {
  const place = JSON.stringify({ redis: scene.redisUrl, tenant: scene.tenant.label });
  return startNode(SERVICE, [place, id, ...what], { env: scene.otel });
}

const eventsOf = (span: SeenSpan) => span.events.map(({ name }) => name);

test('one trace leads from a service’s own span over the queue to the HTTP call', async (t) => {
  const scene = await openScene(t);
  const tap = await startApiTap(t, scene.simulator.apiUrl);
  const [id = ''] = await scene.addActions(1);
  const worker = scene.startWorker({
    ...scene.otel,
    DEFENDER_API_URL: tap.url,
    OTEL_SERVICE_NAME: 'canceller',
  });
  const service = runService(scene, id);
  assert.equal(await service.exited, 0, service.stderr);
  assert.equal(service.stdout, 'cancelled\n');

  const [undo] = await spansOf(scene, 1, ({ name }) => name === 'undo');
  assert.ok(undo);
  const added = await childOf(scene, undo, 'add cancel.cancel');
  const worked = await childOf(scene, added, 'process cancel');
  const called = await childOf(scene, worked, 'POST /api/machineactions/{id}/cancel');
  const way = [undo, added, worked, called];
  assert.deepEqual(
    way.map(({ kind }) => kind),
    [KIND.internal, KIND.producer, KIND.consumer, KIND.client],
  );
  assert.deepEqual(
    way.map(({ service: name }) => name),
    ['runbook', 'runbook', 'canceller', 'canceller'],
  );
  assert.deepEqual(eventsOf(worked), ['token', 'begin', 'finish']);
  const { attributes } = worked;
  assert.deepEqual(
    [
      attributes['standdown.machine_action.id'],
      attributes['standdown.outcome'],
      attributes['standdown.attempts'],
    ],
    [id, 'cancelled', 1],
  );
  assert.equal(attributes['standdown.tenant'], scene.tenant.label);
  assert.match(String(attributes['standdown.campaign']), /^direct-/);
  assert.deepEqual(
    [attributes['messaging.system'], attributes['messaging.destination.name']],
    ['bullmq', 'cancel'],
  );
  const { attributes: http } = called;
  assert.deepEqual(
    [
      http['http.request.method'],
      http['http.response.status_code'],
      http['url.full'],
      http['server.address'],
    ],
    ['POST', 200, `${tap.url}/api/machineactions/${id}/cancel`, '127.0.0.1'],
  );
  // The worker signed in when it started: that is no part of it.
  const [signIn] = await spansOf(scene, 1, ({ name }) => name === 'POST');
  assert.notEqual(signIn?.traceId, worked.traceId);
  assert.match(String(signIn?.attributes['url.full']), /^https:.*\/token$/);

  const decided = await eventually(() => {
    const line = logOf(worker).find(({ msg }) => msg === 'action finished');
    assert.ok(line);
    return line;
  });
  assert.deepEqual(
    [decided['id'], decided['trace_id'], decided['span_id']],
    [id, worked.traceId, worked.spanId],
  );
  const started = logOf(worker).find(({ msg }) => msg === 'worker started');
  assert.ok(started && !('trace_id' in started));

  assert.equal(tap.seen.length, 1);
  const ours = [
    'authorization',
    'accept',
    'accept-encoding',
    'user-agent',
    'content-type',
    'host',
    'connection',
    'content-length',
  ];
  assert.deepEqual(
    Object.keys(tap.seen[0] ?? {}).filter((name) => !ours.includes(name)),
    [],
  );
});

test('docs/tracing.md names what spans and events are called, and no other', async (t) => {
  const text = await readFile(join(ROOT, 'docs/tracing.md'), 'utf8');
  const source = await Promise.all(
    ['worker/tracing.ts', 'ops/traces/exchange.ts', 'ops/traces/submit.ts', 'ops/traces/open.ts'].map(
      (name) => readFile(join(ROOT, 'src', name), 'utf8'),
    ),
  );
  const namesIn = (words: string) => [...new Set(words.match(/standdown\.[a-z_.]+\w/g))].sort();
  assert.deepEqual(namesIn(text), namesIn(source.join('')));
  assert.ok(namesIn(text).length > 10);
  t.diagnostic(namesIn(text).join(' '));
});

test('nothing that is exported holds a comment, a secret or a token', async (t) => {
  const scene = await openScene(t);
  const [id = '', other = ''] = await scene.addActions(2);
  const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=the-collectors-own-key' };
  const args = ['submit', '-', '--campaign', 'undo', '--comment', 'words-of-the-operator', '--yes'];
  const submitted = await scene.run(args, { ...scene.otel, ...headers }, `${other}\n`);
  assert.equal(submitted.code, 0, submitted.stderr);
  const worker = scene.startWorker({ ...scene.otel, ...headers, LOG_LEVEL: 'trace' });
  const service = runService(scene, id);
  assert.equal(await service.exited, 0, service.stderr);
  await spansOf(scene, 1, isOf(id));
  await spansOf(scene, 1, isOf(other));
  const text = scene.collector.requests.map(({ body }) => body.toString('latin1')).join('\n');
  assert.ok(text.includes(id), 'the search finds what is there');
  const needles = [
    ...needlesOf('the client secret', scene.env['AZURE_CLIENT_SECRET'] ?? ''),
    ...needlesOf('the collector’s key', 'the-collectors-own-key'),
    ...needlesOf('a comment', 'a comment that nobody else sees'),
    ...needlesOf('a comment', 'words-of-the-operator'),
    { name: 'a token', text: 'eyJ' },
    { name: 'a header', text: 'Bearer' },
  ];
  assert.deepEqual(findLeaks([{ where: 'what is exported', text }], needles), []);
  assert.ok(!worker.stderr.includes('the-collectors-own-key'));
  assert.ok(
    scene.collector.requests.some((request) => request.headers['api-key'] === 'the-collectors-own-key'),
  );
});

test('each id of a campaign has a trace of its own, linked to the submit', async (t) => {
  const scene = await openScene(t);
  const ids = await scene.addActions(3);
  const args = ['submit', '-', '--campaign', 'undo', '--comment', 'x', '--yes'];
  const submitted = await scene.run(args, scene.otel, ids.join('\n'));
  assert.equal(submitted.code, 0, submitted.stderr);
  const [submit] = await spansOf(scene, 1, ({ name }) => name === 'submit');
  assert.deepEqual(
    [submit?.attributes['standdown.campaign'], submit?.attributes['standdown.accepted'], submit?.service],
    ['undo', 3, 'standdown'],
  );
  const [byService = ''] = await scene.addActions(1);
  const service = runService(scene, byService, 'submit');
  assert.equal(await service.exited, 0, service.stderr);
  const [other] = await spansOf(scene, 1, (span) => span.name === 'submit' && span.service === 'runbook');

  scene.startWorker();
  const worked = await spansOf(scene, 4, ({ name }) => name === 'process cancel-campaign');
  assert.equal(new Set(worked.map(({ traceId }) => traceId)).size, 4);
  for (const id of [...ids, byService]) {
    const [span] = worked.filter(isOf(id));
    const from = id === byService ? other : submit;
    assert.equal(span?.parentSpanId, '');
    assert.deepEqual(span.links, [{ traceId: from?.traceId, spanId: from?.spanId }]);
    await childOf(scene, span, 'POST /api/machineactions/{id}/cancel');
  }
});

test('an entry of the inbox brings its trace along, where it is one', async (t) => {
  const scene = await openScene(t);
  const [first = '', second = '', third = ''] = await scene.addActions(3);
  const { redis, keys } = scene.tenant;
  const add = (id: string, ...more: string[]) =>
    redis.xadd(keys.inbox, '*', 'machineActionId', id, 'comment', 'x', ...more);
  await add(first, 'traceparent', `00-${TRACE}-${PARENT}-01`);
  await add(second, 'traceparent', 'no trace', 'traceparent', Buffer.of(0xff).toString('latin1'));
  await add(third, 'traceparent', `00-${TRACE}-${PARENT}-01`, 'campaign', 'entries');
  scene.startWorker();
  const [own] = await spansOf(scene, 1, isOf(first));
  assert.deepEqual([own?.traceId, own?.parentSpanId, own?.name], [TRACE, PARENT, 'process cancel']);
  const [without] = await spansOf(scene, 1, isOf(second));
  assert.deepEqual([without?.parentSpanId, without?.links], ['', []]);
  const [linked] = await spansOf(scene, 1, isOf(third));
  assert.deepEqual([linked?.parentSpanId, linked?.links], ['', [{ traceId: TRACE, spanId: PARENT }]]);
});

test('a hold is told with its reason, and the outcome in the same trace', async (t) => {
  const scene = await openScene(t);
  const [id = ''] = await scene.addActions(1);
  const fault = { kind: 'status', status: 429, retryAfter: 2 } as const;
  await scene.simulator.setFaults([{ operation: 'cancel', times: 1, fault }]);
  const { redis, keys } = scene.tenant;
  const trace = ['traceparent', `00-${TRACE}-${PARENT}-01`];
  await redis.xadd(keys.inbox, '*', 'machineActionId', id, 'comment', 'x', ...trace);
  // A penalty lasts no longer than the longest window.
  scene.startWorker({ ...scene.otel, RATE_LIMITS: '100000/1m' });
  const [last] = await spansOf(scene, 1, (span) => span.attributes['standdown.outcome'] === 'cancelled');
  assert.equal(last?.traceId, TRACE);
  const worked = scene.collector.spans.filter(isOf(id));
  assert.ok(worked.length > 1);
  assert.ok(worked.every(({ traceId, parentSpanId }) => traceId === TRACE && parentSpanId === PARENT));
  const held = worked.flatMap(({ events }) => events).find(({ name }) => name === 'hold');
  assert.equal(held?.attributes['standdown.reason'], 'penalty');
  assert.ok(Number(held?.attributes['standdown.wait_ms']) > 0);
  assert.ok(worked.some(({ attributes }) => attributes['standdown.disposition'] === 'hold'));
  const calls = scene.collector.spans.filter(({ name }) => name.startsWith('POST /'));
  assert.deepEqual(
    calls.map(({ traceId, status, attributes }) => [
      traceId,
      status,
      attributes['http.response.status_code'],
      attributes['error.type'],
    ]),
    [
      [TRACE, 2, 429, '429'],
      [TRACE, 0, 200, undefined],
    ],
  );
});
