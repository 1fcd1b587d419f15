import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Queue, QueueEvents } from 'bullmq';
import { makeActions } from '../../src/simulator/index.ts';
import { runCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { type Field, openField } from './support.ts';

/** Bulk may use 30 of 40 in two seconds, and 90 of 100 in an hour: then it waits for the rest of the test. */
const LIMITS = '40/2s,100/1h';
const RESERVE = '10/2s,10/1h';
const BULK = 90;

describe('what is urgent', { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  /** A field whose bulk part is used up in both windows, with more than 9,000 bulk ids waiting. */
  async function openFull(t: { after(end: () => unknown): void }): Promise<Field> {
    const field = await openField(server, {
      limits: LIMITS,
      ids: 10_000,
      simulator: { latencyMs: { min: 1, max: 10 } },
      env: { URGENT_RESERVE: RESERVE },
    });
    t.after(() => field.close());
    field.startWorker();
    await eventually(async () => assert.equal((await cancels(field)).length, BULK));
    await eventually(async () => {
      assert.ok(
        Number(await field.redis.pttl(field.tenant.keys.lane('cancel-campaign', 'limiter'))) > 20_000,
      );
    });
    return field;
  }

  async function cancels(field: Field) {
    return (await field.simulator.calls()).filter(({ operation }) => operation === 'cancel');
  }

  async function openUrgent(t: { after(end: () => unknown): void }, field: Field) {
    const { prefix } = field.tenant.keys;
    const queue = new Queue('cancel-urgent', { connection: await server.connect('worker'), prefix });
    const events = new QueueEvents('cancel-urgent', { connection: await server.connect('worker'), prefix });
    await events.waitUntilReady();
    t.after(async () => {
      await events.close();
      await queue.close();
    });
    return { queue, events };
  }

  function command(field: Field, args: string[], stdin = '') {
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
    const field = await openFull(t);
    const { queue, events } = await openUrgent(t, field);
    const made = makeActions({ count: 8, seed: 77 });
    await field.simulator.addActions(made.actions);
    const waits: number[] = [];
    for (const machineActionId of made.ids) {
      const enqueuedAt = Date.now();
      const job = await queue.add('cancel', { v: 1, machineActionId, comment: 'now' });
      const { outcome } = (await job.waitUntilFinished(events, 20_000)) as { outcome: string };
      assert.equal(outcome, 'cancelled');
      const [call] = await field.simulator.callsFor(machineActionId);
      waits.push((call?.wallMs ?? Number.NaN) - enqueuedAt);
    }
    t.diagnostic(`${waits.map((ms) => Math.round(ms)).join(', ')} ms from enqueueing to the API`);
    assert.equal((await field.simulator.refusals()).length, 0);
    assert.equal((await cancels(field)).length, BULK + 8, 'and no bulk call took their place');
  });

  it('overtakes: an id that waits in bulk is called once, and whoever waits for it gets the one outcome', async (t) => {
    const field = await openFull(t);
    const { queue, events } = await openUrgent(t, field);
    const [waiting = ''] = field.ids.slice(-1);
    const [first, second] = await Promise.all(
      [1, 2].map(() => queue.add('cancel', { v: 1, machineActionId: waiting, comment: 'now' })),
    );
    const results = await Promise.all([first, second].map((job) => job?.waitUntilFinished(events, 20_000)));
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

  it('is what submit --urgent makes of a file, also of ids that wait elsewhere', async (t) => {
    const field = await openFull(t);
    const made = makeActions({ count: 3, seed: 78 });
    await field.simulator.addActions(made.actions);
    const urgent = [...made.ids, ...field.ids.slice(-3)];
    const submittedAt = Date.now();
    const { code, stdout, stderr } = await command(
      field,
      ['submit', '-', '--campaign', 'now', '--comment', 'x', '--urgent'],
      urgent.join('\n'),
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /3 are elsewhere: open in field/);
    await eventually(async () => {
      for (const id of urgent) assert.equal((await field.simulator.callsFor(id)).length, 1, id);
    });
    const last = Math.max(...(await cancels(field)).map(({ wallMs }) => wallMs));
    t.diagnostic(`all called ${Math.round(last - submittedAt)} ms after the command began`);
    const report = await eventually(async () => {
      const ran = await command(field, ['report', 'now']);
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
    const status = await command(field, ['priority', 'now', '3']);
    assert.match(status.stdout, /priority 3, was urgent/);
  });

  it('can be said of a campaign later: what waits of it overtakes', async (t) => {
    const field = await openFull(t);
    const before = (await cancels(field)).length;
    const { code, stdout } = await command(field, ['priority', 'field', 'urgent']);
    assert.deepEqual([code, stdout], [0, 'field: priority urgent, was 5\n']);
    // The reserve, and no more.
    await eventually(async () => assert.equal((await cancels(field)).length, before + 10));
    assert.equal((await field.simulator.refusals()).length, 0);
    const byId = Map.groupBy(await cancels(field), ({ id }) => id);
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
    assert.match(stderr, /--urgent goes before every --priority: give one of them/);
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
      limits: '40/1s',
      ids: 1_000,
      simulator: { latencyMs: { min: 5, max: 20 } },
    });
    t.after(() => field.close());
    const singles = makeActions({ count: 50_000, seed: 79 });
    await field.simulator.addActions(singles.actions);
    const queue = new Queue('cancel', {
      connection: await server.connect('worker'),
      prefix: field.tenant.keys.prefix,
    });
    t.after(() => queue.close());
    for (let at = 0; at < singles.ids.length; at += 5_000) {
      await queue.addBulk(
        singles.ids.slice(at, at + 5_000).map((machineActionId) => ({
          name: 'cancel',
          data: { v: 1, machineActionId, comment: 'x' },
        })),
      );
    }
    for (let worker = 0; worker < 2; worker++) field.startWorker();
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
