import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from 'bullmq';
import { openProducer } from '../../../src/index.ts';
import { JOB_NAME } from '../../../src/store/keys.ts';
import { atEnd } from '../../store/redis/support/machine.ts';
import { eventually } from '../../support/wait.ts';
import { isOf, openScene, spansOf } from './scene.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

/** What others may have written as a job's `tm`. */
const STRANGE: readonly unknown[] = [
  '',
  'no JSON',
  'null',
  '[]',
  '"text"',
  '{"traceparent":5}',
  '{"traceparent":"00-0-0-01"}',
  '{"link":{"traceparent":"00"}}',
  '{"__proto__":{"traceparent":"x"}}',
  `{"traceparent":"00-${'0'.repeat(32)}-00f067aa0ba902b7-01"}`,
  'x'.repeat(100_000),
  5,
  true,
  null,
  {},
  ['a'],
  { traceparent: 'x' },
];

test('a producer in a program without a tracer writes no trace into its job', async (t) => {
  const scene = await openScene(t);
  const [machineActionId = ''] = await scene.addActions(1);
  await using producer = await openProducer({ redis: scene.redisUrl, tenant: scene.tenant.label });
  const { jobId } = await producer.cancel({ machineActionId, comment: 'x' });
  const { redis, keys } = scene.tenant;
  const opts = JSON.parse((await redis.hget(keys.lane('cancel', jobId), 'opts')) ?? '');
  assert.ok(!('tm' in opts), JSON.stringify(opts));
});

for (const tracing of [true, false]) {
  test(`a job whose trace is no trace is worked on, tracing ${tracing ? 'on' : 'off'}`, async (t) => {
    const scene = await openScene(t);
    const { redis, keys } = scene.tenant;
    const queue = new Queue('cancel', { connection: redis, prefix: keys.prefix, skipMetasUpdate: true });
    atEnd(t, () => queue.close());
    const ids = await scene.addActions(STRANGE.length + 1);
    for (const [at, machineActionId] of ids.entries()) {
      const job = await queue.add(JOB_NAME, { machineActionId, comment: 'x' }, { delay: 3_600_000 });
      const opts = JSON.parse((await redis.hget(keys.lane('cancel', job.id ?? ''), 'opts')) ?? '');
      const tm = at < STRANGE.length ? STRANGE[at] : `{"traceparent":"00-${TRACE}-00f067aa0ba902b7-01"}`;
      await redis.hset(keys.lane('cancel', job.id ?? ''), 'opts', JSON.stringify({ ...opts, tm }));
      await job.promote();
    }
    const worker = scene.startWorker(tracing ? scene.otel : {});
    await eventually(async () => {
      const counts = await queue.getJobCounts('completed', 'failed', 'active', 'wait', 'delayed');
      assert.deepEqual(
        counts,
        { completed: ids.length, failed: 0, active: 0, wait: 0, delayed: 0 },
        worker.stderr,
      );
    });
    if (!tracing) return assert.deepEqual(scene.collector.requests, []);
    for (const [at, id] of ids.entries()) {
      const [span] = await spansOf(scene, 1, isOf(id));
      assert.equal(span?.parentSpanId !== '', at === STRANGE.length, String(STRANGE[at]));
      if (at === STRANGE.length) assert.equal(span?.traceId, TRACE);
    }
  });
}
