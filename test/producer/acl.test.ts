import assert from 'node:assert/strict';
import { test } from 'node:test';
import tls from 'node:tls';
import type { StanddownError } from '../../src/index.ts';
import { openEstate } from '../end-to-end/acl-support.ts';
import { documentedRules, type Role } from '../support/acl.ts';
import { all, openFor } from './support/producers.ts';

test('a producer needs no more rights than docs/redis.md gives to each part of it', async (t) => {
  const rules = await documentedRules();
  // What a worker needs is another test's business.
  const own = { ...rules, worker: [...rules.worker, '+@all'] };
  const { redis, tenant, ids, startWorker, connect } = await openEstate(t, own, 11);
  // What NODE_EXTRA_CA_CERTS does for a process of its own.
  const before = tls.getCACertificates('default');
  tls.setDefaultCACertificates([...before, redis.authority]);
  t.after(() => tls.setDefaultCACertificates(before));
  const open = (role: Role) => openFor(t, { redis: redis.url(role), tenant });
  startWorker();

  const producer = await open('producer');
  for (const priority of ['normal', 'urgent'] as const) {
    const request = { machineActionId: ids[priority === 'urgent' ? 0 : 1] ?? '', comment: 'x' };
    const handle = await producer.cancel(request, { priority });
    assert.equal((await handle.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
  }
  assert.deepEqual(await redis.refusals(), [], 'single cancels take no other right');

  const operator = await open('operator');
  const more = ids.slice(6, 8);
  const { accepted } = await operator.submit(ids.slice(2, 6), { campaign: 'undo', comment: 'x' });
  assert.equal(accepted, 4);
  const reader = await open('reader');
  assert.equal((await all(reader.follow('undo'))).length, 4);
  assert.equal((await reader.status('undo')).state, 'done');
  assert.equal((await all(operator.follow('undo'))).length, 4);
  const urgent = { campaign: 'first', comment: 'x', priority: 'urgent' } as const;
  assert.equal((await operator.submit(more, urgent)).accepted, 2);
  assert.equal((await all(operator.follow('first'))).length, 2);
  assert.deepEqual(await redis.refusals(), []);

  // A connection of one's own: what blocks uses a duplicate, which needs its user and its TLS as well.
  const lent = await openFor(t, { redis: connect('producer'), tenant });
  const handle = await lent.cancel({ machineActionId: ids[8] ?? '', comment: 'x' });
  assert.equal((await handle.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
  const lentOperator = await openFor(t, { redis: connect('operator'), tenant });
  await lentOperator.submit(ids.slice(9), { campaign: 'lent', comment: 'x' });
  assert.equal((await all(lentOperator.follow('lent'))).length, 2);
  assert.deepEqual(await redis.refusals(), []);

  const refused = (error: StanddownError) => {
    assert.equal(error.code, 'REDIS_FAILED');
    assert.match(error.message, /NOPERM.*docs\/redis\.md/);
    return true;
  };
  const wish = { campaign: 'undo', comment: 'x' };
  await assert.rejects(producer.submit(ids, wish), refused);
  await assert.rejects(producer.status('undo'), refused);
  await assert.rejects(all(producer.follow('undo')), refused);
  await assert.rejects(reader.cancel({ machineActionId: ids[0] ?? '', comment: 'x' }), refused);
  await assert.rejects(reader.submit(ids, wish), refused);
  await assert.rejects(
    producer.job({ jobId: 'none', lane: 'cancel', machineActionId: ids[0] ?? '' }).outcome(),
    {
      code: 'JOB_GONE',
    },
  );
  await assert.rejects(
    openFor(t, { redis: redis.url('producer').replace(/:[0-9a-f]{48}@/, ':x@'), tenant }),
    {
      code: 'REDIS_UNREACHABLE',
    },
  );
});
