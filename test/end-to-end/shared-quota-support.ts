import assert from 'node:assert/strict';
import { viewBudget } from '../../src/store/budget/view.ts';
import { runCommand } from '../support/command.ts';
import type { TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { type Field, openField } from './support.ts';

/** What RATE_LIMITS says; the server allows less, in one way or another. */
export const LIMITS = '40/1s,400/10s';
export const IDS = 300;

export async function openShared(server: TestRedis): Promise<Field> {
  return openField(server, { limits: LIMITS, ids: IDS, simulator: { latencyMs: { min: 2, max: 60 } } });
}

/** What `budget` says while it is seen. */
export async function untilNoted(server: TestRedis, field: Field): Promise<string> {
  const { redis, tenant } = field;
  await eventually(async () => assert.ok((await viewBudget(redis, tenant.keys, tenant.limits)).pace));
  return eventually(async () => {
    const { stdout } = await runCommand(['budget'], {
      env: {
        ...field.simulator.settings,
        RATE_LIMITS: LIMITS,
        REDIS_URL: server.url,
        STANDDOWN_TENANT: tenant.label,
      },
    });
    assert.match(stdout, /refused \(429\) although RATE_LIMITS allows /);
    return stdout;
  });
}

/** Every request ends as it should, no job fails, and few calls are refused. */
export async function assertUnharmed(field: Field): Promise<number> {
  const { outcomes } = await field.untilDone();
  assert.deepEqual(outcomes, { cancelled: IDS });
  const lines = await field.assertComplete();
  for (const { attempts } of lines.values()) assert.equal(attempts, 1, 'a refusal is no attempt');
  return (await field.simulator.refusals()).length;
}
