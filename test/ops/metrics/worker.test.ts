import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestRedis } from '../../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { type Sample, sampled, scrape } from './scrape.ts';

describe('a worker’s metrics', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  async function withStack(
    options: Parameters<typeof openStack>[1],
    run: (stack: Stack) => Promise<void>,
  ): Promise<void> {
    const stack = await openStack(server, options);
    try {
      await run(stack);
    } finally {
      await stack.close();
    }
  }

  it('count requests by outcome, calls by status, and tokens', () =>
    withStack({}, async (stack) => {
      const tenant = stack.tenant.label;
      const [missing = ''] = stack.addActions(1);
      stack.simulator.addFault({
        operation: 'cancel',
        ids: [missing],
        fault: { kind: 'status', status: 404 },
      });
      await stack.submit([...stack.addActions(5), missing]);
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      await stack.untilDone();
      const bad = await stack.enqueue({ v: 1, machineActionId: 'nonsense', comment: 'x' });
      await stack.result(bad);
      const seen = await eventually(async () => {
        const samples = await scrape(healthPort);
        assert.equal(sampled(samples, 'standdown_requests_total', { outcome: 'invalid' }), 1);
        return samples;
      });
      assert.equal(sampled(seen, 'standdown_requests_total', { tenant, outcome: 'cancelled' }), 5);
      assert.equal(sampled(seen, 'standdown_requests_total', { tenant, outcome: 'not_found' }), 1);
      assert.equal(sampled(seen, 'standdown_requests_total', { tenant, outcome: 'withdrawn' }), 0);
      const calls = { tenant, operation: 'cancel' };
      assert.equal(sampled(seen, 'standdown_calls_total', { ...calls, status: '200' }), 5);
      assert.equal(sampled(seen, 'standdown_calls_total', { ...calls, status: '404' }), 1);
      assert.equal(sampled(seen, 'standdown_call_duration_seconds_count', calls), 6);
      const slowest = sampled(seen, 'standdown_call_duration_seconds_bucket', { ...calls, le: '+Inf' });
      assert.equal(slowest, 6);
      assert.equal(sampled(seen, 'standdown_token_renewals_total', { tenant }), 1);
      assert.equal(sampled(seen, 'standdown_token_failures_total', { tenant }), 0);
      assert.equal(sampled(seen, 'standdown_refused_within_budget_total', calls), 0);
      assert.equal(sampled(seen, 'standdown_tenant_ready', { tenant }), 1);
      assert.ok((sampled(seen, 'process_resident_memory_bytes') ?? 0) > 0);
      assert.ok((sampled(seen, 'nodejs_eventloop_lag_seconds') ?? -1) >= 0);
    }));

  it('count what is ended without a call', () =>
    withStack({ limits: '2/1h' }, async (stack) => {
      await stack.submit(stack.addActions(30), 'dropped', { expiresAt: Date.now() + 3_600_000 });
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      const { redis, tenant } = stack;
      await eventually(async () => assert.equal((await stack.status('dropped')).open, 28));
      // Its time is over when its calls are, however long they took.
      await redis.hset(tenant.keys.campaign(1), 'expiresAt', 1);
      await redis.zadd(tenant.keys.expiries, 1, 'c1');
      await eventually(async () => {
        const seen = await scrape(healthPort);
        assert.equal(sampled(seen, 'standdown_requests_total', { outcome: 'cancelled' }), 2);
        assert.equal(sampled(seen, 'standdown_requests_total', { outcome: 'expired' }), 28);
        assert.equal(sampled(seen, 'standdown_open_ids', { state: 'ending' }), 0);
      });
    }));

  it('show both windows, what is open, and a full window as a hold', () =>
    withStack({ limits: '3/1h,100/2h' }, async (stack) => {
      const tenant = stack.tenant.label;
      await stack.submit(stack.addActions(10));
      await stack.submit(stack.addActions(4), 'later');
      await stack.redis.hset(stack.tenant.keys.campaign(2), { state: 'paused' });
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      await eventually(async () => {
        const seen = await scrape(healthPort);
        const slots = { tenant, operation: 'cancel' };
        assert.equal(sampled(seen, 'standdown_slots_used', { ...slots, window: '1h' }), 3);
        assert.equal(sampled(seen, 'standdown_slots_free', { ...slots, window: '1h' }), 0);
        assert.equal(sampled(seen, 'standdown_slots_free', { ...slots, window: '2h' }), 97);
        assert.equal(sampled(seen, 'standdown_slots_free', { ...slots, operation: 'list', window: '1h' }), 3);
        assert.equal(sampled(seen, 'standdown_hold', { tenant, reason: 'window' }), 1);
        assert.equal(sampled(seen, 'standdown_hold', { tenant, reason: 'penalty' }), 0);
        assert.equal(sampled(seen, 'standdown_open_ids', { tenant, state: 'running' }), 7);
        assert.equal(sampled(seen, 'standdown_open_ids', { tenant, state: 'paused' }), 4);
        assert.equal(sampled(seen, 'standdown_redis_read_ok', { tenant }), 1);
      });
    }));

  it('show how many jobs wait in a lane, and since when', () =>
    withStack({ limits: '1/1h' }, async (stack) => {
      await stack.submit(stack.addActions(1));
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      await stack.untilDone();
      const timestamp = Date.now() - 90_000;
      for (const machineActionId of stack.addActions(3)) {
        const data = { v: 1, machineActionId, comment: 'x' };
        await stack.enqueue(data, 'cancel', 'cancel', { timestamp });
      }
      await eventually(async () => {
        const seen = await scrape(healthPort);
        assert.equal(sampled(seen, 'standdown_lane_jobs', { lane: 'cancel', state: 'waiting' }), 3);
        const age = sampled(seen, 'standdown_lane_oldest_age_seconds', { lane: 'cancel' }) ?? 0;
        assert.ok(age >= 90 && age < 900, `${age} s`);
        assert.equal(sampled(seen, 'standdown_lane_oldest_age_seconds', { lane: 'cancel-urgent' }), 0);
      });
    }));

  it('count refusals that our own count allowed, and show the penalty and the pace', () =>
    withStack({ limits: '100/1m' }, async (stack) => {
      const tenant = stack.tenant.label;
      const fault = { kind: 'status', status: 429, retryAfter: 60 } as const;
      stack.simulator.addFault({ operation: 'cancel', fault, times: 1 });
      await stack.submit(stack.addActions(3));
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0', CONCURRENCY: '1' });
      await eventually(async () => {
        const seen = await scrape(healthPort);
        const counted = { tenant, operation: 'cancel' };
        assert.equal(sampled(seen, 'standdown_refused_within_budget_total', counted), 1);
        assert.equal(sampled(seen, 'standdown_calls_total', { ...counted, status: '429' }), 1);
        assert.equal(sampled(seen, 'standdown_hold', { tenant, reason: 'penalty' }), 1);
        const pace = sampled(seen, 'standdown_pace_ratio', { tenant }) ?? 1;
        assert.ok(pace >= 0.7 && pace < 1, `${pace}`);
      });
    }));

  it('count failed sign-ins, and show the hold', () =>
    withStack({}, async (stack) => {
      stack.simulator.addFault({ operation: 'token', fault: { kind: 'status', status: 401 } });
      await stack.submit(stack.addActions(1));
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      await eventually(async () => {
        const seen = await scrape(healthPort);
        assert.ok((sampled(seen, 'standdown_token_failures_total') ?? 0) >= 1);
        assert.equal(sampled(seen, 'standdown_hold', { reason: 'sign-in' }), 1);
        assert.equal(sampled(seen, 'standdown_tenant_ready'), 0);
      });
    }));

  it('count a new epoch, and not the first', () =>
    withStack({}, async (stack) => {
      const { keys } = stack.tenant;
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      await stack.submit(stack.addActions(1));
      await stack.untilDone();
      assert.equal(sampled(await scrape(healthPort), 'standdown_epoch_reopenings_total'), 0);
      await stack.redis.hset(stack.tenant.keys.state, { run: 'another' });
      await eventually(async () => {
        assert.equal(sampled(await scrape(healthPort), 'standdown_epoch_reopenings_total'), 1);
        assert.notEqual(await stack.redis.hget(keys.state, 'run'), 'another');
      });
    }));

  it('name no id, no campaign and no comment', () =>
    withStack({}, async (stack) => {
      const ids = stack.addActions(3);
      await stack.submit(ids, 'a-campaign-of-its-own', { comment: 'a comment of its own' });
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      await stack.untilDone('a-campaign-of-its-own');
      const seen: Sample[] = await scrape(healthPort);
      const labels = new Set(seen.flatMap((sample) => Object.values(sample.labels)));
      for (const text of [...ids, 'a-campaign-of-its-own', 'a comment of its own', 'test']) {
        assert.ok(![...labels].some((label) => label.includes(text)), text);
      }
    }));
});
