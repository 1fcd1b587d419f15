import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Queue } from 'bullmq';
import { createTenant } from '../../src/app/tenant.ts';
import { parseGuid } from '../../src/base/guid.ts';
import { RECORD_STATES } from '../../src/base/outcome.ts';
import { readConfig } from '../../src/config/config.ts';
import { viewBudget } from '../../src/store/budget/view.ts';
import { listCampaigns } from '../../src/store/campaign/registry.ts';
import { type ReportLine, reportCampaign } from '../../src/store/campaign/report.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { LANES, type LaneName } from '../../src/store/keys.ts';
import { TESTER } from '../support/actor.ts';
import { recount } from '../support/ledger.ts';
import { startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { startSimulatorHere } from '../support/simulator.ts';
import { newLabel, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { type Recorded, readRecorded, restoreRecorded } from './recorded.ts';

const LIMITS = '1000/1s,100000/1h';

let server: TestRedis;
let recorded: Recorded;

before(async () => {
  server = await openTestRedis();
  recorded = await readRecorded(1);
});
after(() => server.close());

async function restoreTenant(): Promise<TestTenant> {
  const redis = await server.connect();
  const label = newLabel();
  const config = readConfig({ STANDDOWN_TENANT: label, RATE_LIMITS: LIMITS, URGENT_RESERVE: 'none' });
  await restoreRecorded(redis, recorded, label);
  return { config, ...createTenant(config, redis) };
}

/** What stands of each id: that of its owner, which other campaigns' reports show, too. */
async function standing(tenant: TestTenant): Promise<Map<string, ReportLine>> {
  const lines = new Map<string, ReportLine>();
  for (const campaign of await listCampaigns(tenant.redis, tenant.keys)) {
    const own = new Set<string>();
    for await (const line of reportCampaign(tenant, campaign)) {
      assert.ok(!own.has(line.machineActionId), 'an id has two lines in a report');
      own.add(line.machineActionId);
      if (line.campaign === campaign.name) lines.set(line.machineActionId, line);
    }
    const listed = await tenant.redis.llen(tenant.keys.ids(campaign.number));
    assert.equal(own.size, listed, `the report of ${campaign.name} leaves ids out`);
  }
  return lines;
}

/** How often each id has a result of the same generation. */
async function resultsPerGeneration(tenant: TestTenant): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { number } of await listCampaigns(tenant.redis, tenant.keys)) {
    for (const [, [, id, , generation]] of await tenant.redis.xrange(tenant.keys.results(number), '-', '+')) {
      const key = `${id} ${generation}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

interface Waiting {
  lane: LaneName;
  jobId: string;
  /** Null: it names none. */
  id: string | null;
  again: boolean;
}

/** Jobs of services that have no result yet. */
async function waitingJobs(tenant: TestTenant): Promise<Waiting[]> {
  const { redis, keys } = tenant;
  const found: Waiting[] = [];
  for (const lane of ['cancel', 'cancel-urgent'] as const) {
    const jobIds = [
      ...(await redis.lrange(keys.lane(lane, 'wait'), 0, -1)),
      ...(await redis.lrange(keys.lane(lane, 'active'), 0, -1)),
      ...(await redis.zrange(keys.lane(lane, 'delayed'), '0', '-1')),
    ];
    for (const jobId of jobIds) {
      const data = JSON.parse((await redis.hget(keys.lane(lane, jobId), 'data')) ?? '{}');
      found.push({ lane, jobId, id: parseGuid(data.machineActionId), again: data.again === true });
    }
  }
  return found;
}

describe('data of version 1', () => {
  it('is recorded in every state', async () => {
    const { redis, keys, ledger } = await restoreTenant();
    const campaigns = await listCampaigns(redis, keys);
    const seen = new Set<string>();
    for (const { number, state } of campaigns) {
      seen.add(state);
      const ids = Buffer.concat(await redis.lrangeBuffer(keys.ids(number), 0, -1));
      for (const record of await ledger.look(ids)) {
        if (!record) continue;
        seen.add(record.state);
        if (record.generation > 1) seen.add('a later generation');
        if (record.uncertain) seen.add('uncertain');
        if (record.state === 'open' && record.attempts > 0) seen.add('between attempts');
      }
      if ((await redis.scard(keys.elsewhere(number))) > 0) seen.add('elsewhere');
    }
    for (const lane of LANES) {
      if ((await redis.llen(keys.lane(lane, 'wait'))) > 0) seen.add(`waiting in ${lane}`);
      if ((await redis.llen(keys.lane(lane, 'active'))) > 0) seen.add(`active in ${lane}`);
      if ((await redis.zcard(keys.lane(lane, 'completed'))) > 0) seen.add(`completed in ${lane}`);
    }
    for (const lane of ['cancel', 'cancel-campaign'] as const) {
      if ((await redis.zcard(keys.lane(lane, 'delayed'))) > 0) seen.add(`delayed in ${lane}`);
    }
    const missing = [
      ...RECORD_STATES.filter((state) => !['invalid', 'forbidden', 'expired'].includes(state)),
      ...['running', 'paused', 'aborted', 'a later generation', 'uncertain', 'between attempts', 'elsewhere'],
      ...LANES.flatMap((lane) => [`waiting in ${lane}`, `active in ${lane}`, `completed in ${lane}`]),
      ...['delayed in cancel', 'delayed in cancel-campaign'],
    ].filter((state) => !seen.has(state));
    assert.deepEqual(missing, []);
  });

  it('keeps its slots and its penalty', async () => {
    const { redis, keys, config } = await restoreTenant();
    const recordedSlots = await redis.zcard(keys.slots('cancel'));
    assert.ok(recordedSlots > 50);
    // As if it had been recorded a moment ago.
    const elapsed = Date.now() - recorded.recordedAt;
    const flat = await redis.zrange(keys.slots('cancel'), '0', '-1', 'WITHSCORES');
    for (let i = 0; i < flat.length; i += 2) {
      await redis.zadd(keys.slots('cancel'), Number(flat[i + 1]) + elapsed, flat[i] ?? '');
    }
    await redis.hincrby(keys.state, 'cancel:penalty', elapsed);
    const fresh = await viewBudget(redis, keys, config.limits);
    assert.equal(fresh.windows.at(-1)?.used, recordedSlots);
    assert.equal(fresh.holds[0]?.reason, 'penalty');
  });

  it('is drained by this version: one outcome each, and nothing is called that had one', async (t) => {
    const tenant = await restoreTenant();
    const { redis, keys } = tenant;
    const before_ = await standing(tenant);
    const jobs = await waitingJobs(tenant);
    const again = new Set(jobs.filter((job) => job.again).map(({ id }) => id));
    assert.ok(jobs.length > 10 && again.size > 0);
    const ids = new Set([...before_.keys(), ...jobs.flatMap(({ id }) => id ?? [])]);
    const simulator = await startSimulatorHere(LIMITS, { actions: [...ids].map((id) => ({ id })) });
    const workers = [1, 2].map(() =>
      startCli(['worker'], {
        env: {
          ...simulator.settings,
          REDIS_URL: server.url,
          STANDDOWN_TENANT: tenant.label,
          URGENT_RESERVE: 'none',
          PRECHECK: 'off',
          LOG_LEVEL: 'error',
          // However old the recording is by the time this runs.
          RESULT_RETENTION: '36500d',
        },
      }),
    );
    try {
      await steer(tenant, 'paused', 'resume', TESTER);
      await eventually(async () => {
        for (const { name, open } of await listCampaigns(redis, keys)) assert.equal(open, 0, name);
        for (const lane of LANES) {
          const [wait, active, delayed] = await Promise.all([
            redis.llen(keys.lane(lane, 'wait')),
            redis.llen(keys.lane(lane, 'active')),
            redis.zcard(keys.lane(lane, 'delayed')),
          ]);
          assert.deepEqual({ lane, wait, active, delayed }, { lane, wait: 0, active: 0, delayed: 0 });
        }
      });

      const lines = await standing(tenant);
      assert.equal(lines.size, ids.size);
      for (const id of ids) assert.ok(lines.get(id)?.outcome, `${id} has no outcome`);
      for (const { number } of await listCampaigns(redis, keys)) await recount(tenant, number);
      for (const [result, count] of await resultsPerGeneration(tenant)) assert.equal(count, 1, result);

      const calls = (await simulator.calls()).filter(({ operation }) => operation === 'cancel');
      let finished = 0;
      for (const [id, line] of before_) {
        if (line.outcome === null || again.has(id)) continue;
        finished++;
        assert.deepEqual(lines.get(id), line, 'an outcome that stood is another one now');
        assert.ok(!calls.some((call) => call.id === id), `${id} was called although it had an outcome`);
      }
      assert.equal(new Set(calls.map(({ id }) => id)).size, calls.length, 'an id was called twice');

      for (const lane of LANES) assert.equal(await redis.zcard(keys.lane(lane, 'failed')), 0, lane);
      for (const { lane, jobId, id } of jobs) {
        const queue = new Queue(lane, { connection: redis, prefix: keys.prefix });
        const result = (await queue.getJob(jobId))?.returnvalue;
        assert.equal(result?.machineActionId, id, `job ${jobId} of ${lane} has another's result`);
        assert.ok(result?.outcome);
        await queue.close();
      }
      assertEndings(lines);
      t.diagnostic(`${ids.size} ids, ${finished} had ended before, ${calls.length} calls`);
      for (const worker of workers) assert.equal(worker.stderr, '');
    } finally {
      for (const worker of workers) worker.kill('SIGTERM');
      await Promise.all(workers.map((worker) => worker.exited));
      await simulator.stop();
    }
  });
});

/** How each campaign's ids have ended that were open. */
function assertEndings(lines: ReadonlyMap<string, ReportLine>): void {
  const endings = (name: string) =>
    Object.fromEntries(
      Object.entries(
        Object.groupBy(
          [...lines.values()].filter(({ campaign }) => campaign === name),
          ({ outcome }) => String(outcome),
        ),
      ).map(([outcome, its]) => [outcome, its?.length]),
    );
  // Those whose 400 nobody explained in time.
  assert.deepEqual(endings('half'), { cancelled: 24, rejected: 3 });
  assert.deepEqual(endings('paused'), { cancelled: 8 });
  // Those that were being called when their worker died: what came of that is not known.
  assert.deepEqual(endings('aborted'), { cancelled: 3, withdrawn: 4, unresolved: 2 });
  assert.deepEqual(endings('aborted at once'), { withdrawn: 5 });
  assert.deepEqual(endings('expired'), { expired: 4 });
  assert.deepEqual(endings('held'), { cancelled: 9 });
  assert.deepEqual(endings('first in line'), { cancelled: 3 });
  assert.deepEqual(endings('overlap'), { cancelled: 2 });
}
