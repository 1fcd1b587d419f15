import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { borrowLink } from '../../src/producer/connection.ts';
import { createEndings } from '../../src/producer/endings.ts';
import { keysFor } from '../../src/store/keys.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';

let server: TestRedis;
before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('a job that is in no list any more is gone, and one that is there is waited for', async () => {
  const redis = await server.connect('worker');
  const keys = keysFor(newLabel());
  const endings = createEndings(borrowLink(redis), keys);
  const old = Date.now() - 3_600_000;
  try {
    for (const id of ['lost', 'there', 'fresh'])
      await redis.hset(keys.lane('cancel', id), { timestamp: id === 'fresh' ? Date.now() : old, data: '{}' });
    await redis.rpush(keys.lane('cancel', 'wait'), 'there');
    const waits = ['lost', 'there', 'fresh'].map((id) => endings.of('cancel', id));
    const [lost, there, fresh] = waits;
    assert.deepEqual(await lost?.ending, { kind: 'gone' });
    for (const id of ['there', 'fresh'])
      await redis.hset(keys.lane('cancel', id), { finishedOn: 2, returnvalue: `"${id}"` });
    assert.deepEqual(await there?.ending, { kind: 'completed', value: '"there"' });
    assert.deepEqual(await fresh?.ending, { kind: 'completed', value: '"fresh"' });
    for (const { release } of waits) release();
  } finally {
    await endings.close();
  }
});

it('whoever waits is told, also when a look for somebody before comes back only then', async () => {
  const redis = await server.connect('worker');
  const keys = keysFor(newLabel());
  const endings = createEndings(borrowLink(redis), keys);
  const key = keys.lane('cancel', 'job');
  // Replies come in the order in which they were asked for; those to the first two looks are handed on later.
  const looks: { asked: PromiseWithResolvers<void>; handOn: PromiseWithResolvers<void> }[] = [];
  const ask = redis.hmget.bind(redis) as (...args: unknown[]) => Promise<(string | null)[]>;
  Reflect.set(redis, 'hmget', async (...args: unknown[]) => {
    const look = looks.shift();
    const reply = await ask(...args);
    look?.asked.resolve();
    await look?.handOn.promise;
    return reply;
  });
  const [early, late] = [0, 1].map(() => ({
    asked: Promise.withResolvers<void>(),
    handOn: Promise.withResolvers<void>(),
  }));
  assert.ok(early && late);
  looks.push(early, late);
  try {
    await redis.hset(key, { timestamp: 1, finishedOn: 2, returnvalue: '"done"' });
    // One look at once, and one in turn.
    const first = endings.of('cancel', 'job');
    await Promise.all([early.asked.promise, late.asked.promise]);
    early.handOn.resolve();
    assert.deepEqual(await first.ending, { kind: 'completed', value: '"done"' });
    first.release();
    await redis.del(key);
    const reply = Promise.withResolvers<void>();
    looks.push({ asked: Promise.withResolvers(), handOn: reply });
    const second = endings.of('cancel', 'job');
    late.handOn.resolve();
    await redis.ping();
    reply.resolve();
    assert.deepEqual(await second.ending, { kind: 'gone' });
    second.release();
  } finally {
    await endings.close();
  }
});
