import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withTimings } from '../../support/timings.ts';
import { eventually } from '../../support/wait.ts';
import { startReceiver } from './receiver.ts';
import { noticeOf, openScene } from './scene.ts';

test('a receiver that was down hears of it when it is back, from whichever worker lives by then', async (t) => {
  const scene = await openScene(t, 10);
  const { field, receiver } = scene;
  await receiver.close();
  const first = field.startWorker();
  await eventually(() => assert.match(first.stderr, /ECONNREFUSED.*notice not delivered; retrying/));
  first.kill('SIGKILL');
  await first.exited;
  const again = await startReceiver(receiver.port, 503);
  t.after(() => again.close());
  const back = { ...scene, receiver: again };
  const second = field.startWorkerHere();
  await eventually(() => assert.match(second.stderr, /answered 503.*notice not delivered; retrying/));
  again.manner = 200;
  again.received.length = 0;
  const { id } = await noticeOf(back, 'ended');
  await eventually(() => assert.match(second.stderr, /"notice delivered"/));
  assert.equal(again.received[0]?.headers['standdown-notice'], id);
});

test('a receiver that never answers slows no call', async (t) => {
  const scene = await openScene(t, 5, {
    manner: 'silent',
    timings: withTimings({ noticePostMs: 60_000, noticeClaimMs: 120_000 }),
  });
  const { field, receiver, submit, openOf } = scene;
  const worker = field.startWorkerHere();
  await eventually(() => assert.equal(receiver.received.length, 1, worker.stderr));
  await submit('meanwhile', 50, 4_714);
  await eventually(async () => assert.equal(await openOf('meanwhile'), 0, worker.stderr));
  assert.doesNotMatch(worker.stderr, /notice not delivered/, 'it is still being waited for');
  await receiver.close();
  await eventually(() => assert.match(worker.stderr, /notice not delivered; retrying/));
});

test('no private address is connected to unless that is allowed', async (t) => {
  const scene = await openScene(t, 5);
  const { field, receiver } = scene;
  const url = `https://localhost:${receiver.port}/hook`;
  const worker = field.startWorkerHere({ NOTIFY_URL: url, NOTIFY_ALLOW_PRIVATE: 'false' });
  await eventually(() =>
    assert.match(worker.stderr, /is not a public address.*notice not delivered; retrying/),
  );
  assert.equal(receiver.connections, 0);
  assert.equal((await field.campaign()).open, 0);
});
