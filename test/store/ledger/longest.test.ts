import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createTenant } from '../../../src/app/tenant.ts';
import { createProbe, idAt, newIds } from '../../support/ledger.ts';
import { openTestRedis } from '../../support/redis.ts';
import { newTenant } from '../../support/tenant.ts';

it('a claim of the longest call and a wait of the longest delay hold from their first moment', async () => {
  const server = await openTestRedis();
  const [redis, beside] = [await server.connect(), await server.connect()];
  const tenant = await newTenant(redis, {
    RATE_LIMITS: '1000000/1s',
    URGENT_RESERVE: 'none',
    CALL_TIMEOUT: '5m',
  });
  const probe = createProbe(tenant);
  const other = createProbe({ ...tenant, ...createTenant(tenant.config, beside) });
  const number = await probe.campaign('campaign');
  const ids = newIds(100);
  await tenant.ledger.submit(number, ids);
  const verdict = {
    kind: 'retry',
    delayMs: 60_000,
    uncertain: false,
    costsAttempt: true,
    detail: {},
  } as const;
  for (let i = 0; i < 100; i++) {
    const id = idAt(ids, i);
    const answers = await Promise.all([probe.begin(id, number), other.begin(id, number)]);
    const granted = answers.flatMap(({ answer }) => (answer.kind === 'granted' ? answer : []));
    assert.equal(granted.length, 1, `${granted.length} calls for one id`);
    const [grant] = granted;
    assert(grant);
    const finished = probe.finish(id, number, grant, { verdict, sign: 'none' });
    const [, { answer }] = await Promise.all([finished, probe.begin(id, number)]);
    assert.equal(answer.kind, 'later');
  }
  await server.close();
});
