import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { findCampaign } from '../../src/campaign/registry.ts';
import { retryCampaign, steer } from '../../src/campaign/steer.ts';
import { submitCampaign } from '../../src/campaign/submit.ts';
import { guidsToBytes } from '../../src/guid.ts';
import { TESTER } from '../support/actor.ts';
import { recount } from '../support/ledger.ts';
import type { Process } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openField } from './support.ts';

const IDS = 120;
const LIMITS = '30/1s,1000/1h';

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('overlapping campaigns are paused, aborted and retried while workers are killed: every counter is exact', async () => {
  const field = await openField(server, {
    limits: LIMITS,
    ids: IDS,
    apart: false,
    simulator: { latencyMs: { min: 20, max: 200 } },
    env: { CALL_TIMEOUT: '2s', CONCURRENCY: '8' },
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
    await submit('second', field.ids.slice(IDS / 4));
    await submit('third', field.ids.slice(IDS / 2));
    await steer(tenant, 'field', 'resume', TESTER);

    let workers: Process[] = [field.startWorker(), field.startWorker()];
    for (const share of [0.2, 0.5]) {
      await eventually(async () => assert.ok((await decided()) >= share * IDS));
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
    const total = await Promise.all(['field', 'second', 'third'].map(read));
    assert.equal(
      total.reduce((sum, campaign) => sum + campaign.total, 0),
      IDS,
      'each id is owned once',
    );
    assert.equal((await simulator.refusals()).length, 0);
    assert.ok((await simulator.peak('cancel', 1_000)) <= 30);
  } finally {
    await field.close();
  }
});
