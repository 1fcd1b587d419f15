import { startCollector } from '../ops/traces/collector.ts';
import { openTestRedis } from '../support/redis.ts';
import { type Drained, drainWithStanddown } from './drain.ts';

/** The same work without traces and with them, taking turns. */
export async function drainTraced(
  ids: number,
  runs: number,
): Promise<{ off: Drained[]; on: Drained[]; spansPerId: number }> {
  const redis = await openTestRedis('bench');
  const collector = await startCollector();
  const off: Drained[] = [];
  const on: Drained[] = [];
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    // As many as come at this pace, so that what is measured is all of it.
    OTEL_BSP_MAX_QUEUE_SIZE: '20000',
    OTEL_BSP_SCHEDULE_DELAY: '200',
  };
  const options = {
    redis,
    ids,
    limits: '1000000/1s',
    concurrency: 10,
    latencyMs: { min: 0, max: 1 },
  };
  try {
    for (let run = 0; run < runs; run++) {
      off.push(await drainWithStanddown(options));
      on.push(await drainWithStanddown({ ...options, env }));
    }
    return { off, on, spansPerId: collector.spans.length / (runs * ids) };
  } finally {
    await collector.close();
    await redis.close();
  }
}
