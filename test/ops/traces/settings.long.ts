import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { wantsTraces } from '../../../src/ops/traces/settings.ts';
import { ROOT, runCli } from '../../support/processes.ts';
import { eventually } from '../../support/wait.ts';
import { isOf, logOf, openScene, type Scene, spansOf } from './scene.ts';

const HOOK = pathToFileURL(join(ROOT, 'test/producer/support/modules.ts')).href;

async function cancelOne(scene: Scene): Promise<string> {
  const [id = ''] = await scene.addActions(1);
  const { redis, keys } = scene.tenant;
  await redis.xadd(keys.inbox, '*', 'machineActionId', id, 'comment', 'x');
  await eventually(async () =>
    assert.match((await redis.get(keys.outcome(id))) ?? '', /"outcome":"cancelled"/),
  );
  return id;
}

test('a worker loads nothing of OpenTelemetry and exports nothing when it is not wanted', async (t) => {
  const scene = await openScene(t);
  const worker = scene.startWorkerProcess({
    ...scene.otel,
    OTEL_SDK_DISABLED: 'TRUE',
    NODE_OPTIONS: `--import=${HOOK}`,
    LOG_LEVEL: 'info',
  });
  await cancelOne(scene);
  worker.kill('SIGTERM');
  assert.equal(await worker.exited, 0, worker.stderr);
  const lines = worker.stderr.split('\n');
  const modules = lines.filter((line) => line.startsWith('file:'));
  assert.ok(
    modules.some((url) => url.endsWith('/src/worker/execute.ts')),
    'the hook has seen what was loaded',
  );
  assert.deepEqual(
    modules.filter(
      (url) => url.includes('@opentelemetry') || /\/telemetry\/(?:open|bullmq|exchange)/.test(url),
    ),
    [],
  );
  const decided = lines.find((line) => line.includes('"msg":"action finished"')) ?? '{}';
  assert.ok('id' in JSON.parse(decided) && !('trace_id' in JSON.parse(decided)));
  assert.deepEqual(scene.collector.requests, []);
});

