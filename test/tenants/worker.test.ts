import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { keysFor } from '../../src/store/keys.ts';
import type { Process } from '../support/processes.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { type Estate, openEstate } from './support.ts';

const LIMITS = '1000/1s';

async function submit(
  { cli, idsFor, labels }: Estate,
  index: number,
  count: number,
  campaign = 'undo',
): Promise<string[]> {
  const { ids, path } = await idsFor(count);
  const args = [
    'submit',
    path,
    '--campaign',
    campaign,
    '--comment',
    'x',
    '--yes',
    '--tenant',
    labels[index] ?? '',
  ];
  const { code, stderr } = await cli(args);
  assert.equal(code, 0, stderr);
  return ids;
}

/** Of which tenants' applications each id was called. */
async function calledFor({ simulator }: Estate, ids: readonly string[]): Promise<(string | null)[]> {
  const calls = (await simulator.calls()).filter(
    ({ operation, id }) => operation === 'cancel' && ids.includes(id ?? ''),
  );
  return [...new Set(calls.map(({ tenantId }) => tenantId))];
}

const isCancel = ({ operation }: { operation: string | null }) => operation === 'cancel';

const said = (worker: Pick<Process, 'stderr'>, pattern: RegExp) =>
  eventually(() => assert.match(worker.stderr, pattern));

