import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from 'bullmq';
import { guidToBytes } from '../../src/base/guid.ts';
import { type CancelRequest, type JobReference, openProducer, type StanddownError } from '../../src/index.ts';
import { closeRedis } from '../../src/store/redis/connect.ts';
import { atEnd } from '../store/redis/support/machine.ts';
import { openTestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openFor, openService } from './support/producers.ts';

const UNKNOWN = '00000000-0000-4000-8000-000000000001';

test('a single cancel and an urgent one come back with their outcomes', async (t) => {
  const { stack, producer } = await openService(t);
  const [first = '', second = ''] = stack.addActions(2);
  const request = {
    machineActionId: `{${first.toUpperCase()}}`,
    comment: ' by mistake ',
    requestedBy: 'portal',
  };
  const handle = await producer.cancel(request);
  assert.deepEqual([handle.lane, handle.machineActionId], ['cancel', first]);
  const result = await handle.outcome({ timeoutMs: 60_000 });
  assert.deepEqual(
    [result.machineActionId, result.outcome, result.requestedBy],
    [first, 'cancelled', 'portal'],
  );
  assert.equal(stack.simulator.callsFor(first)[0]?.comment, 'by mistake');
  assert.equal(await handle.outcome({ timeoutMs: 0 }), result, 'known by now');

  const urgent = await producer.cancel({ machineActionId: second, comment: 'x' }, { priority: 'urgent' });
  assert.equal(urgent.lane, 'cancel-urgent');
  assert.equal((await urgent.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
});

test('many wait at once, several for one job', async (t) => {
  const { stack, producer } = await openService(t);
  const ids = stack.addActions(100);
  const handles = await Promise.all(ids.map((id) => producer.cancel({ machineActionId: id, comment: 'x' })));
  const results = await Promise.all(handles.flatMap((handle) => [handle.outcome(), handle.outcome()]));
  assert.deepEqual(
    results.map(({ machineActionId, outcome }) => `${machineActionId} ${outcome}`),
    ids.flatMap((id) => [`${id} cancelled`, `${id} cancelled`]),
  );
});

test('an id is called once, and once more when asked to', async (t) => {
  const { stack, producer } = await openService(t);
  const request = { machineActionId: UNKNOWN, comment: 'x' };
  const ask = async (more: Partial<CancelRequest> = {}) =>
    (await producer.cancel({ ...request, ...more })).outcome({ timeoutMs: 60_000 });
  const first = await ask();
  assert.equal(first.outcome, 'not_found');
  assert.deepEqual(await ask(), first);
  stack.simulator.addActions([{ id: UNKNOWN }]);
  assert.equal((await ask({ again: true })).outcome, 'cancelled');
  assert.equal(stack.simulator.callsFor(UNKNOWN).length, 2);
  assert.equal(
    (await ask({ expiresAt: new Date(Date.now() - 1_000) })).outcome,
    'cancelled',
    'it has one already',
  );
});

test('what is wrong is said at once, and nothing is put into Redis', async (t) => {
  const { stack, producer, place } = await openService(t, { worker: false });
  const wrong: [request: unknown, says: RegExp][] = [
    [{ machineActionId: 'no guid', comment: 'x' }, /machineActionId: not a GUID/],
    [{ comment: 'x' }, /machineActionId/],
    [{ machineActionId: UNKNOWN }, /comment: required/],
    [{ machineActionId: UNKNOWN, comment: ' ' }, /comment: required/],
    [{ machineActionId: UNKNOWN, comment: 'x'.repeat(4_001) }, /comment/],
    [{ machineActionId: UNKNOWN, comment: 'x', requestedBy: '' }, /requestedBy/],
    [{ machineActionId: UNKNOWN, comment: 'x', expiresAt: new Date('never') }, /expiresAt/],
    [{ machineActionId: UNKNOWN, comment: 'x', expiresAt: 'tomorrow' }, /expiresAt/],
    [{ machineActionId: UNKNOWN, comment: 'x', again: 1 }, /again/],
    [null, /data/],
    ['text', /data/],
  ];
  for (const [request, says] of wrong) {
    await assert.rejects(producer.cancel(request as CancelRequest), (error: StanddownError) => {
      assert.deepEqual([error.name, error.code], ['StanddownError', 'INPUT_INVALID']);
      assert.match(error.message, says);
      return true;
    });
  }
  const good = { machineActionId: UNKNOWN, comment: 'x' };
  await assert.rejects(producer.cancel(good, { priority: 'high' as 'urgent' }), { code: 'USAGE' });
  await assert.rejects(producer.cancel(good, { timeoutMs: Number.NaN }), { code: 'USAGE' });
  await assert.rejects(producer.cancel(good, { timeoutMs: -1 }), { code: 'USAGE' });
  await assert.rejects(producer.cancel(good, { signal: 'soon' as unknown as AbortSignal }), {
    code: 'USAGE',
  });
  const references: unknown[] = [
    undefined,
    null,
    'job',
    { jobId: '', lane: 'cancel' },
    { jobId: 'x', lane: 'cancel-campaign' },
    { jobId: 'x', lane: 'cancel', machineActionId: 'no guid' },
    { jobId: 'x', lane: 'cancel', again: 1 },
  ];
  for (const reference of references) {
    const refer = () => producer.job(reference as JobReference);
    assert.throws(refer, { name: 'StanddownError', code: 'USAGE' }, JSON.stringify(reference));
  }
  // Comes behind what was sent before it.
  const { jobId } = await producer.cancel(good);
  const { keys } = stack.tenant;
  assert.deepEqual(await stack.redis.lrange(keys.lane('cancel', 'wait'), 0, -1), [jobId]);
  const places: [options: unknown, code: string][] = [
    [{ ...place, tenant: 'a:b' }, 'USAGE'],
    [{ ...place, tenant: undefined }, 'USAGE'],
    [undefined, 'USAGE'],
    [null, 'USAGE'],
    [{ tenant: place.tenant }, 'USAGE'],
    [{ ...place, redis: {} }, 'USAGE'],
    [{ ...place, openTimeoutMs: 'long' }, 'USAGE'],
    [{ ...place, onWarning: 'loud' }, 'USAGE'],
    [{ ...place, rateLimits: 100 }, 'CONFIG_INVALID'],
    [{ ...place, redis: 'http://x' }, 'CONFIG_INVALID'],
    [{ ...place, redis: 'unix:///nowhere.sock', openTimeoutMs: 100 }, 'REDIS_UNREACHABLE'],
    [{ ...place, rateLimits: 'fast' }, 'CONFIG_INVALID'],
  ];
  for (const [options, code] of places) {
    await assert.rejects(openProducer(options as typeof place), { name: 'StanddownError', code });
  }
});

test('whoever waits can give up, by time or by signal, and ask again', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  const [id = ''] = stack.addActions(1);
  const handle = await producer.cancel({ machineActionId: id, comment: 'x' });
  await assert.rejects(handle.outcome({ timeoutMs: 30 }), (error: StanddownError) => {
    assert.deepEqual([error.code, error.context['jobId']], ['TIMEOUT', handle.jobId]);
    return true;
  });
  const reason = new Error('no longer needed');
  const stop = new AbortController();
  const waiting = handle.outcome({ signal: stop.signal });
  stop.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  await assert.rejects(handle.outcome({ signal: stop.signal }), (error) => error === reason);
  await assert.rejects(
    producer.cancel({ machineActionId: id, comment: 'x' }, { signal: stop.signal }),
    (error) => error === reason,
  );
  await stack.startWorker();
  assert.equal((await handle.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
});

test('an outcome is there for who comes late: after the event, in another process, when the job is gone', async (t) => {
  const { stack, producer, place } = await openService(t);
  const [id = ''] = stack.addActions(1);
  const handle = await producer.cancel({ machineActionId: id, comment: 'x' });
  const { keys } = stack.tenant;
  const jobKey = keys.lane('cancel', handle.jobId);
  await eventually(async () => assert.ok(await stack.redis.hget(jobKey, 'finishedOn')));
  await stack.redis.del(keys.lane('cancel', 'events'));
  const result = await handle.outcome({ timeoutMs: 60_000 });
  assert.equal(result.outcome, 'cancelled');

  const { jobId, lane } = handle;
  const other = await openFor(t, place);
  assert.deepEqual(await other.job({ jobId, lane }).outcome({ timeoutMs: 60_000 }), result);

  await stack.redis.unlink(jobKey);
  const kept = await other.job({ jobId, lane, machineActionId: id }).outcome({ timeoutMs: 60_000 });
  assert.deepEqual(kept, result, 'from the ledger');
  await assert.rejects(other.job({ jobId, lane }).outcome({ timeoutMs: 60_000 }), { code: 'JOB_GONE' });
});

test('a job that is gone never has the outcome of another one, or of a wish before it', async (t) => {
  const { stack, producer } = await openService(t);
  const { redis, tenant } = stack;
  const machineActionId = UNKNOWN;
  const ask = async (id: string, again = false) => {
    const handle = await producer.cancel({ machineActionId: id, comment: 'x', again });
    const result = await handle.outcome({ timeoutMs: 60_000 });
    await redis.unlink(tenant.keys.lane('cancel', handle.jobId));
    return { result, reference: JSON.parse(JSON.stringify(handle)) as JobReference };
  };
  const outcome = (reference: JobReference) => producer.job(reference).outcome({ timeoutMs: 60_000 });
  const once = await ask(machineActionId);
  assert.deepEqual(await outcome(once.reference), once.result, 'from the ledger');
  const twice = await ask(machineActionId, true);
  assert.equal(twice.reference.again, true);
  await assert.rejects(outcome(twice.reference), { code: 'JOB_GONE' });

  const [first = '', second = ''] = stack.addActions(2);
  const lost = await ask(first);
  await ask(second);
  const [record] = await tenant.ledger.look(guidToBytes(first));
  await redis.xdel(tenant.keys.results(record?.campaign ?? 0), `${record?.position}-0`);
  await assert.rejects(outcome(lost.reference), { code: 'JOB_GONE' });
});

test('a job that is removed as soon as it has ended is heard of by its event', async (t) => {
  const { stack, producer, place } = await openService(t, { worker: false });
  const [id = ''] = stack.addActions(1);
  const queue = new Queue('cancel', {
    connection: await openTestRedis().then((server) => {
      atEnd(t, () => server.close());
      return server.connect('worker');
    }),
    prefix: stack.tenant.keys.prefix,
  });
  atEnd(t, () => queue.close());
  const data = { machineActionId: id, comment: 'x' };
  const { id: jobId = '' } = await queue.add('cancel', data, { removeOnComplete: true });
  const early = producer.job({ jobId, lane: 'cancel' }).outcome({ timeoutMs: 60_000 });
  await stack.startWorker();
  assert.equal((await early).outcome, 'cancelled');
  const late = await openFor(t, place);
  assert.equal(
    (await late.job({ jobId, lane: 'cancel' }).outcome({ timeoutMs: 60_000 })).outcome,
    'cancelled',
  );
});

test('an outcome whose event never comes is found by looking', async (t) => {
  const { stack, producer } = await openService(t, { worker: false, sweepMs: 100 });
  const [id = ''] = stack.addActions(1);
  const handle = await producer.cancel({ machineActionId: id, comment: 'x' });
  const waiting = handle.outcome({ timeoutMs: 60_000 });
  const rest = {
    attempts: 1,
    uncertain: false,
    campaign: 'x',
    requestedAt: new Date(),
    decidedAt: new Date(),
  };
  const returnvalue = JSON.stringify({ machineActionId: id, outcome: 'postponed', ...rest });
  const ended = { finishedOn: Date.now(), returnvalue };
  await stack.redis.hset(stack.tenant.keys.lane('cancel', handle.jobId), ended);
  assert.equal((await waiting).outcome, 'postponed', 'one that a later version knows is handed on');

  const broken = await producer.cancel({ machineActionId: id, comment: 'x' });
  const failing = { finishedOn: Date.now(), failedReason: 'a bug' };
  await stack.redis.hset(stack.tenant.keys.lane('cancel', broken.jobId), failing);
  await assert.rejects(broken.outcome({ timeoutMs: 60_000 }), { code: 'INTERNAL', message: /a bug/ });
});

test('a job that is taken away unended is said to be gone, and so is one that never was', async (t) => {
  const { stack, producer } = await openService(t, { worker: false, sweepMs: 100 });
  const [id = ''] = stack.addActions(1);
  const handle = await producer.cancel({ machineActionId: id, comment: 'x' });
  const waiting = handle.outcome({ timeoutMs: 60_000 });
  await stack.redis.unlink(stack.tenant.keys.lane('cancel', handle.jobId));
  await assert.rejects(waiting, { code: 'JOB_GONE' });
  await assert.rejects(producer.job({ jobId: 'none', lane: 'cancel' }).outcome(), { code: 'JOB_GONE' });
});

test('a connection that is lent stays open, with no listener left behind', async (t) => {
  const { stack, place } = await openService(t);
  const server = await openTestRedis();
  const own = await server.connect('command');
  atEnd(t, () => closeRedis(own));
  const names = ['error', 'close', 'ready', 'end'] as const;
  const before = names.map((name) => own.listenerCount(name));
  const [id = ''] = stack.addActions(1);
  const producer = await openProducer({ redis: own, tenant: place.tenant });
  const handle = await producer.cancel({ machineActionId: id, comment: 'x' });
  assert.equal((await handle.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
  await producer.close();
  await producer.close();
  assert.equal(own.status, 'ready');
  assert.deepEqual(
    names.map((name) => own.listenerCount(name)),
    before,
  );
  const ofProducer = String(await own.client('LIST'))
    .split('\n')
    .filter((line) => line.includes('name=standdown-producer-'));
  assert.deepEqual(
    ofProducer.filter((line) => line.includes(place.tenant)),
    [],
  );
  await closeRedis(own);
  await eventually(() => assert.equal(own.status, 'end'));
  await assert.rejects(openProducer({ redis: own, tenant: place.tenant }), { code: 'USAGE' });
});

test('closing ends what waits, and takes nothing back', async (t) => {
  const { stack, place } = await openService(t, { worker: false });
  const [id = ''] = stack.addActions(1);
  const jobId = await (async () => {
    await using producer = await openProducer(place);
    const handle = await producer.cancel({ machineActionId: id, comment: 'x' });
    const waiting = assert.rejects(handle.outcome(), { code: 'CLOSED' });
    await producer.close();
    await waiting;
    await assert.rejects(handle.outcome(), { code: 'CLOSED' });
    await assert.rejects(producer.cancel({ machineActionId: id, comment: 'x' }), { code: 'CLOSED' });
    await assert.rejects(producer.status('x'), { code: 'CLOSED' });
    return handle.jobId;
  })();
  await stack.startWorker();
  const next = await openFor(t, place);
  assert.equal(
    (await next.job({ jobId, lane: 'cancel' }).outcome({ timeoutMs: 60_000 })).outcome,
    'cancelled',
  );
});