const URL = 'http://127.0.0.1:4318';
const OFF: [what: string, env: Record<string, string>][] = [
  ['no variable is set', {}],
  ['OTEL_SDK_DISABLED', { OTEL_EXPORTER_OTLP_ENDPOINT: URL, OTEL_SDK_DISABLED: 'TRUE' }],
  ['OTEL_TRACES_EXPORTER=none', { OTEL_EXPORTER_OTLP_ENDPOINT: URL, OTEL_TRACES_EXPORTER: 'none' }],
  ['no endpoint, though a name', { OTEL_SERVICE_NAME: 'canceller', OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
];

for (const [what, env] of OFF) {
  test(`traces are not wanted: ${what}`, () => assert.equal(wantsTraces(env), false));
}

test('the protocol of the standard is protobuf, and an endpoint may be for traces alone', async (t) => {
  const scene = await openScene(t);
  scene.startWorker({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${scene.collector.url}/somewhere/else`,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=by-attributes',
  });
  const id = await cancelOne(scene);
  const [span] = await spansOf(scene, 1, isOf(id));
  assert.equal(span?.service, 'by-attributes');
  assert.equal(span.attributes['standdown.outcome'], 'cancelled');
  assert.equal(span.attributes['standdown.uncertain'], false);
  assert.deepEqual(
    span.events.map(({ name }) => name),
    ['token', 'begin', 'finish'],
  );
  const [request] = scene.collector.requests;
  assert.deepEqual(
    [request?.path, request?.headers['content-type']],
    ['/somewhere/else', 'application/x-protobuf'],
  );
});

test('a sampler of the standard decides; what it leaves out is worked on all the same', async (t) => {
  const scene = await openScene(t);
  const { redis, keys } = scene.tenant;
  const worker = scene.startWorker({
    ...scene.otel,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  });
  await cancelOne(scene);
  const [sampled = ''] = await scene.addActions(1);
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await redis.xadd(keys.inbox, '*', 'machineActionId', sampled, 'comment', 'x', 'traceparent', trace);
  await spansOf(scene, 1, isOf(sampled));
  worker.stop();
  assert.equal(await worker.exited, 0);
  assert.deepEqual(
    [...new Set(scene.collector.spans.map(({ traceId }) => traceId))],
    ['4bf92f3577b34da6a3ce929d0e0e4736'],
  );
});

test('variables may stand in the file of --env-file', async (t) => {
  const scene = await openScene(t);
  const [id = ''] = await scene.addActions(1);
  const { mkdtemp, writeFile } = await import('node:fs/promises');
  const { TEST_DIR } = await import('../../support/redis.ts');
  const file = join(await mkdtemp(join(TEST_DIR, 'env-')), 'otel.env');
  await writeFile(
    file,
    Object.entries(scene.otel)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const args = ['--env-file', file, 'submit', '-', '--campaign', 'undo', '--comment', 'x', '--yes'];
  const { code, stderr } = await runCli(args, { env: scene.env, stdin: id });
  assert.equal(code, 0, stderr);
  await spansOf(scene, 1, ({ name }) => name === 'submit');
});

test('a variable that makes no sense is told of, and the default holds', async (t) => {
  const scene = await openScene(t);
  const worker = scene.startWorker({ ...scene.otel, OTEL_TRACES_SAMPLER: 'sometimes' });
  const id = await cancelOne(scene);
  await spansOf(scene, 1, isOf(id));
  const told = logOf(worker).filter(({ msg }) =>
    /^tracing: OTEL_TRACES_SAMPLER .*sometimes/.test(String(msg)),
  );
  assert.equal(told.length, 1, worker.stderr);
});

test('a protocol that is not spoken is said at the start', async (t) => {
  const scene = await openScene(t);
  const worker = scene.startWorker({ ...scene.otel, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' });
  assert.equal(await worker.exited, 2);
  assert.match(worker.stderr, /^standdown: OTEL_EXPORTER_OTLP_PROTOCOL: unsupported protocol grpc; use .*$/m);
});

for (const manner of ['silent', 500, 'gone'] as const) {
  test(`a collector that is of no use holds nothing up, and is told of: ${manner}`, async (t) => {
    const scene = await openScene(t, manner === 'gone' ? 200 : manner);
    if (manner === 'gone') await scene.collector.close();
    const worker = scene.startWorker({ ...scene.otel, OTEL_EXPORTER_OTLP_TIMEOUT: '1000' });
    await cancelOne(scene);
    const isTold = ({ msg }: Record<string, unknown>) => msg === 'cannot export traces';
    await eventually(() => assert.ok(logOf(worker).some(isTold), worker.stderr));
    await cancelOne(scene);
    worker.stop();
    assert.equal(await worker.exited, 0, worker.stderr);
    assert.equal(logOf(worker).filter(isTold).length, 1);
    assert.ok(logOf(worker).some(({ msg }) => msg === 'worker stopped'));
  });
}

test('a worker that stops does not wait as long for its collector as the exporter would', async (t) => {
  const scene = await openScene(t, 'silent');
  const worker = scene.startWorkerProcess({ ...scene.otel, OTEL_EXPORTER_OTLP_TIMEOUT: '3600000' });
  await cancelOne(scene);
  await eventually(() => assert.ok(scene.collector.requests.length > 0));
  worker.kill('SIGTERM');
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('what is left is sent when a worker stops', async (t) => {
  const scene = await openScene(t);
  const worker = scene.startWorker({ ...scene.otel, OTEL_BSP_SCHEDULE_DELAY: '600000' });
  const id = await cancelOne(scene);
  assert.deepEqual(scene.collector.spans, []);
  worker.stop();
  assert.equal(await worker.exited, 0);
  assert.equal(scene.collector.spans.filter(isOf(id)).length, 1);
});