test('one worker works for all tenants in the file, each with its own sign-in', async (t) => {
  const estate = await openEstate(t, 3, LIMITS);
  const { entry, write, tenantIds, startWorker, openOf } = estate;
  await write([entry(0), entry(1), entry(2)]);
  const ids = [];
  for (const index of [0, 1, 2]) ids.push(await submit(estate, index, 40));
  const worker = startWorker();
  for (const [index, its] of ids.entries()) {
    await eventually(async () => assert.equal(await openOf(index), 0, worker.stderr));
    assert.deepEqual(await calledFor(estate, its), [tenantIds[index]]);
  }
  assert.match(worker.stderr, /"tenant":"tenant-2".*worker started/);
  worker.stop();
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('a tenant that cannot sign in holds only itself', async (t) => {
  const estate = await openEstate(t, 3, LIMITS);
  const { entry, write, startWorker, openOf } = estate;
  await write([entry(0), { ...entry(1), AZURE_TENANT_ID: randomUUID() }, entry(2)]);
  for (const index of [0, 1, 2]) await submit(estate, index, 20);
  const worker = startWorker({ HEALTH_PORT: '0' });
  await eventually(async () => assert.equal(await openOf(0), 0, worker.stderr));
  await eventually(async () => assert.equal(await openOf(2), 0, worker.stderr));
  assert.equal(await openOf(1), 20);
  const [, port] = /"port":(\d+)/.exec(worker.stderr) ?? [];
  await eventually(async () => {
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    assert.equal(ready.status, 200, 'one of three is no reason to be taken out of service');
    const { tenants } = (await ready.json()) as {
      tenants: { running: number; trouble: Record<string, string> };
    };
    assert.equal(tenants.running, 3);
    assert.deepEqual(Object.keys(tenants.trouble), ['tenant-2']);
  });
  await eventually(async () => {
    const { stdout } = await estate.cli(['status', 'undo', '--json', '--tenant', 'tenant-2']);
    const status = JSON.parse(stdout) as { open: number; hold: { reason: string } | null };
    assert.deepEqual([status.open, status.hold?.reason], [20, 'sign-in']);
  });
});

test('tenants are added, changed and removed while the worker runs', async (t) => {
  const estate = await openEstate(t, 3, LIMITS);
  const { entry, write, startWorker, openOf } = estate;
  await write([entry(0)]);
  const worker = startWorker();
  await said(worker, /"tenants":1/);

  await write([entry(0), entry(1)]);
  await said(worker, /"added":\["tenant-2"\],"changed":\[\],"removed":\[\]/);
  await submit(estate, 1, 20);
  await eventually(async () => assert.equal(await openOf(1), 0, worker.stderr));

  await writeFile(estate.file, '[{');
  await said(worker, /tenants file is invalid; tenants are unchanged/);
  assert.doesNotMatch(worker.stderr, /removed":\["/);
  await submit(estate, 1, 5, 'later');
  await eventually(async () => assert.equal(await openOf(1, 'later'), 0, worker.stderr));

  // By a signal, without a change of the file: what a secret's own file holds may be new.
  await write([entry(0), { ...entry(1), CONCURRENCY: '3' }]);
  worker.hangUp();
  await said(worker, /"changed":\["tenant-2"\]/);

  await write([entry(0)]);
  await said(worker, /"removed":\["tenant-2"\]/);
  await write([entry(0), entry(1)]);
  await eventually(() => assert.equal(worker.stderr.match(/"added":\["tenant-2"\]/g)?.length, 2));
  worker.stop();
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('a tenant that is removed is called for no more; what is open stays open', async (t) => {
  const estate = await openEstate(t, 2, '10/1s', { latencyMs: { min: 50, max: 50 } });
  const { entry, write, startWorker, simulator, openOf } = estate;
  await write([entry(0), entry(1)]);
  const ids = await submit(estate, 1, 200);
  const worker = startWorker();
  await eventually(async () => assert.ok((await openOf(1)) < 190, worker.stderr));
  await write([entry(0)]);
  await said(worker, /"removed":\["tenant-2"\]/);
  const before = (await simulator.calls()).length;
  await submit(estate, 0, 10);
  await eventually(async () => assert.equal(await openOf(0), 0, worker.stderr));
  const after = (await simulator.calls()).slice(before).filter(({ id }) => ids.includes(id ?? ''));
  assert.deepEqual(after, []);
  await write([entry(0), entry(1)]);
  assert.ok((await openOf(1)) > 100);
});

test('a worker that stops begins with no tenant anew, whatever becomes of the file', async (t) => {
  const estate = await openEstate(t, 2, LIMITS, { latencyMs: { min: 3_000, max: 3_000 } });
  const { entry, write, startWorker, simulator } = estate;
  await write([entry(0), entry(1)]);
  for (const index of [0, 1]) await submit(estate, index, 100);
  const worker = startWorker({ CONCURRENCY: '2' });
  await eventually(async () => assert.ok((await simulator.calls()).length >= 4, worker.stderr));
  worker.stop();
  await said(worker, /worker stopping/);
  const before = (await simulator.calls()).length;
  worker.hangUp();
  await write([{ ...entry(0), CONCURRENCY: '3' }, entry(1)]);
  assert.equal(await worker.exited, 0, worker.stderr);
  assert.doesNotMatch(worker.stderr, /tenants reloaded|not recorded/);
  assert.equal(worker.stderr.match(/worker started/g)?.length, 2);
  assert.equal((await simulator.calls()).length, before);
});

test('a SIGHUP while a worker starts does not end it', async (t) => {
  const estate = await openEstate(t, 1, LIMITS);
  const { entry, write, startWorkerProcess } = estate;
  await write([entry(0)]);
  const worker = startWorkerProcess();
  // As soon as our code runs: what comes before, Node does not keep from ending it.
  await eventually(async () => {
    const status = await readFile(`/proc/${worker.pid}/status`, 'utf8');
    assert.equal(Number.parseInt(/SigCgt:\s+\w*(\w)/.exec(status)?.[1] ?? '0', 16) & 1, 1);
  });
  assert.equal(worker.stderr, '');
  worker.kill('SIGHUP');
  await said(worker, /worker started/);
  await said(worker, /tenants reloaded/);
  worker.kill('SIGTERM');
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('an application that gets another label is refused while its calls count', async (t) => {
  const estate = await openEstate(t, 2, '1000/1s,2000/1h');
  const { entry, write, startWorker } = estate;
  await write([entry(0)]);
  const worker = startWorker();
  await said(worker, /"tenants":1/);
  await write([{ ...entry(0), STANDDOWN_TENANT: 'renamed' }, entry(1)]);
  await said(worker, /renamed: this application had the label tenant-1/);
  assert.doesNotMatch(worker.stderr, /tenants reloaded/);
  // Also by way of leaving it out.
  await write([entry(1)]);
  await said(worker, /"removed":\["tenant-1"\]/);
  // A file that is looked at while it is being written is looked at again, and may be refused twice.
  const refusals = () => worker.stderr.match(/this application had the label/g)?.length ?? 0;
  const before = refusals();
  await write([{ ...entry(0), STANDDOWN_TENANT: 'renamed' }, entry(1)]);
  await eventually(() => assert.ok(refusals() > before));
  worker.stop();
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('slots are remembered over a change: when Redis loses its data then, the limit holds', async (t) => {
  const estate = await openEstate(t, 1, '20/1m');
  const { entry, write, startWorker, simulator, redis } = estate;
  await write([entry(0)]);
  await submit(estate, 0, 20);
  const worker = startWorker();
  await eventually(async () => assert.equal((await simulator.calls()).filter(isCancel).length, 20));
  await write([{ ...entry(0), CONCURRENCY: '3' }]);
  await redis.admin.flushall();
  await said(worker, /"changed":\["tenant-1"\]/);
  await submit(estate, 0, 20);
  await said(worker, /call history was rebuilt|new in this Redis/);
  const { stdout } = await estate.cli(['budget', '--json', '--tenant', 'tenant-1']);
  assert.match(stdout, /"used":20/);
  // For longer than a grace lasts: it has asked since, and it is the window that holds.
  const limiter = keysFor('tenant-1').lane('cancel-campaign', 'limiter');
  await eventually(async () => assert.ok((await redis.admin.pttl(limiter)) > SHORT.graceMs));
  const cancels = (await simulator.calls()).filter(isCancel);
  assert.deepEqual(
    cancels.filter(({ verdict }) => verdict === 'refused'),
    [],
  );
  worker.stop();
  assert.equal(await worker.exited, 0, worker.stderr);
});

test('a file that is not right keeps a worker from starting, and says all that is wrong', async (t) => {
  const estate = await openEstate(t, 2, LIMITS);
  await writeFile(join(estate.folder, 'empty'), '');
  await estate.write([
    { ...estate.entry(0), AZURE_CLIENT_SECRET: 'hunter2-hunter2' },
    {
      ...estate.entry(1),
      RATE_LIMIT: '1/1s',
      REDIS_URL: 'redis://x',
      AZURE_CLIENT_SECRET: { file: 'empty' },
    },
  ]);
  const worker = estate.startWorker();
  assert.equal(await worker.exited, 2);
  const lines = worker.stderr.trim().split('\n').slice(1);
  assert.deepEqual(
    lines.map((line) => line.trim().replace(/\S*\/empty/, 'empty')),
    [
      'tenant 1 (tenant-1): AZURE_CLIENT_SECRET: this file must not contain secrets; refer to it by {"env": "NAME"} or {"file": "PATH"}',
      'tenant 2 (tenant-2): RATE_LIMIT: unknown setting',
      'tenant 2 (tenant-2): REDIS_URL: applies to the whole process; set it in the environment',
      'tenant 2 (tenant-2): AZURE_CLIENT_SECRET: empty is empty',
    ],
  );
  assert.doesNotMatch(worker.stderr, /hunter2/);
});
