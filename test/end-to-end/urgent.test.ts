import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Queue, QueueEvents } from 'bullmq';
import { makeActions } from '../../src/simulator/index.ts';
import { runCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { type Field, openField } from './support.ts';

/**
 * Bulk may use 30 of 40 in two seconds, and 50 of 76 in an hour: then it waits for the rest of the test. The rest is for what
 * is urgent, and the tests use it up one after the other.
 */
const LIMITS = '40/2s,76/1h';
const RESERVE = '10/2s,26/1h';
const BULK = 50;
const ALL = 76;

describe('what is urgent', () => {
  let server: TestRedis;
  let field: Field;
  let queue: Queue;
  let events: QueueEvents;

  /** The bulk part is used up in both windows, with hundreds of bulk ids waiting. */
  before(async () => {
    server = await openTestRedis();
    field = await openField(server, {
      limits: LIMITS,
      ids: 400,
      apart: false,
      simulator: { latencyMs: { min: 1, max: 10 } },
      env: { URGENT_RESERVE: RESERVE },
    });
    const { tenant } = field;
    const { prefix } = tenant.keys;
    queue = new Queue('cancel-urgent', { connection: await server.connect('worker'), prefix });
    events = new QueueEvents('cancel-urgent', { connection: await server.connect('worker'), prefix });
    await events.waitUntilReady();
    const worker = field.startWorkerHere();
    await eventually(async () => assert.equal((await cancels()).length, BULK, worker.stderr));
  });
  after(async () => {
    await events.close();
    await queue.close();
    await field.close();
    await server.close();
  });

  async function cancels() {
    return (await field.simulator.calls()).filter(({ operation }) => operation === 'cancel');
  }

  function command(args: string[], stdin = '') {
    const env = {
      ...field.simulator.settings,
      RATE_LIMITS: LIMITS,
      URGENT_RESERVE: RESERVE,
      REDIS_URL: server.url,
      STANDDOWN_TENANT: field.tenant.label,
    };
    return runCommand(args, { env, stdin });
  }

  it('leaves at once, within the reserve, when bulk has used up its part of both windows', async (t) => {
    const made = makeActions({ count: 8, seed: 77 });
    await field.simulator.addActions(made.actions);
    const waits: number[] = [];
    for (const machineActionId of made.ids) {
      const enqueuedAt = Date.now();
      const job = await queue.add('cancel', { v: 1, machineActionId, comment: 'now' });
      const { outcome } = (await job.waitUntilFinished(events, 60_000)) as { outcome: string };
      assert.equal(outcome, 'cancelled');
      const [call] = await field.simulator.callsFor(machineActionId);
      waits.push((call?.wallMs ?? Number.NaN) - enqueuedAt);
    }
    t.diagnostic(`${waits.map((ms) => Math.round(ms)).join(', ')} ms from enqueueing to the API`);
    assert.equal((await field.simulator.refusals()).length, 0);
    assert.equal((await cancels()).length, BULK + 8, 'and no bulk call took their place');
  });

  it('overtakes: an id that waits in bulk is called once, and whoever waits for it gets the one outcome', async () => {
    const [waiting = ''] = field.ids.slice(-1);
    const [first, second] = await Promise.all(
      [1, 2].map(() => queue.add('cancel', { v: 1, machineActionId: waiting, comment: 'now' })),
    );
    const results = await Promise.all([first, second].map((job) => job?.waitUntilFinished(events, 60_000)));
    assert.deepEqual(
      results.map((result) => [result.outcome, result.campaign]),
      [
        ['cancelled', 'field'],
        ['cancelled', 'field'],
      ],
    );
    assert.equal((await field.simulator.callsFor(waiting)).length, 1);
    assert.equal((await field.report()).get(waiting)?.outcome, 'cancelled', 'in the campaign’s report');
  });

  it('is what submit --urgent makes of a file, also of ids that wait in another campaign', async (t) => {
    const made = makeActions({ count: 3, seed: 78 });
    await field.simulator.addActions(made.actions);
    const urgent = [...made.ids, ...field.ids.slice(-4, -1)];
    const submittedAt = Date.now();
    const { code, stdout, stderr } = await command(
      ['submit', '-', '--campaign', 'now', '--comment', 'x', '--urgent'],
      urgent.join('\n'),
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /3 followed: owned by campaign "field", already queued there/);
    await eventually(async () => {
      for (const id of urgent) assert.equal((await field.simulator.callsFor(id)).length, 1, id);
    });
    const last = Math.max(...(await cancels()).map(({ wallMs }) => wallMs));
    t.diagnostic(`all called ${Math.round(last - submittedAt)} ms after the command began`);
    const report = await eventually(async () => {
      const ran = await command(['report', 'now']);
      const lines = ran.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.ok(
        lines.every(({ outcome }) => outcome === 'cancelled'),
        ran.stdout,
      );
      return lines;
    });
    assert.equal(report.length, 6);
    const status = await command(['priority', 'now', '3']);
    assert.match(status.stdout, /priority 3 \(was urgent\)/);
  });

  it('can be said of a campaign later: what waits of it overtakes', async () => {
    const { code, stdout } = await command(['priority', 'field', 'urgent']);
    assert.equal(code, 0);
    assert.match(stdout, /^Campaign "field" in tenant \S+: priority urgent \(was 5\)\n$/);
    // What is left of the reserve, and no more.
    await eventually(async () => assert.equal((await cancels()).length, ALL));
    assert.equal((await field.simulator.refusals()).length, 0);
    const byId = Map.groupBy(await cancels(), ({ id }) => id);
    assert.ok(
      [...byId.values()].every(({ length }) => length === 1),
      'no id was called twice',
    );
  });

  it('--urgent and --priority do not go together', async () => {
    const { code, stderr } = await runCommand(
      ['submit', '-', '--campaign', 'x', '--comment', 'x', '--urgent', '--priority', '2'],
      { stdin: '' },
    );
    assert.equal(code, 2);
    assert.match(stderr, /use --urgent or --priority, not both/);
  });
});

describe('single cancels and a campaign', () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it('share the quota evenly, however many wait', async (t) => {
    const field = await openField(server, {
      limits: '60/1s',
      ids: 400,
      apart: false,
      simulator: { latencyMs: { min: 5, max: 20 } },
    });
    t.after(() => field.close());
    const singles = makeActions({ count: 3_000, seed: 79 });
    await field.simulator.addActions(singles.actions);
    const queue = new Queue('cancel', {
      connection: await server.connect('worker'),
      prefix: field.tenant.keys.prefix,
    });
    t.after(() => queue.close());
    await queue.addBulk(
      singles.ids.map((machineActionId) => ({
        name: 'cancel',
        data: { v: 1, machineActionId, comment: 'x' },
      })),
    );
    for (let worker = 0; worker < 2; worker++) field.startWorkerHere();
    const campaign = new Set(field.ids);
    const calls = await eventually(async () => {
      const made = (await field.simulator.calls()).filter(({ operation }) => operation === 'cancel');
      assert.ok(made.length >= 400, `${made.length} calls`);
      return made.slice(0, 400);
    });
    const share = calls.filter(({ id }) => campaign.has(id ?? '')).length / calls.length;
    t.diagnostic(`${Math.round(100 * share)} % of the first 400 calls were the campaign's`);
    assert.ok(share > 0.35 && share < 0.65, `${share}`);
    assert.equal((await field.simulator.refusals()).length, 0);
  });
});
