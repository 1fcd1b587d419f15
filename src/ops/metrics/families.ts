import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Seconds. Each more is one more series for each tenant and operation. */
const CALL_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** All that is told, beside what prom-client tells of every process. docs/metrics.md describes it; a test compares. */
export function createFamilies(registry: Registry) {
  const common = { registers: [registry] };
  const counter = <Label extends string>(name: string, help: string, ...labels: Label[]) =>
    new Counter({ ...common, name, help, labelNames: ['tenant' as const, ...labels] });
  const gauge = <Label extends string>(name: string, help: string, ...labels: Label[]) =>
    new Gauge({ ...common, name, help, labelNames: ['tenant' as const, ...labels] });
  return {
    requests: counter('standdown_requests_total', 'Requests that this worker finished', 'outcome'),
    calls: counter('standdown_calls_total', 'HTTP calls to the Defender API', 'operation', 'status'),
    duration: new Histogram({
      ...common,
      name: 'standdown_call_duration_seconds',
      help: 'Time from requesting a connection to the complete answer, or to giving up',
      labelNames: ['tenant', 'operation'],
      buckets: CALL_BUCKETS,
    }),
    refusals: counter(
      'standdown_refused_within_budget_total',
      'Calls refused with 429 although RATE_LIMITS allowed them',
      'operation',
    ),
    renewals: counter('standdown_token_renewals_total', 'Access tokens received from the sign-in service'),
    failures: counter('standdown_token_failures_total', 'Failed requests for an access token'),
    reopenings: counter(
      'standdown_epoch_reopenings_total',
      'Times the call history was rebuilt: Redis restarted, lost data, or changed its clock',
    ),
    used: gauge('standdown_slots_used', 'Calls that count in the window now', 'operation', 'window'),
    free: gauge('standdown_slots_free', 'Calls that are left in the window', 'operation', 'window'),
    pace: gauge('standdown_pace_ratio', 'Share of the shortest window that cancels may use'),
    hold: gauge(
      'standdown_hold',
      '1 while cancels that are not urgent are blocked for this reason',
      'reason',
    ),
    jobs: gauge('standdown_lane_jobs', 'Jobs in a queue', 'lane', 'state'),
    age: gauge('standdown_lane_oldest_age_seconds', 'Time since the next job in the queue was added', 'lane'),
    open: gauge('standdown_open_ids', 'Pending actions, by the state of their campaigns', 'state'),
    ready: gauge('standdown_tenant_ready', '1 while this worker can work for the tenant'),
    readOk: gauge('standdown_redis_read_ok', '1 if Redis answered the last reading of the gauges'),
  };
}

export type Families = ReturnType<typeof createFamilies>;
