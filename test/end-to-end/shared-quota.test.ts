import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { viewBudget } from '../../src/budget/view.ts';
import { systemClock } from '../../src/clock.ts';
import { runCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { quotas } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { type Field, openField } from './support.ts';

/** What RATE_LIMITS says; the server allows less, in one way or another. */
const LIMITS = '40/1s,400/10s';
const IDS = 300;

describe('a quota that is smaller than RATE_LIMITS says', { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  async function open(): Promise<Field> {
    return openField(server, { limits: LIMITS, ids: IDS, simulator: { latencyMs: { min: 2, max: 60 } } });
  }

  /** What `budget` says while it is seen. */
  async function untilNoted(field: Field): Promise<string> {
    const { redis, tenant } = field;
    await eventually(async () => assert.ok((await viewBudget(redis, tenant.keys, tenant.limits)).pace));
    return eventually(async () => {
      const { stdout } = await runCli(['budget'], {
        env: {
          ...field.simulator.settings,
          RATE_LIMITS: LIMITS,
          REDIS_URL: server.url,
          STANDDOWN_TENANT: tenant.label,
        },
      });
      assert.match(stdout, /refused \(429\) that RATE_LIMITS allows: somebody else uses this quota/);
      return stdout;
    });
  }

  /** Every request ends as it should, no job fails, and few calls are refused. */
  async function assertUnharmed(field: Field): Promise<number> {
    const { outcomes } = await field.untilDone();
    assert.deepEqual(outcomes, { cancelled: IDS });
    const lines = await field.assertComplete();
    for (const { attempts } of lines.values()) assert.equal(attempts, 1, 'a refusal is no attempt');
    return (await field.simulator.refusals()).length;
  }

  it('because others use it, too: fewer calls go out for a while, and it is said', async (t) => {
    const field = await open();
    const done = new AbortController();
    const others = (async () => {
      while (!done.signal.aborted) {
        await field.simulator.spend('cancel', 4);
        await systemClock.sleep(250, done.signal).catch(() => undefined);
      }
    })();
    try {
      for (let worker = 0; worker < 2; worker++) field.startWorker({ CONCURRENCY: '5' });
      await untilNoted(field);
      const refused = await assertUnharmed(field);
      t.diagnostic(`${refused} of ${IDS + refused} calls were refused`);
      assert.ok(refused < IDS / 5, `${refused} calls were refused`);
    } finally {
      done.abort();
      await others;
      await field.close();
    }
  });

  it('because the tenant lowers it in mid-run', async (t) => {
    const field = await open();
    try {
      for (let worker = 0; worker < 2; worker++) field.startWorker({ CONCURRENCY: '5' });
      await eventually(async () => assert.ok((await field.campaign()).open < IDS - 20));
      await field.simulator.setLimits({ cancel: quotas('20/1s,400/10s') });
      await untilNoted(field);
      const refused = await assertUnharmed(field);
      t.diagnostic(`${refused} of ${IDS + refused} calls were refused`);
      assert.ok(refused < IDS / 5, `${refused} calls were refused`);
    } finally {
      await field.close();
    }
  });
});
