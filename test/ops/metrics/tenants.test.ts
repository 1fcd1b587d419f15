import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Process } from '../../support/processes.ts';
import { ROOT, startProgram } from '../../support/processes.ts';
import { eventually } from '../../support/wait.ts';
import { openEstate } from '../../tenants/support.ts';
import { type Sample, sampled, scrape } from './scrape.ts';

async function portOf(worker: Pick<Process, 'stderr'>): Promise<string> {
  return eventually(() => {
    const [, port] = /"port":(\d+)/.exec(worker.stderr) ?? [];
    assert.ok(port, worker.stderr);
    return port;
  });
}

const of = (samples: readonly Sample[], tenant: string) =>
  samples.filter(({ labels }) => labels['tenant'] === tenant);

test('each tenant has its own series, few of them, and takes them along', async (t) => {
  const estate = await openEstate(t, 2, '1000/1s,5000/1h');
  const { entry, write, startWorker, idsFor, cli } = estate;
  await write([entry(0), entry(1)]);
  const { path } = await idsFor(20);
  const { code, stderr } = await cli([
    ...['submit', path, '--campaign', 'undo', '--comment', 'x', '--yes', '--tenant', 'tenant-2'],
  ]);
  assert.equal(code, 0, stderr);
  const worker = startWorker({ HEALTH_PORT: '0' });
  const port = await portOf(worker);
  await eventually(async () => {
    const seen = await scrape(port);
    assert.equal(sampled(seen, 'standdown_requests_total', { tenant: 'tenant-2', outcome: 'cancelled' }), 20);
    assert.equal(sampled(seen, 'standdown_requests_total', { tenant: 'tenant-1', outcome: 'cancelled' }), 0);
    assert.equal(sampled(seen, 'standdown_redis_read_ok', { tenant: 'tenant-1' }), 1);
    assert.equal(sampled(seen, 'standdown_tenant_ready', { tenant: 'tenant-1' }), 1);
    const series = of(seen, 'tenant-2').length;
    assert.ok(series > 50 && series < 75, `${series}`);
    t.diagnostic(`${series} series of a tenant, ${of(seen, 'tenant-1').length} of an idle one`);
  });

  await write([entry(0)]);
  await eventually(async () => {
    const seen = await scrape(port);
    assert.deepEqual(of(seen, 'tenant-2'), []);
    assert.ok(of(seen, 'tenant-1').length > 50);
  });

  await write([entry(0), entry(1)]);
  await eventually(async () => {
    const seen = await scrape(port);
    assert.equal(sampled(seen, 'standdown_requests_total', { tenant: 'tenant-2', outcome: 'cancelled' }), 0);
  });
  worker.stop();
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('a tenant that cannot be started is shown as not ready', async (t) => {
  const estate = await openEstate(t, 2, '1000/1s');
  const { entry, write, startWorker, redis } = estate;
  await write([entry(0), entry(1)]);
  // Of a version that nobody knows.
  await redis.admin.hset('{standdown:tenant-2}:state', 'version', 99);
  const port = await portOf(startWorker({ HEALTH_PORT: '0' }));
  await eventually(async () => {
    const seen = await scrape(port);
    assert.equal(sampled(seen, 'standdown_tenant_ready', { tenant: 'tenant-1' }), 1);
    assert.equal(sampled(seen, 'standdown_tenant_ready', { tenant: 'tenant-2' }), 0);
  });
});

test('metrics are told while Redis is silent, without its gauges, and with them afterwards', async (t) => {
  const estate = await openEstate(t, 2, '1000/1s');
  await estate.write([estate.entry(0), estate.entry(1)]);
  const port = await portOf(estate.startWorker({ HEALTH_PORT: '0' }));
  const ok = async (value: number, others: boolean) => {
    const seen = await scrape(port);
    assert.equal(sampled(seen, 'standdown_redis_read_ok', { tenant: 'tenant-1' }), value);
    assert.equal(sampled(seen, 'standdown_pace_ratio', { tenant: 'tenant-1' }) !== undefined, others);
    assert.equal(
      sampled(seen, 'standdown_requests_total', { tenant: 'tenant-1', outcome: 'cancelled' }),
      0,
      'what the worker counts itself is there',
    );
  };
  await eventually(() => ok(1, true));
  estate.redis.child.kill('SIGSTOP');
  try {
    // It stays silent all the while: an answer that waited for it would never come.
    await eventually(() => ok(0, false));
    await ok(0, false);
  } finally {
    estate.redis.child.kill('SIGCONT');
  }
  await eventually(() => ok(1, true));
});

test('without HEALTH_PORT nothing of it is loaded', async (t) => {
  const estate = await openEstate(t, 1, '1000/1s');
  await estate.write([estate.entry(0)]);
  const hook = join(ROOT, 'test/producer/support/modules.ts');
  const child = startProgram(process.execPath, ['--import', hook, join(ROOT, 'src/cli.ts'), 'worker'], {
    env: estate.env,
  });
  await eventually(() => assert.match(child.stderr, /worker started/));
  child.kill('SIGTERM');
  assert.equal(await child.exited, 0, child.stderr);
  const modules = child.stderr.split('\n').filter((line) => line.startsWith('file:'));
  assert.ok(
    modules.some((url) => url.endsWith('/src/app/worker.ts')),
    'the hook has seen what was loaded',
  );
  const isOfIt = (url: string) => /prom-client|\/src\/ops\/metrics\//.test(url);
  assert.ok(isOfIt(import.meta.resolve('prom-client')));
  assert.ok(isOfIt(import.meta.resolve('../../../src/ops/metrics/metrics.ts')));
  assert.deepEqual(modules.filter(isOfIt), []);
});
