import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atEnd } from '../../store/redis/support/machine.ts';
import { openEstate } from '../../tenants/support.ts';
import { KIND, startCollector } from './collector.ts';
import { LIMITS, spansOf } from './scene.ts';

test('in a worker for many tenants each span says whose it is', async (t) => {
  const estate = await openEstate(t, 2, LIMITS);
  const collector = await startCollector();
  atEnd(t, () => collector.close());
  await estate.write([estate.entry(0), estate.entry(1)]);
  const otel = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' };
  const idsOf = new Map<string, string[]>();
  for (const label of estate.labels) {
    const { ids, path } = await estate.idsFor(3);
    idsOf.set(label, ids);
    const args = ['submit', path, '--campaign', 'undo', '--comment', 'x', '--yes', '--tenant', label];
    assert.equal((await estate.cli(args)).code, 0);
  }
  estate.startWorker(otel);
  const worked = await spansOf({ collector }, 6, (span) => span.kind === KIND.consumer);
  for (const [label, ids] of idsOf) {
    const own = worked.filter(({ attributes }) => attributes['standdown.tenant'] === label);
    assert.deepEqual(
      own.map(({ attributes }) => attributes['standdown.machine_action.id']).sort(),
      [...ids].sort(),
    );
    // A campaign that was submitted without a trace is linked to none.
    for (const { links, parentSpanId } of own) assert.deepEqual([links, parentSpanId], [[], '']);
    const isCall = (span: (typeof worked)[number]) => span.name === 'POST /api/machineactions/{id}/cancel';
    const calls = collector.spans
      .filter(isCall)
      .filter(({ attributes }) => attributes['standdown.tenant'] === label);
    assert.deepEqual(calls.map(({ traceId }) => traceId).sort(), own.map(({ traceId }) => traceId).sort());
  }
});
