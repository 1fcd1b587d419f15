import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { type Field, openField } from './support.ts';

let server: TestRedis;
let field: Field;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('a worker is killed in mid-call: another drains the rest, and calls nothing that has an outcome', async () => {
  const concurrency = 6;
  field = await openField(server, {
    limits: '1000/1s',
    ids: 60,
    apart: false,
    simulator: { latencyMs: { min: 200, max: 400 } },
    env: { CONCURRENCY: String(concurrency), CALL_TIMEOUT: '2s' },
  });
  try {
    const first = field.startWorker();
    await eventually(async () => {
      const calls = await field.simulator.calls();
      const inFlight = calls.filter((call) => call.operation === 'cancel' && call.answeredAtMs === null);
      assert.ok(calls.length > 15 && inFlight.length >= 3, first.stderr);
    });
    first.kill('SIGKILL');
    assert.equal(await first.exited, 'SIGKILL');
    const before = await field.report();
    const decided = [...before.values()].filter((line) => line.outcome !== null);
    assert.ok(decided.length > 0 && decided.length < 60);
    const seen = new Map<string, number>();
    for (const call of await field.simulator.calls()) if (call.id) seen.set(call.id, call.n);

    field.startWorker();
    const { outcomes } = await field.untilDone();
    const lines = await field.assertComplete();

    assert.equal((outcomes.cancelled ?? 0) + (outcomes.already_final ?? 0), 60, JSON.stringify(outcomes));
    for (const { machineActionId, decidedAt } of decided) {
      const calls = await field.simulator.callsFor(machineActionId);
      assert.equal(calls.at(-1)?.n, seen.get(machineActionId), 'called after its outcome was recorded');
      assert.equal(lines.get(machineActionId)?.decidedAt, decidedAt, 'its outcome stands');
    }
    const repeated = [...lines.values()].filter((line) => line.attempts > 1);
    assert.ok(repeated.length <= concurrency, 'only what was in flight is called again');
    assert.ok(repeated.length > 0, 'something was in flight');
    for (const { machineActionId, uncertain, attempts } of repeated) {
      assert.equal(uncertain, true, 'an answer was lost, and that is said');
      assert.equal(attempts, 2);
      const calls = await field.simulator.callsFor(machineActionId);
      assert.ok(calls.filter(({ operation }) => operation === 'cancel').length <= 2);
    }
    const [active, claims] = await Promise.all([
      field.redis.llen(field.tenant.keys.lane('cancel-campaign', 'active')),
      field.tenant.ledger.look(
        Buffer.concat(await field.redis.lrangeBuffer(field.tenant.keys.ids(1), 0, -1)),
      ),
    ]);
    assert.ok(
      claims.every((record) => record?.busy === false),
      'nothing is left claimed',
    );
    // The dead worker's jobs come back when BullMQ finds them stalled, and end at once.
    if (active > 0) {
      await eventually(async () => {
        assert.equal(await field.redis.llen(field.tenant.keys.lane('cancel-campaign', 'active')), 0);
      });
    }
  } finally {
    await field.close();
  }
});
