import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { makeActions } from '../../src/simulator/index.ts';
import { keysFor } from '../../src/store/keys.ts';
import { atEnd, testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { startCommand } from '../support/command.ts';
import { freePort } from '../support/port.ts';
import { type Process, startCli } from '../support/processes.ts';
import { startSimulatorHere } from '../support/simulator.ts';
import { newLabel, skipGrace } from '../support/tenant.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { openFor } from './support/producers.ts';

const LIMITS = '100000/1s,100000/1m';

/** A Redis of its own that can be started anew, a simulator and workers. */
async function openEstate(t: TestContext, latencyMs = 0) {
  const folder = testFolder(t);
  const port = await freePort();
  const tenant = newLabel();
  const start = () =>
    startRedis(t, { folder, port, args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  const redis = await start();
  await skipGrace(redis.admin, keysFor(tenant));
  const { actions, ids } = makeActions({ count: 20, seed: 7 });
  const simulator = await startSimulatorHere(LIMITS, {
    actions,
    latencyMs: { min: latencyMs, max: latencyMs },
  });
  atEnd(t, () => simulator.stop());
  const env = {
    ...simulator.settings,
    REDIS_URL: redis.url,
    STANDDOWN_TENANT: tenant,
    STANDDOWN_DATA_DIR: folder,
    URGENT_RESERVE: 'none',
    CALL_TIMEOUT: '2s',
  };
  const startWorker = () => {
    const worker = startCommand(['worker'], { env, timings: SHORT });
    atEnd(t, async () => {
      worker.stop();
      await worker.exited;
    });
  };
  /** For one that is killed. */
  const startWorkerProcess = (): Process => {
    const worker = startCli(['worker'], { env, timings: SHORT });
    atEnd(t, async () => {
      worker.kill('SIGKILL');
      await worker.exited;
    });
    return worker;
  };
  return {
    redis,
    start,
    ids,
    simulator,
    startWorker,
    startWorkerProcess,
    place: { redis: redis.url, tenant },
  };
}

test('a worker that is killed in mid-call: whoever waits gets the outcome from the next one', async (t) => {
  const { simulator, ids, startWorker, startWorkerProcess, place } = await openEstate(t, 1_500);
  const producer = await openFor(t, place);
  const first = startWorkerProcess();
  const handle = await producer.cancel({ machineActionId: ids[0] ?? '', comment: 'x' });
  const waiting = handle.outcome({ timeoutMs: 60_000 });
  await eventually(async () => assert.ok((await simulator.calls()).length > 0));
  first.kill('SIGKILL');
  await first.exited;
  startWorker();
  const { outcome, uncertain } = await waiting;
  assert.ok(outcome === 'cancelled' || outcome === 'already_final', outcome);
  t.diagnostic(`${outcome}, ${uncertain ? 'uncertain' : 'certain'}`);
});

test('a Redis that is away for a while loses no waiting, no following, and takes what was asked for meanwhile', async (t) => {
  const { redis, start, ids, startWorker, place } = await openEstate(t);
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const producer = await openFor(t, { ...place, onWarning, unknownTenant: 'ignore' });
  const handle = await producer.cancel({ machineActionId: ids[0] ?? '', comment: 'x' });
  await producer.submit(ids.slice(1, 11), { campaign: 'undo', comment: 'x' });
  const waiting = handle.outcome({ timeoutMs: 60_000 });
  const seen: number[] = [];
  const following = (async () => {
    for await (const { position } of producer.follow('undo')) seen.push(position);
  })();
  await eventually(async () =>
    assert.match(String(await redis.admin.client('LIST')), /standdown-producer-follow/),
  );
  await redis.stop();
  await eventually(() => assert.match(warnings[0] ?? '', /Redis is unreachable.*127\.0\.0\.1/));
  const late = { machineActionId: ids[11] ?? '', comment: 'x' };
  await assert.rejects(producer.cancel(late, { timeoutMs: 50 }), { code: 'TIMEOUT' });
  const asked = producer.cancel(late, { timeoutMs: 60_000 });
  await start();
  startWorker();
  assert.equal((await waiting).outcome, 'cancelled');
  assert.equal((await (await asked).outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
  await following;
  assert.deepEqual(
    seen,
    Array.from({ length: 10 }, (_, index) => index + 1),
  );
  assert.match(warnings.at(-1) ?? '', /reconnected to Redis/);
});

test('closing does not wait for a Redis that is away', async (t) => {
  const { redis, ids, place } = await openEstate(t);
  const producer = await openFor(t, place);
  await producer.submit(ids, { campaign: 'undo', comment: 'x' });
  const handle = await producer.cancel({ machineActionId: ids[0] ?? '', comment: 'x' });
  const code = { code: 'CLOSED' };
  const ended = [
    assert.rejects(handle.outcome(), code),
    assert.rejects(async () => {
      for await (const _ of producer.follow('undo'));
    }, code),
  ];
  await eventually(async () =>
    assert.match(String(await redis.admin.client('LIST')), /standdown-producer-follow/),
  );
  await redis.stop();
  ended.push(
    assert.rejects(producer.cancel({ machineActionId: ids[1] ?? '', comment: 'x' }), code),
    assert.rejects(producer.submit(ids, { campaign: 'other', comment: 'x' }), code),
    assert.rejects(producer.status('undo'), code),
  );
  // Nobody starts it again.
  await producer.close();
  await Promise.all(ended);
});

test('who submits can give up while Redis is away, and a warning that fails harms nobody', async (t) => {
  const { redis, start, ids, place } = await openEstate(t);
  let warnings = 0;
  const onWarning = () => {
    warnings++;
    throw new Error('nobody listens');
  };
  const producer = await openFor(t, { ...place, onWarning });
  await redis.stop();
  await eventually(() => assert.ok(warnings > 0));
  const stop = new AbortController();
  const reason = new Error('enough');
  const wish = { campaign: 'undo', comment: 'x' };
  const taken = Promise.withResolvers<void>();
  const source = (function* () {
    yield* ids;
    taken.resolve();
  })();
  const submitting = producer.submit(source, { ...wish, signal: stop.signal });
  await taken.promise;
  // By the next turn the first command waits for Redis.
  await new Promise(setImmediate);
  stop.abort(reason);
  await assert.rejects(submitting, (error) => error === reason);
  const { admin } = await start();
  await eventually(() => assert.ok(warnings > 1));
  await assert.rejects(producer.status('undo'), { code: 'CAMPAIGN_UNKNOWN' });
  assert.equal(await admin.exists(keysFor(place.tenant).campaigns), 0, 'nothing was done later on');
  assert.equal((await producer.submit(ids, wish)).accepted, ids.length);
});

test('jobs that Redis lost are said to be gone', async (t) => {
  const { redis, ids, place } = await openEstate(t);
  const producer = await openFor(t, place, 100);
  const handle = await producer.cancel({ machineActionId: ids[0] ?? '', comment: 'x' });
  const waiting = assert.rejects(handle.outcome({ timeoutMs: 60_000 }), { code: 'JOB_GONE' });
  await redis.admin.flushall();
  await waiting;
});
