import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, startProgram } from '../support/processes.ts';
import { openService } from './support/producers.ts';

const HOOK = join(ROOT, 'test/producer/support/modules.ts');
const ENTRY = join(ROOT, 'src/index.ts');

const UNWANTED = [
  ...['@azure/msal-node', 'undici', 'pino', 'pino-pretty', 'fastify', 'commander', 'jose', 'selfsigned'],
  ...['csv-parse', 'csv-stringify', 'cli-table3', 'log-update'],
  ...['@opentelemetry/sdk-trace-base', '@opentelemetry/sdk-trace', '@opentelemetry/core'],
  ...['@opentelemetry/resources', '@opentelemetry/exporter-trace-otlp-http'],
];

const packagesOf = (modules: readonly string[]) =>
  new Set(modules.map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? ''));

async function modulesOf(program: string): Promise<string[]> {
  const child = startProgram(process.execPath, ['--import', HOOK, '--input-type=module', '--eval', program]);
  assert.equal(await child.exited, 0, child.stderr);
  assert.equal(child.stdout, '');
  return child.stderr.trim().split('\n');
}

test('the library brings nothing of a worker along, and does nothing when it is imported', async (t) => {
  // It ends by itself: no timer, no connection.
  const modules = await modulesOf(`import ${JSON.stringify(ENTRY)}`);
  const packages = packagesOf(modules);
  t.diagnostic(`packages: ${[...packages].join(' ').trim()}`);
  for (const wanted of ['bullmq', 'ioredis', 'zod']) assert.ok(packages.has(wanted), wanted);
  for (const name of UNWANTED) assert.ok(!packages.has(name), name);

  const files = modules.flatMap((url) => /\/src\/(.+)$/.exec(url)?.[1] ?? []);
  const rooms = new Set(files.map((file) => file.split('/')[0]));
  t.diagnostic(`rooms: ${[...rooms].join(' ')}`);
  assert.ok(rooms.has('producer'));
  for (const room of ['worker', 'defender', 'simulator', 'cli', 'console', 'files', 'app']) {
    assert.ok(!rooms.has(room), room);
  }
  const ops = files.filter((file) => file.startsWith('ops/') && !file.startsWith('ops/traces/'));
  assert.deepEqual(ops, []);
  for (const file of ['config/config.ts', 'base/log.ts', 'store/redis/embedded.ts']) {
    assert.ok(!modules.some((url) => url.endsWith(`/src/${file}`)), file);
  }
});

test('an urgent submit loads the feeder and its lease besides, and nothing else of a worker', async (t) => {
  const { place, stack } = await openService(t, { worker: false });
  const wish = { campaign: 'undo', comment: 'x', priority: 'urgent' };
  const modules = await modulesOf(`
    import { openProducer } from ${JSON.stringify(ENTRY)};
    await using producer = await openProducer(${JSON.stringify(place)});
    await producer.submit(${JSON.stringify(stack.addActions(3))}, ${JSON.stringify(wish)});
  `);
  const ofWorkers = modules.flatMap((url) => /\/src\/worker\/([^/]+)$/.exec(url)?.[1] ?? []);
  assert.deepEqual(ofWorkers, ['feeder.ts', 'leases.ts']);
  for (const name of UNWANTED) assert.ok(!packagesOf(modules).has(name), name);
  assert.equal(await stack.redis.llen(stack.tenant.keys.lane('cancel-urgent', 'wait')), 3);
});
