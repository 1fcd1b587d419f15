import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { guidsToBytes } from '../../src/base/guid.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { retryCampaign, steer } from '../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import { TESTER } from '../support/actor.ts';
import { recount } from '../support/ledger.ts';
import type { Process } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openField } from './support.ts';

describe('workers die', { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('a worker is killed in mid-call: another drains the rest, and calls nothing that has an outcome', async () => {
    const concurrency = 6;
    const field = await openField(server, {
      limits: '1000/1s',
      ids: 60,
      apart: false,
      simulator: { latencyMs: { min: 200, max: 400 } },
      env: { CONCURRENCY: String(concurrency), CALL_TIMEOUT: '6s' },
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

      field.startWorkerHere();
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

  it('overlapping campaigns are paused, aborted and retried while workers are killed: every counter is exact', async () => {
    const count = 120;
    const field = await openField(server, {
      limits: '30/1s,1000/1h',
      ids: count,
      apart: false,
      simulator: { latencyMs: { min: 20, max: 200 } },
      env: { CALL_TIMEOUT: '6s', CONCURRENCY: '8' },
    });
    const { tenant, redis, simulator } = field;
    const read = async (name: string) => findCampaign(redis, tenant.keys, name);
    const decided = async () => {
      const all = await Promise.all(['field', 'second', 'third'].map(read));
      return all.reduce((sum, { total, open }) => sum + total - open, 0);
    };
    const submit = (name: string, ids: readonly string[]) => {
      const parts = (async function* () {
        yield guidsToBytes(ids);
      })();
      return submitCampaign(tenant, { name, comment: 'test', now: Date.now() }, parts);
    };
    try {
      // The first owns all of them; the others name some, and the second gets what the first gives up.
      await steer(tenant, 'field', 'pause', TESTER);
      await submit('second', field.ids.slice(count / 4));
      await submit('third', field.ids.slice(count / 2));
      await steer(tenant, 'field', 'resume', TESTER);

      let workers: Process[] = [field.startWorker(), field.startWorker()];
      for (const share of [0.2, 0.5]) {
        await eventually(async () => assert.ok((await decided()) >= share * count));
        const [first, ...rest] = workers;
        first?.kill('SIGKILL');
        await first?.exited;
        workers = [...rest, field.startWorker()];
        await steer(tenant, 'field', 'pause', TESTER);
        await steer(tenant, 'field', 'resume', TESTER);
      }
      await steer(tenant, 'field', 'abort', TESTER);
      await eventually(async () => assert.equal((await read('field')).open, 0));
      // What was withdrawn there opens again here.
      await submit('second', field.ids);
      await eventually(async () => assert.equal((await read('second')).open, 0));
      await retryCampaign(tenant, 'second', ['cancelled'], TESTER);
      await eventually(async () => assert.equal((await read('second')).open, 0));

      for (const name of ['field', 'second', 'third']) await recount(tenant, (await read(name)).number);
      const { redis, keys } = tenant;
      const owned = await Promise.all(
        ['field', 'second', 'third'].map(async (name) => {
          const { number, total } = await read(name);
          // What another one has taken over stays in its counts.
          return total - (await redis.hlen(keys.kept(number)));
        }),
      );
      assert.equal(
        owned.reduce((sum, number) => sum + number, 0),
        count,
        'each id is owned once',
      );
      assert.equal((await simulator.refusals()).length, 0);
      assert.ok((await simulator.peak('cancel', 1_000)) <= 30);
    } finally {
      await field.close();
    }
  });
});
