import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IdSource, openProducer } from '../../src/index.ts';
import { BATCH_IDS } from '../../src/store/ledger/batch.ts';
import { closeRedis } from '../../src/store/redis/connect.ts';
import { atEnd } from '../store/redis/support/machine.ts';
import { openTestRedis } from '../support/redis.ts';
import { openService } from './support/producers.ts';

const WISH = { campaign: 'undo', comment: 'Started by mistake' };
const ids = Array.from(
  { length: BATCH_IDS },
  (_, n) => `00000000-0000-4000-8000-${`${n}`.padStart(12, '0')}`,
);

/** Gives a thousand ids, and then keeps whoever asks waiting until it is let go on. */
function waitingSource() {
  const asked = Promise.withResolvers<void>();
  const more = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const source = async function* () {
    try {
      yield ids;
      asked.resolve();
      await more.promise;
      yield ids.map((id) => id.replace('0000-4', '0001-4'));
    } finally {
      ended.resolve();
    }
  };
  return { source: source(), asked: asked.promise, ended: ended.promise, goOn: () => more.resolve() };
}

test('after closing nothing more is submitted, over a connection that was lent too', async (t) => {
  const { stack, place } = await openService(t, { worker: false });
  const { keys } = stack.tenant;
  const server = await openTestRedis();
  const own = await server.connect('command');
  atEnd(t, () => closeRedis(own));
  const producer = await openProducer({ redis: own, tenant: place.tenant });
  const { source, asked, ended, goOn } = waitingSource();
  const submitting = assert.rejects(producer.submit(source, WISH), { code: 'CLOSED' });
  await asked;
  await producer.close();
  await submitting;
  goOn();
  await ended;
  // Behind whatever was still sent.
  await own.ping();
  assert.equal(await stack.redis.llen(keys.ids(1)), ids.length);
  await assert.rejects(producer.submit(ids, WISH), { code: 'CLOSED' });
  await assert.rejects(producer.status('undo'), { code: 'CLOSED' });
});

test('a signal ends a submit whose source keeps it waiting, and lets the source end', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  const stop = new AbortController();
  const reason = new Error('enough');
  const { source, asked, ended, goOn } = waitingSource();
  const request = { ...WISH, signal: stop.signal };
  const submitting = assert.rejects(producer.submit(source, request), (error) => error === reason);
  await asked;
  stop.abort(reason);
  await submitting;
  goOn();
  await ended;
  assert.equal((await producer.status('undo')).total, ids.length, 'what was submitted stays');
  assert.equal((await producer.submit(ids, WISH)).already, ids.length, 'the producer goes on');
  assert.equal(await stack.redis.llen(stack.tenant.keys.ids(1)), ids.length);
});

test('what cannot begin opens no campaign: it would fix comment and expiry', async (t) => {
  const { stack, producer } = await openService(t, { worker: false });
  const reason = new Error('too late');
  const signal = AbortSignal.abort(reason);
  let asked = false;
  const source = (function* () {
    asked = true;
    yield* ids;
  })();
  await assert.rejects(producer.submit(source, { ...WISH, signal }), (error) => error === reason);
  assert.equal(asked, false);
  await assert.rejects(producer.submit(['no guid', ...ids], WISH), { code: 'INPUT_INVALID' });
  const broken = new Error('no such file');
  // biome-ignore lint/correctness/useYield: as a file that is missing
  const failing = (async function* (): AsyncGenerator<string> {
    throw broken;
  })();
  await assert.rejects(producer.submit(failing, WISH), (error) => error === broken);
  const seconds = Math.floor(Date.now() / 1_000);
  for (const expiresAt of [seconds, new Date(Date.now() - 1_000), '2020-01-01T00:00:00Z']) {
    await assert.rejects(producer.submit(ids, { ...WISH, expiresAt }), {
      code: 'INPUT_INVALID',
      message: /expiresAt: .* is in the past; a number must be in milliseconds since 1970$/,
    });
  }
  assert.equal(await stack.redis.exists(stack.tenant.keys.campaigns), 0);

  const expiresAt = new Date(Date.now() + 3_600_000);
  const { created, accepted } = await producer.submit(ids, { ...WISH, expiresAt });
  assert.deepEqual([created, accepted], [true, ids.length]);
  const kept = await producer.submit(ids, { ...WISH, expiresAt: seconds });
  assert.equal(kept.expiresAt, expiresAt.getTime(), 'one that exists keeps its own');
});

test('one id by itself will do; what is no source of ids is said to be none', async (t) => {
  const { producer } = await openService(t, { worker: false });
  const [id = ''] = ids;
  assert.equal((await producer.submit(id, WISH)).accepted, 1);
  assert.equal((await producer.submit(new Set(ids), WISH)).accepted, ids.length - 1);
  assert.equal((await producer.submit([], { ...WISH, campaign: 'empty' })).created, true);
  for (const source of [null, undefined, 7, {}]) {
    await assert.rejects(producer.submit(source as unknown as IdSource, WISH), {
      name: 'StanddownError',
      code: 'USAGE',
    });
  }
  for (const item of [undefined, null, 7, {}, [undefined], 'ids.txt']) {
    await assert.rejects(producer.submit([id, item as string], WISH), {
      name: 'StanddownError',
      code: 'INPUT_INVALID',
      context: { place: 2 },
    });
  }
  await assert.rejects(producer.submit('ids.txt', WISH), { code: 'INPUT_INVALID', message: /"ids\.txt"/ });
  await assert.rejects(producer.submit(ids, { ...WISH, signal: {} as AbortSignal }), { code: 'USAGE' });
});
