import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToGuid } from '../../src/base/guid.ts';
import { newIds } from '../support/ledger.ts';
import { openService } from './support/producers.ts';

test('how many ids are expected is a hint: any number ends, and what is none is said', async (t) => {
  const { producer, stack } = await openService(t, { worker: false });
  const ids = [bytesToGuid(newIds(1))];
  for (const expected of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 1e300, '12']) {
    const request = { campaign: 'bad', comment: 'x', expected: expected as number };
    await assert.rejects(producer.submit(ids, request), { code: 'INPUT_INVALID', message: /expected: / });
  }
  const summary = await producer.submit(ids, { campaign: 'many', comment: 'x', expected: 1e12 });
  assert.equal(summary.accepted, 1);
  const { redis, tenant } = stack;
  assert.ok(Number(await redis.hget(tenant.keys.state, 'buckets')) <= 16_000);
  const again = await producer.submit(ids, { campaign: 'many', comment: 'x', expected: 1e12 });
  assert.equal(again.already, 1);
});
